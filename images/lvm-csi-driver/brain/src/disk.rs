//! What the tags of a logical volume say. LVM writes a volume and its tags in one commit.

use crate::bytes::Bytes;
use crate::name::VolumeUid;
use serde::{Deserialize, Serialize};

/// Life of a logical volume, as its tag says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum LvState {
    /// Being made; nobody was told of it.
    New,
    /// May hold data.
    Ready,
    /// Its removal was decided and may be carried on without asking again.
    Deleting,
    /// Nobody knows it; kept until a person decides.
    Quarantined,
}

/// Life of the filesystem on it, as its tag says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum FilesystemTag {
    /// No pod was ever given it. A filesystem may be in the making.
    Unformatted,
    /// It was seen empty, and an encryption is being made: whatever is on it is ours, and holds no data.
    Formatting,
    /// It has a filesystem, or was handed out as a raw device: never to be formatted again.
    Formatted,
}

/// A logical volume that carries the uid of a volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct OnDisk {
    /// The uid its tag names.
    pub uid: VolumeUid,
    /// Its life.
    pub state: LvState,
    /// Its size.
    pub size: Bytes,
    /// Its filesystem's life.
    pub filesystem: FilesystemTag,
}
