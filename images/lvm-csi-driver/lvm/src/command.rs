//! Everything that is ever done to the storage of a node.

mod arguments;

pub use arguments::{FreeSpace, Key, Limits, NewCopy, NewLv, TagChange};

use crate::device::{Device, Filesystem, MountKind};
use crate::tags::Tags;
use ingot_volume_brain::{Bytes, LvName, VgName};
use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Report a volume group.
    Scan(VgName),
    /// Make a volume group of its configured devices.
    CreateGroup {
        /// The group.
        vg: VgName,
        /// Marks it as ours.
        tag: String,
    },
    /// Make a disk part of a group. One that is not empty is refused, unless it may be emptied.
    ExtendGroup {
        /// The group.
        vg: VgName,
        /// The disk, as the configuration names it: a path or a serial number.
        disk: String,
    },
    /// Take all that is free on a disk of a group for a logical volume that nobody is given.
    Reserve {
        /// The group.
        vg: VgName,
        /// The logical volume.
        lv: LvName,
        /// Path of the disk, as the group reports it.
        device: String,
        /// What is free on it.
        size: Bytes,
    },
    /// Give back what such a logical volume has at its end.
    Shrink {
        /// The group.
        vg: VgName,
        /// The logical volume.
        lv: LvName,
        /// Its new size.
        size: Bytes,
    },
    /// Write down on a disk of a group what its free space shows.
    MarkDisk {
        /// The group.
        vg: VgName,
        /// Path of the disk, as the group reports it.
        device: String,
        /// What that is.
        free: FreeSpace,
    },
    /// Make a thin pool.
    CreatePool {
        /// The group.
        vg: VgName,
        /// The pool.
        pool: LvName,
        /// Space for data.
        size: Bytes,
        /// Space for metadata.
        metadata: Bytes,
        /// Size of a chunk.
        chunk: Bytes,
    },
    /// Make a volume.
    Create(NewLv),
    /// Make a thin copy of a thin volume.
    Copy {
        /// The group.
        vg: VgName,
        /// What is copied.
        source: LvName,
        /// The copy.
        lv: LvName,
        /// Whether it can never be written to.
        read_only: bool,
        /// Its tags, from its first moment.
        tags: Tags,
    },
    /// Make read-only copies of several thin volumes, of one instant: nothing else is done to the group
    /// between them, and who writes stands still. If it is cut short, some may be there.
    CopyTogether {
        /// The group.
        vg: VgName,
        /// The copies.
        copies: Vec<NewCopy>,
        /// The uids of the pods that can write to the volumes.
        pods: BTreeSet<String>,
    },
    /// Let those devices of a group go on that a dead agent left suspended, and the pods that it held
    /// still.
    Resume(VgName),
    /// Change tags.
    Tag(TagChange),
    /// Enlarge a volume or a pool.
    Extend {
        /// The group.
        vg: VgName,
        /// The volume.
        lv: LvName,
        /// Its new size.
        size: Bytes,
    },
    /// Enlarge the metadata of a thin pool.
    ExtendMetadata {
        /// The group.
        vg: VgName,
        /// The pool.
        pool: LvName,
        /// The new size of its metadata.
        size: Bytes,
    },
    /// Remove a volume and what is on it.
    Remove {
        /// The group.
        vg: VgName,
        /// The volume.
        lv: LvName,
    },
    /// Make the device of a volume appear.
    Activate {
        /// The group.
        vg: VgName,
        /// The volume.
        lv: LvName,
    },
    /// Let the device of a volume lead to where its disks are now.
    Refresh {
        /// The group.
        vg: VgName,
        /// The volume.
        lv: LvName,
    },
    /// Look at the beginning of a device.
    Probe(Device),
    /// Size of a device.
    DeviceSize(Device),
    /// Overwrite a part of a device with zeros.
    Erase {
        /// The device.
        device: Device,
        /// From there on.
        from: Bytes,
        /// So much, in whole sectors.
        length: Bytes,
    },
    /// Make a filesystem over whatever is there.
    MakeFilesystem {
        /// On this device.
        device: Device,
        /// Of this kind.
        filesystem: Filesystem,
    },
    /// Enlarge a mounted filesystem to its device.
    GrowFilesystem {
        /// On this device.
        device: Device,
        /// Mounted here.
        target: PathBuf,
        /// Of this kind.
        filesystem: Filesystem,
    },
    /// List what is mounted from devices of ours.
    Mounts,
    /// Mount a filesystem; makes the directory.
    Mount {
        /// From this device.
        device: Device,
        /// Onto this directory.
        target: PathBuf,
        /// Of this kind.
        filesystem: Filesystem,
        /// Whether it began as a copy of another.
        copied: bool,
        /// Whether only for reading.
        read_only: bool,
        /// Further options, each checked before.
        options: Vec<String>,
    },
    /// Show what is mounted, or the device itself, at another place; makes the place. A device that is
    /// only to be read is shown by its view, which must be there.
    Bind {
        /// The device.
        device: Device,
        /// Where its filesystem is mounted; unused for device nodes.
        source: PathBuf,
        /// The other place.
        target: PathBuf,
        /// Filesystem or device node.
        kind: MountKind,
        /// Whether only for reading.
        read_only: bool,
    },
    /// Make a view of a device that the kernel lets nobody write to, or let it grow to its device.
    ShowReadOnly {
        /// The device.
        device: Device,
    },
    /// Remove that view.
    Withdraw {
        /// The device.
        device: Device,
    },
    /// Unmount whatever of ours is there and remove the place.
    Unmount {
        /// The place.
        target: PathBuf,
    },
    /// Fill of a mounted filesystem.
    Usage {
        /// Where it is mounted.
        target: PathBuf,
    },
    /// Make an encrypted volume over whatever is there.
    Encrypt {
        /// The logical volume.
        device: Device,
        /// Opens it from then on.
        key: Key,
    },
    /// Open an encrypted volume.
    Open {
        /// The logical volume.
        device: Device,
        /// Opens it.
        key: Key,
    },
    /// Close an encrypted volume.
    Close {
        /// The logical volume.
        device: Device,
    },
    /// Let the decrypted view grow to the logical volume.
    ResizeOpen {
        /// The logical volume.
        device: Device,
        /// Opens it.
        key: Key,
    },
    /// Limit the use of a device by one pod.
    Limit {
        /// The device.
        device: Device,
        /// The pod's uid, whose control group is meant.
        pod: String,
        /// How fast it may be used.
        limits: Limits,
    },
}

/// The line a command waits in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// Changes the metadata of a group: one at a time.
    Group(VgName),
    /// Works on one volume.
    Volume(LvName),
    /// Reads what the kernel has at hand.
    Node,
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Group(vg) => write!(f, "volume group {vg}"),
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
            | Self::Resume(vg)
            | Self::CopyTogether { vg, .. }
            | Self::CreateGroup { vg, .. }
            | Self::ExtendGroup { vg, .. }
            | Self::Reserve { vg, .. }
            | Self::Shrink { vg, .. }
            | Self::MarkDisk { vg, .. }
            | Self::CreatePool { vg, .. }
            | Self::Copy { vg, .. }
            | Self::Extend { vg, .. }
            | Self::ExtendMetadata { vg, .. }
            | Self::Remove { vg, .. }
            | Self::Activate { vg, .. }
            | Self::Refresh { vg, .. } => Lane::Group(vg.clone()),
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

    /// One word for all commands like it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Scan(_) => "scan",
            Self::CreateGroup { .. } => "create_group",
            Self::ExtendGroup { .. } => "extend_group",
            Self::Reserve { .. } => "reserve",
            Self::Shrink { .. } => "shrink",
            Self::MarkDisk { .. } => "mark_disk",
            Self::CreatePool { .. } => "create_pool",
            Self::Create(_) => "create",
            Self::Copy { .. } => "copy",
            Self::CopyTogether { .. } => "copy_together",
            Self::Resume(_) => "resume",
            Self::Tag(_) => "tag",
            Self::Extend { .. } => "extend",
            Self::ExtendMetadata { .. } => "extend_metadata",
            Self::Remove { .. } => "remove",
            Self::Activate { .. } => "activate",
            Self::Refresh { .. } => "refresh",
            Self::Probe(_) => "probe",
            Self::DeviceSize(_) => "device_size",
            Self::Erase { .. } => "erase",
            Self::MakeFilesystem { .. } => "make_filesystem",
            Self::GrowFilesystem { .. } => "grow_filesystem",
            Self::Mounts => "mounts",
            Self::Mount { .. } => "mount",
            Self::Bind { .. } => "bind",
            Self::ShowReadOnly { .. } => "show_read_only",
            Self::Withdraw { .. } => "withdraw",
            Self::Unmount { .. } => "unmount",
            Self::Usage { .. } => "usage",
            Self::Encrypt { .. } => "encrypt",
            Self::Open { .. } => "open",
            Self::Close { .. } => "close",
            Self::ResizeOpen { .. } => "resize_open",
            Self::Limit { .. } => "limit",
        }
    }

    /// Whether it changes anything.
    pub fn changes(&self) -> bool {
        !matches!(
            self,
            Self::Scan(_)
                | Self::Probe(_)
                | Self::DeviceSize(_)
                | Self::Mounts
                | Self::Usage { .. }
        )
    }

    /// A word and what it is done to, for logs and messages.
    pub fn name(&self) -> String {
        match self {
            Self::Scan(vg) => format!("scan of {vg}"),
            Self::CreateGroup { vg, .. } => format!("creation of group {vg}"),
            Self::ExtendGroup { vg, disk } => format!("addition of {disk} to group {vg}"),
            Self::Reserve {
                vg, device, size, ..
            } => {
                format!("reservation of {size} of {device} in {vg}")
            }
            Self::Shrink { vg, lv, size } => format!("shrinkage of {vg}/{lv} to {size}"),
            Self::MarkDisk { vg, device, free } => format!("mark of {device} in {vg}: {free:?}"),
            Self::CreatePool { vg, pool, .. } => format!("creation of pool {vg}/{pool}"),
            Self::Create(new) => format!("creation of {}/{}", new.vg, new.lv),
            Self::Copy { vg, source, lv, .. } => format!("copy of {vg}/{source} to {lv}"),
            Self::CopyTogether { vg, copies, .. } => {
                format!("copies of {} volumes of {vg} at once", copies.len())
            }
            Self::Resume(vg) => format!("resumption of {vg}"),
            Self::Tag(change) => format!("tagging of {}/{}", change.vg, change.lv),
            Self::Extend { vg, lv, size } => format!("growth of {vg}/{lv} to {size}"),
            Self::ExtendMetadata { vg, pool, size } => {
                format!("growth of the metadata of {vg}/{pool} to {size}")
            }
            Self::Remove { vg, lv } => format!("removal of {vg}/{lv}"),
            Self::Activate { vg, lv } => format!("activation of {vg}/{lv}"),
            Self::Refresh { vg, lv } => format!("refresh of {vg}/{lv}"),
            Self::Probe(device) => format!("look at {device}"),
            Self::DeviceSize(device) => format!("size of {device}"),
            Self::Erase {
                device,
                from,
                length,
            } => {
                format!("erasure of {length} of {device} from {from} on")
            }
            Self::MakeFilesystem { device, filesystem } => format!("mkfs.{filesystem} {device}"),
            Self::GrowFilesystem { device, .. } => format!("growth of the filesystem on {device}"),
            Self::Mounts => "list of mounts".into(),
            Self::Mount { device, target, .. } => {
                format!("mount of {device} on {}", target.display())
            }
            Self::Bind { device, target, .. } => {
                format!("bind of {device} to {}", target.display())
            }
            Self::ShowReadOnly { device } => format!("read-only view of {device}"),
            Self::Withdraw { device } => format!("removal of the read-only view of {device}"),
            Self::Unmount { target } => format!("unmount of {}", target.display()),
            Self::Usage { target } => format!("usage of {}", target.display()),
            Self::Encrypt { device, .. } => format!("encryption of {device}"),
            Self::Open { device, .. } => format!("opening of {device}"),
            Self::Close { device } => format!("closing of {device}"),
            Self::ResizeOpen { device, .. } => format!("resize of the opened {device}"),
            Self::Limit { device, pod, .. } => format!("limit of {device} for pod {pod}"),
        }
    }
}
