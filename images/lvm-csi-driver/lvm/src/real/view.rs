//! Views of raw devices that nobody can write to.
//!
//! A bind mount that is read-only guards the node's name, not the device behind it: whoever opens
//! the node may write. So a pod that may only read gets a device of its own, mapped onto the
//! volume and read-only for the kernel, whatever the pod may do.

use super::program::Program;
use super::tool::Tool;
use super::{Real, mountinfo};
use crate::backend::Reply;
use crate::device::{Device, Mount, MountKind};
use crate::error::LvmError;
use std::path::{Path, PathBuf};

/// Where the view of a device is.
pub(super) fn path(device: &Device) -> PathBuf {
    Path::new("/dev/mapper").join(device.read_only_view())
}

/// Makes the view, as large as its device is now.
pub(super) fn show(device: &Device) -> Result<Reply, LvmError> {
    let size = Real::size(device)?;
    let (name, view) = (device.read_only_view(), path(device));
    let table = format!("0 {} linear {} 0", size.0 / 512, device.path().display());
    if !view.exists() {
        return Program::new(Tool::Dmsetup)
            .args(["create", "--readonly", "--table", &table, &name])
            .run();
    }
    if Real::size_of(&view)? == size {
        return Ok(Reply::Done);
    }
    Program::new(Tool::Dmsetup)
        .args(["reload", "--readonly", "--table", &table, &name])
        .run()?;
    Program::new(Tool::Dmsetup).args(["resume", &name]).run()
}

/// Removes the view, unless somebody has it open.
pub(super) fn withdraw(device: &Device) -> Result<Reply, LvmError> {
    let (name, view) = (device.read_only_view(), path(device));
    if !view.exists() {
        return Err(LvmError::NotFound {
            what: view.display().to_string(),
        });
    }
    // A node that is bound elsewhere is open only while somebody uses it.
    let bound = |mount: &Mount| {
        mount.device.lv == device.lv && mount.kind == MountKind::Node && mount.read_only
    };
    if mountinfo::mounts()?.iter().any(bound) {
        return Err(LvmError::InUse {
            what: view.display().to_string(),
        });
    }
    // Udev may have it open for a moment.
    let answer = Program::new(Tool::Dmsetup)
        .args(["remove", "--retry", &name])
        .output()?;
    match answer.code {
        Some(0) => Ok(Reply::Done),
        _ if answer.stderr.contains("busy") => Err(LvmError::InUse {
            what: view.display().to_string(),
        }),
        _ => Err(answer.failed()),
    }
}
