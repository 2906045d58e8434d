//! What the controller must know of a pool.

use super::{Ailing, Quarantined};
use ingot_lvm::{Space, ThinGuard};
use ingot_volume_brain::{Bytes, LvName, NodeName, VgName};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What an agent publishes of a pool.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodePool {
    /// The node.
    pub node: NodeName,
    /// Further labels by which the node is found.
    #[serde(default)]
    pub topology: BTreeMap<String, String>,
    /// The configured pool.
    pub pool: String,
    /// Its volume group.
    pub vg: VgName,
    /// Its thin pool, if it has one.
    pub thin: Option<LvName>,
    /// When the thin pool stops.
    #[serde(default)]
    pub guard: ThinGuard,
    /// What is free.
    pub space: Space,
    /// What is in it and nobody's.
    #[serde(default)]
    pub quarantined: Vec<Quarantined>,
    /// What will be free when it shows nothing any more of what its disks held before.
    #[serde(default)]
    pub overwriting: Bytes,
    /// Its volumes with which something is wrong on the disks.
    #[serde(default)]
    pub ailing: Vec<Ailing>,
    /// The disks of its group that are not there; what does not lie on them can be used.
    #[serde(default)]
    pub missing: Vec<String>,
    /// Why nothing can be made in it now.
    #[serde(default)]
    pub trouble: Option<String>,
}
