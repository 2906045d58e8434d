//! What an agent publishes of each logical volume in quarantine, so that a person can decide about it
//! without logging in to the node.

use super::{MOST, VolumeId};
use ingot_lvm::{Group, Kind};
use ingot_volume_brain::{Bytes, LvName, LvState};
use serde::{Deserialize, Serialize};

/// A logical volume that no object speaks of, kept until a person decides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Quarantined {
    /// Its name.
    pub lv: LvName,
    /// What it is.
    pub kind: Kind,
    /// The CSI id that it had.
    pub id: String,
    /// Its size.
    pub size: Bytes,
    /// The thin pool it is in.
    #[serde(default)]
    pub thin: Option<LvName>,
    /// Whether its content is encrypted by us.
    #[serde(default)]
    pub encrypted: bool,
}

impl Quarantined {
    /// Those of a group, by name; at most a thousand.
    pub fn of(group: &Group) -> Vec<Self> {
        let all = group.lvs.iter().filter_map(|lv| {
            let tags = lv.tags.as_ref()?;
            (tags.state == LvState::Quarantined).then(|| Self {
                lv: lv.lv.clone(),
                kind: tags.kind,
                id: VolumeId::tagged(tags).to_string(),
                size: lv.size,
                thin: lv.pool.clone(),
                encrypted: tags.encrypted,
            })
        });
        all.take(MOST).collect()
    }
}
