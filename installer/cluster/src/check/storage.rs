//! `nodes[].storage`: pools and their disks. What is on the disks is for the node's agent to see.

mod disks;
mod thin;

use crate::finding::Report;
use crate::model::Pool;
use crate::shape::{field, item};
use crate::spec;

/// The longest name of a pool: with `ingot-` it still names a volume group.
const LONGEST: usize = 55;

/// What of a node's storage is good.
#[derive(Default)]
pub(super) struct Disks {
    /// The pools.
    pub(super) pools: Vec<Pool>,
    /// Serial numbers of disks that may be emptied for them.
    pub(super) wipe: Vec<String>,
}

/// Whether backup programs may ask which blocks of snapshots have changed.
pub(super) fn snapshot_metadata(spec: &spec::Spec, report: &mut Report) -> bool {
    let offers = spec.storage.as_ref();
    let wanted = offers.and_then(|offers| offers.snapshot_metadata) == Some(true);
    let mut nodes = spec.nodes.iter().flatten().flatten();
    if wanted && !nodes.any(|node| node.storage.is_some()) {
        report.error(
            "spec.storage.snapshotMetadata",
            "no node has disks for the cluster, so there are no snapshots to tell of",
            "give a node pools under `storage`, or take this out",
        );
    }
    wanted
}

/// Checks the storage of one node.
pub(super) fn check(place: &str, given: Option<&spec::Storage>, report: &mut Report) -> Disks {
    let Some(given) = given else {
        return Disks::default();
    };
    let wipe = given.wipe.as_deref().and_then(|given| {
        let next = "once is enough";
        disks::serials(&field(place, "wipe"), given, &mut Vec::new(), next, report)
    });
    Disks {
        pools: pools(&field(place, "pools"), given, report),
        wipe: wipe.unwrap_or_default(),
    }
}

fn pools(place: &str, given: &spec::Storage, report: &mut Report) -> Vec<Pool> {
    if given.pools.as_ref().is_some_and(Vec::is_empty) {
        report.error(
            place,
            "there is no pool",
            "list at least one, or remove `storage`",
        );
    }
    let (mut pools, mut disks) = (Vec::<Pool>::new(), disks::Named::default());
    for (index, given) in given.pools.iter().flatten().enumerate() {
        let (place, Some(given)) = (item(place, index), given) else {
            continue;
        };
        let name = given
            .name
            .as_deref()
            .and_then(|text| name(&field(&place, "name"), text, &pools, report));
        let disks = disks.of(&place, given, report);
        let thin = given
            .thin
            .as_ref()
            .map(|given| thin::check(&field(&place, "thin"), given, report));
        let group = match (&given.volume_group, &name) {
            (Some(text), _) => group(&field(&place, "volumeGroup"), text, &pools, report),
            (None, Some(name)) => Some(format!("ingot-{name}")),
            (None, None) => None,
        };
        if let (Some(name), Some(volume_group), Some((devices, serials))) = (name, group, disks)
            && !matches!(thin, Some(None))
        {
            pools.push(Pool {
                name,
                volume_group,
                devices,
                serials,
                erase: given.erase,
                thin: thin.flatten(),
            });
        }
    }
    pools
}

fn name(place: &str, text: &str, pools: &[Pool], report: &mut Report) -> Option<String> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if !(1..=LONGEST).contains(&text.len()) || !text.chars().all(plain) || text.starts_with('-') {
        report.error(
            place,
            format!("`{}` cannot name a pool", crate::tree::shorten(text)),
            format!("use 1 to {LONGEST} lower-case letters, digits and hyphens, no hyphen first"),
        );
        return None;
    }
    if pools.iter().any(|pool| pool.name == text) {
        report.error(
            place,
            format!("another pool of this node is named `{text}`"),
            "give each pool of a node its own name; pools of different nodes may share one",
        );
        return None;
    }
    Some(text.into())
}

fn group(place: &str, text: &str, pools: &[Pool], report: &mut Report) -> Option<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_.+-".contains(c);
    let named = (1..=60).contains(&text.len()) && text.chars().all(plain);
    if !named || text.starts_with('-') || text == "." || text == ".." {
        report.error(
            place,
            format!(
                "`{}` cannot name a volume group",
                crate::tree::shorten(text)
            ),
            "use up to 60 letters, digits, `_`, `.`, `+` and `-`, no hyphen first; or leave it out",
        );
        return None;
    }
    if pools.iter().any(|pool| pool.volume_group == text) {
        report.error(
            place,
            format!("another pool of this node has the volume group `{text}`"),
            "give each pool its own, or leave it out",
        );
        return None;
    }
    Some(text.into())
}
