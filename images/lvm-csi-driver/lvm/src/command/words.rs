//! What commands are called, for metrics, logs and messages.

use super::Command;

impl Command {
    /// One word for all commands like it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Scan(_) => "scan",
            Self::ThinFill { .. } => "thin_fill",
            Self::ThinBlocks(_) => "thin_blocks",
            Self::ReleaseMetadata { .. } => "release_metadata",
            Self::CreateGroup { .. } => "create_group",
            Self::ExtendGroup { .. } => "extend_group",
            Self::RestoreDisk { .. } => "restore_disk",
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
            Self::Deactivate { .. } => "deactivate",
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

    /// A word and what it is done to, for logs and messages.
    pub fn name(&self) -> String {
        match self {
            Self::Scan(vg) => format!("scan of {vg}"),
            Self::ThinFill { vg, pool } => format!("look at the fill of {vg}/{pool}"),
            Self::ThinBlocks(query) => match &query.base {
                None => format!("look for what is written of {}/{}", query.vg, query.lv),
                Some(base) => {
                    format!(
                        "look for what differs in {}/{} from {base}",
                        query.vg, query.lv
                    )
                }
            },
            Self::ReleaseMetadata { vg, pool } => {
                format!("release of the metadata snapshot of {vg}/{pool}")
            }
            Self::CreateGroup { vg, .. } => format!("creation of group {vg}"),
            Self::ExtendGroup { vg, disk } => format!("addition of {disk} to group {vg}"),
            Self::RestoreDisk { vg, device } => format!("return of {device} to group {vg}"),
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
            Self::Deactivate { vg, pool } => format!("deactivation of pool {vg}/{pool}"),
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
