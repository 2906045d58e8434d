//! What an agent publishes of each volume with which something is wrong on the disks, so that the
//! controller can say so, too.

use super::{MOST, VolumeId};
use ingot_lvm::{Group, Lv};
use serde::{Deserialize, Serialize};

/// A volume of which LVM finds something wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ailing {
    /// Its CSI id.
    pub id: String,
    /// Whether all of it can still be read and written.
    pub readable: bool,
    /// What is wrong, and what to do.
    pub message: String,
}

impl Ailing {
    /// Those of a group, by name; at most a thousand.
    pub fn of(group: &Group) -> Vec<Self> {
        let all = group.lvs.iter().filter_map(|lv| {
            let tags = lv.tags.as_ref()?;
            Some(Self {
                id: VolumeId::tagged(tags).to_string(),
                readable: lv.readable,
                message: ailment(lv)?,
            })
        });
        all.take(MOST).collect()
    }
}

/// What is wrong with a logical volume and what to do, if anything is.
pub(crate) fn ailment(lv: &Lv) -> Option<String> {
    match (said(lv), rot(lv)) {
        (Some(said), Some(rot)) => Some(format!("{said}; {rot}")),
        (said, rot) => said.or(rot),
    }
}

/// What checksums have told of a disk that does not give back what was written.
fn rot(lv: &Lv) -> Option<String> {
    let integrity = lv.integrity.as_ref().filter(|found| found.mismatches > 0)?;
    let disks = match integrity.on.as_slice() {
        [] => "a disk of it".to_owned(),
        disks => disks.join(" and "),
    };
    let times = match integrity.mismatches {
        1 => "once".to_owned(),
        times => format!("{times} times"),
    };
    Some(format!(
        "{disks} gave {times} what was not written, as its checksums tell; it was read from the other copies or the parity, and written anew; replace that disk with `lvconvert --replace`"
    ))
}

/// What LVM itself says.
fn said(lv: &Lv) -> Option<String> {
    let health = lv.health.as_ref()?;
    let remedy = if lv.partial() && lv.readable {
        "a disk of it is missing, and its other copies or its parity stand in; reconnect the disk, or replace it and run `lvconvert --repair`"
    } else if lv.partial() && lv.integrity.is_some() && !lv.active {
        "a disk of it is missing, and LVM activates a RAID with checksums only whole; reconnect the disk, or give the checksums up with `lvconvert --raidintegrity n` of it"
    } else if lv.partial() {
        "a disk of it is missing, and nothing stands in for that; reconnect the disk, or restore the volume from a snapshot or a backup elsewhere"
    } else if health.contains("refresh") {
        "a disk of it was away; it is used again within a minute, so where this stays, run `lvchange --refresh` of it, and look for a failing disk with `dmesg`"
    } else if health.contains("mismatches") {
        "its copies differ; run `lvchange --syncaction repair` of it"
    } else {
        "look at `lvs -a -o +devices,lv_health_status` there, and for a failing disk with `dmesg`"
    };
    Some(format!("LVM reports {health}: {remedy}"))
}
