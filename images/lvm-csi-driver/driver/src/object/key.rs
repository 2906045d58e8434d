//! Which object is meant.

use super::DiskId;
use ingot_lvm::Kind;
use ingot_volume_brain::{NameHash, NodeName};
use std::fmt;

/// Kinds of objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ObjectKind {
    /// A volume.
    Volume,
    /// A snapshot.
    Snapshot,
    /// Snapshots that were taken together.
    Group,
    /// A pool on a node.
    Pool,
    /// A disk of a node.
    Disk,
}

impl ObjectKind {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Volume,
        Self::Snapshot,
        Self::Group,
        Self::Pool,
        Self::Disk,
    ];

    /// Its plural, as paths have it.
    pub fn plural(self) -> &'static str {
        match self {
            Self::Volume => "volumes",
            Self::Snapshot => "snapshots",
            Self::Group => "groupsnapshots",
            Self::Pool => "nodepools",
            Self::Disk => "disks",
        }
    }
}

/// Kind and name: one object at a time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// The kind.
    pub kind: ObjectKind,
    /// The name within the kind.
    pub name: String,
}

impl Key {
    /// The object of a volume or snapshot with that CSI name: one name, one object.
    pub fn named(kind: Kind, name: NameHash) -> Self {
        match kind {
            Kind::Volume => Self {
                kind: ObjectKind::Volume,
                name: format!("v-{name}"),
            },
            Kind::Snapshot => Self {
                kind: ObjectKind::Snapshot,
                name: format!("s-{name}"),
            },
        }
    }

    /// The object of a group of snapshots.
    pub fn group(name: NameHash) -> Self {
        Self {
            kind: ObjectKind::Group,
            name: format!("g-{name}"),
        }
    }

    /// The object of a pool on a node.
    pub fn pool(node: &NodeName, pool: &str) -> Self {
        Self {
            kind: ObjectKind::Pool,
            name: format!("{pool}.{node}"),
        }
    }

    /// The object of a disk of a node.
    pub fn disk(node: &NodeName, disk: &DiskId) -> Self {
        Self {
            kind: ObjectKind::Disk,
            name: format!("{node}.{disk}"),
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind.plural(), self.name)
    }
}
