//! One volume as people see it.

use crate::storage::health::{Finding, Severity};
use crate::storage::join::Named;
use serde::Serialize;

/// Where a volume is in its life, for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// A pod has it.
    InUse,
    /// It is there, and nobody uses it.
    Ready,
    /// It is claimed, and waits for a pod or for room.
    Waiting,
    /// It is being made.
    Creating,
    /// It is smaller than wanted, and grows.
    Expanding,
    /// It is on its way out.
    Deleting,
    /// It cannot be made.
    Refused,
    /// It was ready and is gone, with its data.
    Lost,
    /// It is there, and no object speaks of it.
    Quarantined,
    /// A PersistentVolume speaks of it, and nothing else does.
    Missing,
}

impl State {
    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Self::InUse => "in use",
            Self::Ready => "ready",
            Self::Waiting => "waiting",
            Self::Creating => "creating",
            Self::Expanding => "expanding",
            Self::Deleting => "deleting",
            Self::Refused => "refused",
            Self::Lost => "lost",
            Self::Quarantined => "quarantined",
            Self::Missing => "missing",
        }
    }
}

/// A volume.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct VolumeRow {
    /// Whose it is.
    pub claim: Option<Named>,
    /// Its CSI name, mostly that of its PersistentVolume.
    pub name: Option<String>,
    /// Its CSI id.
    pub id: Option<String>,
    /// Its PersistentVolume.
    pub persistent_volume: Option<String>,
    /// The node that has it.
    pub node: Option<String>,
    /// The pool it is in.
    pub pool: Option<String>,
    /// The volume group behind the pool.
    pub volume_group: Option<String>,
    /// Its logical volume.
    pub logical_volume: Option<String>,
    /// Its size in bytes.
    pub size: Option<u64>,
    /// How it lies on the disks.
    pub layout: Option<String>,
    /// Where it is in its life.
    pub state: State,
    /// What is known against it, the worst first.
    pub findings: Vec<Finding>,
}

impl VolumeRow {
    /// What to call it on the command line.
    pub fn called(&self) -> String {
        let claim = self.claim.as_ref().map(Named::to_string);
        let own = [&self.name, &self.logical_volume, &self.id];
        let own = || own.into_iter().flatten().next().cloned();
        claim.or_else(own).unwrap_or_default()
    }

    /// How bad it is, if a person should look at it.
    pub(super) fn trouble(&self) -> Option<Severity> {
        let worst = self.findings.first().map(|finding| finding.severity);
        worst.filter(|severity| *severity < Severity::Notice)
    }
}
