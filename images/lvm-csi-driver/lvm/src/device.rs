//! Devices, what is on them, and where they are mounted.

use ingot_volume_brain::{Bytes, LvName, VgName};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::PathBuf;

/// What an encrypted volume keeps before its content.
pub const LUKS_HEADER: Bytes = Bytes::mib(16);

/// A block device of ours.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Device {
    /// Its volume group.
    pub vg: VgName,
    /// The logical volume.
    pub lv: LvName,
    /// The decrypted view of it, not the logical volume itself.
    pub decrypted: bool,
}

impl Device {
    /// A logical volume.
    pub fn lv(vg: &VgName, lv: &LvName) -> Self {
        Self {
            vg: vg.clone(),
            lv: lv.clone(),
            decrypted: false,
        }
    }

    /// The decrypted view of the same volume.
    pub fn decrypted(&self) -> Self {
        Self {
            decrypted: true,
            ..self.clone()
        }
    }

    /// Device-mapper name of the decrypted view: LV names have a uid, so it is unique on the node.
    pub fn mapping(&self) -> String {
        format!("ingot-luks-{}", self.lv)
    }

    /// Device-mapper name of the view that nobody can write to.
    pub fn read_only_view(&self) -> String {
        format!("ingot-ro-{}", self.lv)
    }

    /// Where its device node is.
    pub fn path(&self) -> PathBuf {
        if self.decrypted {
            PathBuf::from("/dev/mapper").join(self.mapping())
        } else {
            PathBuf::from("/dev")
                .join(self.vg.as_str())
                .join(self.lv.as_str())
        }
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path().display())
    }
}

/// Filesystems that can be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Filesystem {
    /// ext4.
    Ext4,
    /// XFS.
    Xfs,
}

impl Filesystem {
    /// Its name for mount and blkid.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ext4 => "ext4",
            Self::Xfs => "xfs",
        }
    }

    /// The smallest device its tools accept.
    pub fn least(self) -> Bytes {
        match self {
            Self::Ext4 => Bytes::mib(4),
            Self::Xfs => Bytes::mib(300),
        }
    }
}

impl fmt::Display for Filesystem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What is at the beginning of a device.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Found {
    /// Nothing.
    Blank,
    /// A filesystem of ours; whole if its own read-only check says so.
    Filesystem {
        /// Which.
        filesystem: Filesystem,
        /// Whether its check passes.
        whole: bool,
    },
    /// An encrypted volume.
    Luks,
    /// Something else, as blkid names it.
    Other(String),
}

/// What a mount shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum MountKind {
    /// The filesystem on the device.
    Filesystem,
    /// The device node itself, over a file.
    Node,
}

/// A place where a device of ours is mounted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Mount {
    /// What is mounted.
    pub device: Device,
    /// Where.
    pub target: PathBuf,
    /// As what.
    pub kind: MountKind,
    /// Whether only for reading.
    pub read_only: bool,
}

/// Fill of a filesystem.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Its size.
    pub total: Bytes,
    /// What ordinary users may still write.
    pub available: Bytes,
    /// All inodes.
    pub inodes: u64,
    /// Inodes not in use.
    pub inodes_free: u64,
}
