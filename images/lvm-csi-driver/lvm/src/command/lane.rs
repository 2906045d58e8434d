//! Which commands wait for each other.

use super::Command;
use ingot_volume_brain::{LvName, VgName};
use std::fmt;

/// The line a command waits in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// Changes the metadata of a group: one at a time.
    Group(VgName),
    /// Reads the metadata of thin pools of a group: the kernel keeps one picture of a pool for readers.
    Metadata(VgName),
    /// Works on one volume.
    Volume(LvName),
    /// Reads what the kernel has at hand.
    Node,
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Group(vg) => write!(f, "volume group {vg}"),
            Self::Metadata(vg) => write!(f, "thin metadata of {vg}"),
            Self::Volume(lv) => write!(f, "volume {lv}"),
            Self::Node => f.write_str("the node"),
        }
    }
}

impl Command {
    /// The line it waits in.
    pub fn lane(&self) -> Lane {
        match self {
            Self::Scan(vg)
            | Self::ThinFill { vg, .. }
            | Self::Resume(vg)
            | Self::CopyTogether { vg, .. }
            | Self::CreateGroup { vg, .. }
            | Self::ExtendGroup { vg, .. }
            | Self::RestoreDisk { vg, .. }
            | Self::Reserve { vg, .. }
            | Self::Shrink { vg, .. }
            | Self::MarkDisk { vg, .. }
            | Self::CreatePool { vg, .. }
            | Self::Copy { vg, .. }
            | Self::Extend { vg, .. }
            | Self::ExtendMetadata { vg, .. }
            | Self::Remove { vg, .. }
            | Self::Activate { vg, .. }
            | Self::Refresh { vg, .. }
            | Self::Deactivate { vg, .. } => Lane::Group(vg.clone()),
            Self::ThinBlocks(query) => Lane::Metadata(query.vg.clone()),
            Self::ReleaseMetadata { vg, .. } => Lane::Metadata(vg.clone()),
            Self::Create(new) => Lane::Group(new.vg.clone()),
            Self::Tag(change) => Lane::Group(change.vg.clone()),
            Self::Probe(device)
            | Self::DeviceSize(device)
            | Self::Erase { device, .. }
            | Self::MakeFilesystem { device, .. }
            | Self::GrowFilesystem { device, .. }
            | Self::Mount { device, .. }
            | Self::Bind { device, .. }
            | Self::ShowReadOnly { device }
            | Self::Withdraw { device }
            | Self::Encrypt { device, .. }
            | Self::Open { device, .. }
            | Self::Close { device }
            | Self::ResizeOpen { device, .. }
            | Self::Limit { device, .. } => Lane::Volume(device.lv.clone()),
            Self::Mounts | Self::Unmount { .. } | Self::Usage { .. } => Lane::Node,
        }
    }
}
