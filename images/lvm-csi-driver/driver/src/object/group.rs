//! Snapshots that are of one instant.

use super::Key;
use ingot_volume_brain::{NameHash, VolumeUid};
use serde::{Deserialize, Serialize};

/// Snapshots that were asked for together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GroupSnapshot {
    /// This life of it.
    pub uid: VolumeUid,
    /// Its CSI name.
    pub csi_name: String,
    /// The ids of the volumes, sorted.
    pub volumes: Vec<String>,
    /// The CSI names of the snapshots, in the order of the volumes.
    pub snapshots: Vec<String>,
    /// Seconds since 1970 when it was asked for.
    pub created: u64,
}

impl GroupSnapshot {
    /// Its CSI id.
    pub fn id(&self) -> String {
        format!("g-{}-{}", NameHash::of(&self.csi_name), self.uid)
    }

    /// The key that an id names, and the life.
    pub fn parse(id: &str) -> Option<(Key, VolumeUid)> {
        let (name, uid) = id.strip_prefix("g-")?.split_once('-')?;
        Some((Key::group(name.parse().ok()?), uid.parse().ok()?))
    }
}
