//! What nobody owns, each with the reason and the commands to decide about it. Deletes nothing.

use super::join::{Joined, Named};
use super::objects::{Content, Kind, NodePool, PersistentVolume, Quarantined, Volume, VolumeKind};
use super::{Objects, order, restore};
use jiff::SignedDuration;
use told::step;

mod lost;
mod told;

pub use told::{Orphan, OrphanKind, OrphanList, Step};

/// What is younger may still be on its way to its owner.
const GRACE: SignedDuration = SignedDuration::from_mins(10);

/// What nobody owns.
pub fn list(objects: &Objects) -> OrphanList {
    let joined = Joined::new(objects);
    let pools = objects.pools.iter();
    let found = pools.flat_map(|pool| pool.spec.quarantined.iter().map(move |q| (pool, q)));
    let mut orphans: Vec<Orphan> = found
        // Its object came back; the agent has not said so yet.
        .filter(|(_, found)| joined.volume(&found.id).is_none())
        .filter(|(_, found)| joined.snapshot(&found.id).is_none())
        .map(|(pool, found)| logical_volume(&joined, pool, found))
        .collect();
    orphans.extend(objects.volumes.iter().filter_map(|v| volume(&joined, v)));
    let persistent = objects.persistent_volumes.iter();
    orphans.extend(persistent.filter_map(|pv| persistent_volume(&joined, pv)));
    orphans.extend(
        objects
            .snapshots
            .iter()
            .filter_map(|s| snapshot(&joined, s)),
    );
    orphans.extend(objects.contents.iter().filter_map(|c| content(&joined, c)));
    let key = |orphan: &Orphan| format!("{}\0{}", orphan.kind as u8, orphan.name);
    OrphanList {
        orphans: order::by(orphans, key),
        unseen: unseen(objects),
    }
}

fn unseen(objects: &Objects) -> Vec<String> {
    let pools = super::pools::list(objects).pools;
    let dark = pools.into_iter().filter(|pool| pool.free.is_none());
    dark.map(|pool| {
        let trouble = pool.trouble.unwrap_or_default();
        format!("pool {} on {}: {trouble}", pool.pool, pool.node)
    })
    .collect()
}

fn logical_volume(joined: &Joined<'_>, pool: &NodePool, found: &Quarantined) -> Orphan {
    let place = format!("{}/{}", pool.spec.vg, found.lv);
    let (object, owner) = match found.kind {
        VolumeKind::Volume => {
            let pv = joined.persistent(&found.id);
            let claim = joined.claim(&found.id, "");
            let of = claim.map_or_else(String::new, |claim| format!(" of claim {claim}"));
            let owner = pv.map(|pv| format!("PersistentVolume {}{of}", pv.metadata.name));
            ("Volume", owner)
        }
        VolumeKind::Snapshot => {
            let content = joined.content(&found.id);
            let owner = content.map(|c| format!("VolumeSnapshotContent {}", c.metadata.name));
            ("Snapshot", owner)
        }
    };
    let (why, next) = match owner {
        Some(owner) => {
            let why = format!("its {object} object was removed, but {owner} still asks for it");
            let next = match restore::of_quarantined(joined, pool, found) {
                Some(command) => step("take it back into use", command),
                None => step(
                    "look at it; its object has to come from a backup of etcd",
                    joined.on_node(&pool.spec.node, &look(&place)),
                ),
            };
            (why, vec![next])
        }
        None => {
            // The agent erases and removes it in its turn; `lvremove` would leave the data to be read.
            let tags = "--deltag ingot1.state=quarantined --addtag ingot1.state=deleting";
            let give_up = format!("lvm lvchange {tags} {place}");
            let next = vec![
                step("look at it", joined.on_node(&pool.spec.node, &look(&place))),
                step(
                    "give it up with its data; the agent erases and removes it within minutes",
                    joined.on_node(&pool.spec.node, &give_up),
                ),
            ];
            ("no object speaks of it".to_owned(), next)
        }
    };
    Orphan {
        kind: OrphanKind::LogicalVolume,
        name: place,
        node: Some(pool.spec.node.clone()),
        size: Some(found.size),
        why,
        next,
    }
}

fn look(place: &str) -> String {
    format!("lvm lvs -o lv_name,lv_size,lv_time,lv_tags {place}")
}

/// What the controller writes when a volume is to go.
fn give_up(plural: &str, volume: &Volume) -> Step {
    let patch = r#"'{"spec":{"deleting":true}}'"#;
    let name = &volume.metadata.name;
    step(
        "give it up with its data",
        format!("kubectl patch {plural}.storage.ingot.dev {name} --type merge -p {patch}"),
    )
}

fn is_old(joined: &Joined<'_>, volume: &Volume) -> bool {
    let age = joined
        .objects
        .now
        .as_second()
        .saturating_sub(volume.spec.created);
    age >= GRACE.as_secs()
}

fn volume(joined: &Joined<'_>, volume: &Volume) -> Option<Orphan> {
    if lost::is_lost(joined, volume) {
        return Some(lost::volume(joined, volume));
    }
    let owned = joined.persistent(&volume.id()).is_some();
    if owned || volume.spec.deleting || !is_old(joined, volume) {
        return None;
    }
    let why = match joined.asking(&volume.spec.csi_name) {
        // The provisioner is still at it.
        Some(claim) if claim.status.phase == "Pending" => return None,
        Some(claim) => format!(
            "claim {} was made for it, but PersistentVolume {} is gone",
            super::join::named(claim),
            volume.spec.csi_name
        ),
        None => format!(
            "no PersistentVolume has its id; the one it was made for was called {}",
            volume.spec.csi_name
        ),
    };
    let keep = restore::persistent_volume(volume)
        .map(|command| step("keep it, make a PersistentVolume; a claim takes it by volumeName, with storageClassName \"\"", command));
    Some(Orphan {
        kind: OrphanKind::Volume,
        name: volume.metadata.name.clone(),
        node: Some(volume.spec.node.clone()),
        size: Some(volume.size()),
        why,
        next: keep
            .into_iter()
            .chain([give_up("volumes", volume)])
            .collect(),
    })
}

fn persistent_volume(joined: &Joined<'_>, pv: &PersistentVolume) -> Option<Orphan> {
    let handle = pv.handle();
    if joined.volume(handle).is_some() || joined.quarantined(handle).is_some() {
        return None;
    }
    let node = pv.node();
    let pools = super::pools::list(joined.objects).pools;
    let mut there = pools
        .iter()
        .filter(|pool| Some(pool.node.as_str()) == node)
        .peekable();
    // One that cannot be seen into is enough for it to be there.
    let seen = there.peek().is_some() && there.all(|pool| pool.free.is_some());
    let claim = pv
        .spec
        .claim_ref
        .as_ref()
        .filter(|_| pv.status.phase == "Bound");
    let mut next = Vec::new();
    let why = if seen {
        "there is no volume with its id, and no pool of its node has anything of it"
    } else {
        next.push(step(
            "see first why its node reports nothing; the data may be there",
            "kubectl -n kube-system get pods -o wide -l app.kubernetes.io/name=storage-agent",
        ));
        "there is no volume with its id, and not every pool of its node is reported"
    };
    next.push(match claim {
        Some(claim) => step(
            "give the claim up",
            format!("kubectl -n {} delete pvc {}", claim.namespace, claim.name),
        ),
        None => step(
            "give it up",
            format!("kubectl delete pv {}", pv.metadata.name),
        ),
    });
    let size = pv.spec.capacity.get("storage");
    Some(Orphan {
        kind: OrphanKind::PersistentVolume,
        name: pv.metadata.name.clone(),
        node: node.map(str::to_owned),
        size: size.and_then(|size| super::size::quantity(size)),
        why: why.to_owned(),
        next,
    })
}

fn snapshot(joined: &Joined<'_>, snapshot: &Volume) -> Option<Orphan> {
    if lost::is_lost(joined, snapshot) {
        return Some(lost::snapshot(joined, snapshot));
    }
    // Without that kind nothing can be said of any.
    let unknown = joined.objects.absent.contains(&Kind::VolumeSnapshotContent);
    let owned = joined.content(&snapshot.id()).is_some();
    if unknown || owned || snapshot.spec.deleting || !is_old(joined, snapshot) {
        return None;
    }
    let origin = snapshot.spec.origin.as_ref();
    let claim = origin.and_then(|origin| {
        let volume = joined.volume(&origin.id)?;
        joined.claim(&origin.id, &volume.spec.csi_name)
    });
    let of = claim.as_ref().map_or_else(
        || "a volume that is gone".to_owned(),
        |claim| format!("claim {claim}"),
    );
    let place = Named {
        namespace: claim.map_or_else(|| "default".into(), |claim| claim.namespace),
        name: snapshot.spec.csi_name.clone(),
    };
    let keep = step(
        "keep it, make a VolumeSnapshot of it",
        restore::volume_snapshot(snapshot, &place),
    );
    let ready = snapshot.status.size > 0;
    Some(Orphan {
        kind: OrphanKind::Snapshot,
        name: snapshot.metadata.name.clone(),
        node: Some(snapshot.spec.node.clone()),
        size: Some(snapshot.size()),
        why: format!("it is of {of}, and no VolumeSnapshotContent has its id"),
        next: [keep]
            .into_iter()
            .filter(|_| ready)
            .chain([give_up("snapshots", snapshot)])
            .collect(),
    })
}

fn content(joined: &Joined<'_>, content: &Content) -> Option<Orphan> {
    let handle = content.handle();
    let there = joined.snapshot(handle).is_some() || joined.quarantined(handle).is_some();
    if handle.is_empty() || there {
        return None;
    }
    let reference = &content.spec.volume_snapshot_ref;
    Some(Orphan {
        kind: OrphanKind::SnapshotContent,
        name: content.metadata.name.clone(),
        node: None,
        size: None,
        why: "there is no snapshot with its id, and nothing of it is in quarantine".into(),
        next: vec![step(
            "give it up",
            format!(
                "kubectl -n {} delete volumesnapshot {}",
                reference.namespace, reference.name
            ),
        )],
    })
}
