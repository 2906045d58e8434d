//! What commands are given.

use crate::layout::Layout;
use crate::tags::Tags;
use ingot_volume_brain::{Bytes, LvName, VgName};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;

/// A logical volume to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewLv {
    /// In this group.
    pub vg: VgName,
    /// With this name.
    pub lv: LvName,
    /// Of this size, in whole extents.
    pub size: Bytes,
    /// Lying so.
    pub layout: Layout,
    /// With these tags, from its first moment.
    pub tags: Tags,
}

/// A read-only copy to be made together with others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCopy {
    /// What is copied.
    pub source: LvName,
    /// The copy.
    pub lv: LvName,
    /// Its tags, from its first moment.
    pub tags: Tags,
}

/// A change of tags in one commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagChange {
    /// The group.
    pub vg: VgName,
    /// The volume.
    pub lv: LvName,
    /// The tags it has.
    pub from: Tags,
    /// The tags it gets.
    pub to: Tags,
}

impl TagChange {
    /// Tags to take off and to put on.
    pub fn difference(&self) -> (BTreeSet<String>, BTreeSet<String>) {
        let (from, to) = (self.from.encode(), self.to.encode());
        (
            from.difference(&to).cloned().collect(),
            to.difference(&from).cloned().collect(),
        )
    }
}

/// A secret that opens an encrypted volume. It has no `Display`, is never written down, and shows
/// nothing when debugged.
#[derive(Clone, PartialEq, Eq)]
pub struct Key(Vec<u8>);

impl Key {
    /// Takes the bytes.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The bytes, for the program that needs them.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(hidden)")
    }
}

/// What somebody would read where nothing lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FreeSpace {
    /// Zeros, or what was kept in no clear text.
    Erased,
    /// Whatever was there.
    Unknown,
}

/// How fast a device may be used; nothing means without limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Limits {
    /// Bytes read in a second.
    pub read_bytes: Option<u64>,
    /// Bytes written in a second.
    pub write_bytes: Option<u64>,
    /// Reads in a second.
    pub read_operations: Option<u64>,
    /// Writes in a second.
    pub write_operations: Option<u64>,
}
