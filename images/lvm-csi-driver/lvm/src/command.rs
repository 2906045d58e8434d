//! Everything that is ever done to the storage of a node.

mod arguments;
mod lane;
mod words;

pub use arguments::{FreeSpace, Key, Limits, NewCopy, NewLv, TagChange};
pub use lane::Lane;

use crate::blocks::BlockQuery;
use crate::device::{Device, Filesystem, MountKind};
use crate::tags::Tags;
use ingot_volume_brain::{Bytes, LvName, VgName};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Report a volume group.
    Scan(VgName),
    /// What the kernel has at hand about a thin pool. Starts no LVM and reads no disk.
    ThinFill {
        /// The group.
        vg: VgName,
        /// The pool.
        pool: LvName,
    },
    /// What of a thin volume is written, or differs from another. Pods write on meanwhile.
    ThinBlocks(BlockQuery),
    /// Let go of the picture of a thin pool's metadata that an agent which died while it looked left.
    ReleaseMetadata {
        /// The group.
        vg: VgName,
        /// The pool.
        pool: LvName,
    },
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
    /// Take a disk up again that was away while its group changed: LVM counts it as missing until then.
    RestoreDisk {
        /// The group.
        vg: VgName,
        /// Path of the disk, as the group reports it.
        device: String,
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
    /// Take away the devices of a thin pool and of all that lies in it, if nobody uses any.
    Deactivate {
        /// The group.
        vg: VgName,
        /// The pool.
        pool: LvName,
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

impl Command {
    /// Whether it changes anything.
    pub fn changes(&self) -> bool {
        !matches!(
            self,
            Self::Scan(_)
                | Self::ThinFill { .. }
                | Self::ThinBlocks(_)
                | Self::Probe(_)
                | Self::DeviceSize(_)
                | Self::Mounts
                | Self::Usage { .. }
        )
    }
}
