//! What is in quarantine is published for people, and goes the way that a person decides.

use crate::bed::Bed;
use crate::bed::request::{GIB, create};
use ingot_csi_proto::v1;
use ingot_lvm::{Backend, Command, Kind, Reply, TagChange, Tags};
use ingot_lvm_csi::object::{Key, Object, Quarantined, VolumeId};
use ingot_lvm_csi::store::Stored;
use ingot_volume_brain::{Bytes, LvName, LvState, NodeName, Phase, Report, VgName};
use std::time::Duration;

/// What a pool's object says is in quarantine.
async fn published(bed: &Bed, pool: &str) -> Vec<Quarantined> {
    let node = NodeName::new("node-1").expect("a name");
    let stored = bed.store.get(&Key::pool(&node, pool)).await;
    let stored = stored.expect("in memory").expect("published");
    stored.object.pool().expect("a pool").quarantined.clone()
}

/// A volume in that pool whose object was removed by a person's mistake.
async fn orphan(bed: &Bed, pool: &str) -> (v1::Volume, Stored) {
    bed.agent.prepare_pools().await;
    let volume = bed.create(create("v", GIB, &[("pool", pool)])).await;
    let volume = volume.expect("created");
    assert_eq!(published(bed, pool).await, []);
    let key = id(&volume).key();
    let stored = bed.store.get(&key).await.expect("in memory");
    let stored = stored.expect("there");
    let deleted = bed.store.delete(&key, stored.version).await;
    deleted.expect("deleted");
    bed.agent.settle().await.expect("settles");
    (volume, stored)
}

/// Without anybody's looking at everything: that is done every few minutes only.
#[tokio::test]
async fn it_is_published_as_soon_as_its_object_is_removed() {
    let bed = Bed::new();
    bed.agent.prepare_pools().await;
    let volume = bed.create(create("v", GIB, &[("pool", "thick")])).await;
    let key = id(&volume.expect("created")).key();
    // The first look at everything is over.
    bed.agent.settle().await.expect("settles");
    let stored = bed.store.get(&key).await.expect("in memory");
    let version = stored.expect("there").version;
    bed.store.delete(&key, version).await.expect("deleted");
    let told = async {
        while published(&bed, "thick").await.is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let told = tokio::time::timeout(Duration::from_secs(30), told).await;
    told.expect("nobody says that it has no object");
}

fn id(volume: &v1::Volume) -> VolumeId {
    VolumeId::parse(Kind::Volume, &volume.volume_id).expect("an id")
}

#[tokio::test]
async fn it_is_published_until_its_object_comes_back() {
    let bed = Bed::new();
    let (volume, stored) = orphan(&bed, "thin").await;
    let found = published(&bed, "thin").await;
    let expected = Quarantined {
        lv: LvName::volume(id(&volume).uid),
        kind: Kind::Volume,
        id: volume.volume_id.clone(),
        size: Bytes::gib(1),
        thin: Some(LvName::new("pool").expect("a name")),
        encrypted: false,
    };
    assert_eq!(found, [expected]);
    assert_eq!(published(&bed, "thick").await, []);
    // As a person writes it down again: nothing was reported yet.
    let mut again = stored.object.volume().expect("a volume").clone();
    again.report = Report::default();
    let created = bed.store.create(&id(&volume).key(), again.into()).await;
    created.expect("created");
    bed.agent.settle().await.expect("settles");
    assert_eq!(published(&bed, "thin").await, []);
    let stored = bed.store.get(&id(&volume).key()).await.expect("in memory");
    let Some(Object::Volume(back)) = stored.map(|stored| stored.object) else {
        panic!("its object is gone");
    };
    assert_eq!(back.report.phase, Phase::Ready);
}

/// The tags on the disk, as a person sees them there.
fn tags(bed: &Bed, vg: &VgName, lv: &LvName) -> Option<Tags> {
    match bed.sim.run(&Command::Scan(vg.clone())) {
        Ok(Reply::Group(group)) => group.lv(lv)?.tags.clone(),
        other => panic!("{other:?}"),
    }
}

/// `lvchange --deltag ingot1.state=quarantined --addtag ingot1.state=deleting`, as the command line
/// advises: a thick one is erased before its space is given back.
#[tokio::test]
async fn it_is_removed_when_a_person_tags_it_so() {
    for pool in ["thin", "thick"] {
        let bed = Bed::new();
        let (volume, _) = orphan(&bed, pool).await;
        assert_eq!(published(&bed, pool).await.len(), 1, "{pool}");
        let vg = VgName::new(&format!("ingot-{pool}")).expect("a name");
        let lv = LvName::volume(id(&volume).uid);
        let from = tags(&bed, &vg, &lv).expect("ours");
        let mut to = from.clone();
        to.state = LvState::Deleting;
        let (group, name) = (vg.clone(), lv.clone());
        let change = TagChange {
            vg: group,
            lv: name,
            from,
            to,
        };
        bed.sim.run(&Command::Tag(change)).expect("tagged");
        // An erasure goes on beside everything else.
        while tags(&bed, &vg, &lv).is_some() {
            bed.agent.settle().await.expect("settles");
        }
        bed.agent.settle().await.expect("settles");
        assert_eq!(published(&bed, pool).await, [], "{pool}");
    }
}
