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
    let health = lv.health.as_ref()?;
    let remedy = if lv.partial() && lv.readable {
        "a disk of it is missing, and its other copies or its parity stand in; reconnect the disk, or replace it and run `lvconvert --repair`"
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
