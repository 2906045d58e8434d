//! The objects through which controller and agents speak: intent by the one, report by the other.

mod ailing;
mod disk;
mod group;
mod key;
mod pool;
mod quarantined;

pub use ailing::Ailing;
pub(crate) use ailing::ailment;
pub use disk::{Disk, DiskHealth, DiskId};
pub use group::GroupSnapshot;
pub use key::{Key, ObjectKind};
pub use pool::NodePool;
pub use quarantined::Quarantined;

use ingot_lvm::{Filesystem, Kind, Layout, Limits, Tags};
use ingot_volume_brain::{
    Bytes, Intent, LvName, NameHash, NodeName, Report, Version, VgName, VolumeUid,
};
use serde::{Deserialize, Serialize};
use std::fmt;

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
    /// Whether its deletion waits for those who use it.
    #[serde(default)]
    pub in_use: bool,
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

/// So much is told of what a pool has: an object of the API has its limits, and a pool whose object cannot
/// be written takes no volumes.
const MOST: usize = 1000;

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

    /// The id that those tags on a disk are of.
    pub fn tagged(tags: &Tags) -> Self {
        Self {
            kind: tags.kind,
            name: tags.name,
            uid: tags.uid,
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
