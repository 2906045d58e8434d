//! What is said of things that nobody owns, for machines and for people.

use super::super::size::human;
use serde::Serialize;
use std::fmt;

/// What it is that nobody owns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum OrphanKind {
    /// A logical volume in quarantine.
    LogicalVolume,
    /// A Volume object without PersistentVolume.
    Volume,
    /// A PersistentVolume without Volume object.
    PersistentVolume,
    /// A Snapshot object without VolumeSnapshotContent.
    Snapshot,
    /// A VolumeSnapshotContent without Snapshot object.
    SnapshotContent,
    /// A Volume object of a node that is not in the cluster.
    LostVolume,
    /// A Snapshot object of a node that is not in the cluster.
    LostSnapshot,
}

impl OrphanKind {
    fn words(self) -> &'static str {
        match self {
            Self::LogicalVolume => "logical volume in quarantine",
            Self::Volume => "volume without PersistentVolume",
            Self::PersistentVolume => "PersistentVolume without volume",
            Self::Snapshot => "snapshot without VolumeSnapshotContent",
            Self::SnapshotContent => "VolumeSnapshotContent without snapshot",
            Self::LostVolume => "volume without its node",
            Self::LostSnapshot => "snapshot without its node",
        }
    }
}

/// Something that nobody owns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Orphan {
    /// What it is.
    pub kind: OrphanKind,
    /// Its name: of the logical volume with its group, or of the object.
    pub name: String,
    /// The node it is on.
    pub node: Option<String>,
    /// Its size in bytes.
    pub size: Option<u64>,
    /// Why nobody owns it.
    pub why: String,
    /// What can be done, one of them.
    pub next: Vec<Step>,
}

/// Something that can be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// What for.
    pub to: String,
    /// The command.
    pub command: String,
}

pub(super) fn step(to: &str, command: impl Into<String>) -> Step {
    Step {
        to: to.to_owned(),
        command: command.into(),
    }
}

/// All that nobody owns, and where it could not be looked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OrphanList {
    /// By kind and name.
    pub orphans: Vec<Orphan>,
    /// Pools whose logical volumes are not known now.
    pub unseen: Vec<String>,
}

impl fmt::Display for OrphanList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.orphans.len() {
            0 if self.unseen.is_empty() => f.write_str("nothing is orphaned\n")?,
            0 => f.write_str("nothing is orphaned, as far as can be seen\n")?,
            1 => f.write_str("1 thing has no owner; nothing was changed\n")?,
            count => writeln!(f, "{count} things have no owner; nothing was changed")?,
        }
        for orphan in &self.orphans {
            write!(f, "\n{}: {}", orphan.kind.words(), orphan.name)?;
            if let Some(node) = &orphan.node {
                write!(f, " on {node}")?;
            }
            if let Some(size) = orphan.size {
                write!(f, ", {}", human(size))?;
            }
            write!(f, "\n  why: {}\n", orphan.why)?;
            for Step { to, command } in &orphan.next {
                write!(f, "  to {to}:\n    {command}\n")?;
            }
        }
        if !self.unseen.is_empty() {
            f.write_str("\nnot looked at, since nobody can see into it now:\n")?;
        }
        for pool in &self.unseen {
            writeln!(f, "  {pool}")?;
        }
        Ok(())
    }
}
