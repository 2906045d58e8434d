//! What is to be done for a volume: on its disk, or in the API.

use crate::bytes::Bytes;
use crate::intent::{Report, Version};
use serde::{Deserialize, Serialize};

/// What is to be done next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Command {
    /// Write [`Phase::Claimed`] on that version of the object: proof that no later one says ready.
    Claim(Version),
    /// Make the logical volume.
    CreateLv,
    /// Enlarge it.
    Grow(Bytes),
    /// Write the tag [`LvState::Ready`].
    MarkReady,
    /// Write the tag [`LvState::Deleting`].
    MarkDeleting,
    /// Remove the logical volume.
    RemoveLv,
    /// Write the tag [`LvState::Quarantined`].
    Quarantine,
    /// Write that report on that version of the object.
    Report(Version, Report),
    /// Delete that version of the object.
    Release(Version),
}

impl Command {
    /// Whether it changes the disk; the others write to the API.
    pub fn on_disk(self) -> bool {
        !matches!(self, Self::Claim(_) | Self::Report(..) | Self::Release(_))
    }
}
