//! Volumes and snapshots of a node that is not in the cluster any more. Only their node could remove
//! them, so a deletion would wait for ever.

use super::super::join::{Joined, Named};
use super::super::objects::Volume;
use super::told::{Orphan, OrphanKind, step};

/// Whether nobody is there to whom it belongs.
pub(super) fn is_lost(joined: &Joined<'_>, volume: &Volume) -> bool {
    // A cluster has nodes: with none, they were not read.
    !joined.objects.nodes.is_empty() && joined.node(&volume.spec.node).is_none()
}

pub(super) fn volume(joined: &Joined<'_>, volume: &Volume) -> Orphan {
    let claim = joined.claim(&volume.id(), &volume.spec.csi_name);
    let claim = claim.map(|claim| ("pvc", "claim", claim));
    lost(OrphanKind::LostVolume, "volumes", volume, claim)
}

pub(super) fn snapshot(joined: &Joined<'_>, snapshot: &Volume) -> Orphan {
    let taken = joined.taken_as(snapshot);
    let taken = taken.map(|taken| ("volumesnapshot", "VolumeSnapshot", taken));
    lost(OrphanKind::LostSnapshot, "snapshots", snapshot, taken)
}

fn lost(
    kind: OrphanKind,
    plural: &str,
    lost: &Volume,
    user: Option<(&str, &str, Named)>,
) -> Orphan {
    let node = &lost.spec.node;
    let release = format!(
        "kubectl delete {plural}.storage.ingot.dev {}",
        lost.metadata.name
    );
    let (of, give_up) = match user {
        Some((resource, called, user)) => (
            format!(", and {called} {user} with it"),
            // First the wish: what is asked for and has no object would count as removed by mistake.
            format!(
                "kubectl -n {} delete {resource} {} --wait=false && {release}",
                user.namespace, user.name
            ),
        ),
        None => (String::new(), release),
    };
    Orphan {
        kind,
        name: lost.metadata.name.clone(),
        node: Some(node.clone()),
        size: Some(lost.size()),
        why: format!("node {node} is not in the cluster; what is on its disks waits for it"),
        next: vec![
            step(
                "have it again, bring the node back under its name, with its disks",
                "ingot apply",
            ),
            step(
                &format!("give it up{of}, if the node is gone for good"),
                give_up,
            ),
        ],
    }
}
