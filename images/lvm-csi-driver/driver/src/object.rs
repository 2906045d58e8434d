//! The objects through which controller and agents speak: intent by the one, report by the other.

mod disk;
mod quarantined;

pub use disk::{Disk, DiskHealth, DiskId};
pub use quarantined::Quarantined;

use ingot_lvm::{Filesystem, Kind, Layout, Limits, Space, ThinGuard};
use ingot_volume_brain::{
    Bytes, Intent, LvName, NameHash, NodeName, Report, Version, VgName, VolumeUid,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
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

/// What a volume begins as a copy of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Origin {
    /// Volume or snapshot.
    pub kind: Kind,
    /// Its uid.
    pub uid: VolumeUid,
    /// Its CSI id, for those who ask.
    pub id: String,
}

/// A volume or a snapshot, wanted on a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Volume {
    /// What it is.
    pub kind: Kind,
    /// This life of it.
    pub uid: VolumeUid,
    /// Its CSI name.
    pub csi_name: String,
    /// Its owner: the node that has it.
    pub node: NodeName,
    /// The configured pool.
    pub pool: String,
    /// The volume group behind the pool.
    pub vg: VgName,
    /// How it lies.
    pub layout: Layout,
    /// Wanted size, in whole extents.
    pub size: Bytes,
    /// Deletion was asked for; never taken back.
    #[serde(default)]
    pub deleting: bool,
    /// What it begins as a copy of.
    #[serde(default)]
    pub origin: Option<Origin>,
    /// Encrypted with the key of its Secret.
    #[serde(default)]
    pub encrypted: bool,
    /// The filesystem of its class, if pods do not say.
    #[serde(default)]
    pub filesystem: Option<Filesystem>,
    /// How fast pods may use it.
    #[serde(default)]
    pub limits: Limits,
    /// The group of snapshots it belongs to.
    #[serde(default)]
    pub group: Option<String>,
    /// Seconds since 1970 when it was asked for.
    pub created: u64,
    /// The owner's report.
    #[serde(default)]
    pub report: Report,
    /// What the owner says about it, in words.
    #[serde(default)]
    pub message: String,
}

impl Volume {
    /// Where its object is.
    pub fn key(&self) -> Key {
        Key::named(self.kind, NameHash::of(&self.csi_name))
    }

    /// Its CSI id: the key and the life, so that a late request cannot meet the next life.
    pub fn id(&self) -> String {
        VolumeId::of(self).to_string()
    }

    /// Its logical volume.
    pub fn lv(&self) -> LvName {
        lv_name(self.kind, self.uid)
    }

    /// What the state machine needs of it.
    pub fn intent(&self, version: Version) -> Intent {
        Intent {
            uid: self.uid,
            version,
            size: self.size,
            deleting: self.deleting,
            report: self.report,
        }
    }
}

/// The logical volume of that life.
pub fn lv_name(kind: Kind, uid: VolumeUid) -> LvName {
    match kind {
        Kind::Volume => LvName::volume(uid),
        Kind::Snapshot => LvName::snapshot(uid),
    }
}

/// The id of a volume or snapshot as CSI sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VolumeId {
    /// What it names.
    pub kind: Kind,
    /// Stands for the CSI name.
    pub name: NameHash,
    /// The life.
    pub uid: VolumeUid,
}

impl VolumeId {
    /// The id of that object.
    pub fn of(volume: &Volume) -> Self {
        Self {
            kind: volume.kind,
            name: NameHash::of(&volume.csi_name),
            uid: volume.uid,
        }
    }

    /// Reads an id of that kind; nothing, if it is none of ours.
    pub fn parse(kind: Kind, id: &str) -> Option<Self> {
        let rest = match kind {
            Kind::Volume => id.strip_prefix("v-"),
            Kind::Snapshot => id.strip_prefix("s-"),
        }?;
        let (name, uid) = rest.split_once('-')?;
        Some(Self {
            kind,
            name: name.parse().ok()?,
            uid: uid.parse().ok()?,
        })
    }

    /// Where its object is.
    pub fn key(&self) -> Key {
        Key::named(self.kind, self.name)
    }
}

impl fmt::Display for VolumeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.key().name, self.uid)
    }
}

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
    /// Why nothing can be made in it now.
    #[serde(default)]
    pub trouble: Option<String>,
}

/// Any object.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "object")]
pub enum Object {
    /// A volume or snapshot.
    Volume(Box<Volume>),
    /// A group of snapshots.
    Group(GroupSnapshot),
    /// A pool on a node.
    Pool(Box<NodePool>),
    /// A disk of a node.
    Disk(Box<Disk>),
}

impl Object {
    /// The volume or snapshot, if it is one.
    pub fn volume(&self) -> Option<&Volume> {
        match self {
            Self::Volume(volume) => Some(volume),
            _ => None,
        }
    }

    /// The pool, if it is one.
    pub fn pool(&self) -> Option<&NodePool> {
        match self {
            Self::Pool(pool) => Some(pool),
            _ => None,
        }
    }

    /// The disk, if it is one.
    pub fn disk(&self) -> Option<&Disk> {
        match self {
            Self::Disk(disk) => Some(disk),
            _ => None,
        }
    }

    /// The group of snapshots, if it is one.
    pub fn group(&self) -> Option<&GroupSnapshot> {
        match self {
            Self::Group(group) => Some(group),
            _ => None,
        }
    }
}

impl From<Volume> for Object {
    fn from(volume: Volume) -> Self {
        Self::Volume(Box::new(volume))
    }
}
