//! Mounts. The places are real directories and files, what is mounted there is not.

use super::content::Made;
use super::state::{State, missing};
use crate::backend::Reply;
use crate::device::{Device, Filesystem, Mount, MountKind, Usage};
use crate::error::LvmError;
use ingot_volume_brain::Bytes;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

fn io(what: &str, path: &Path, error: &std::io::Error) -> LvmError {
    LvmError::Failed {
        command: format!("{what} {}", path.display()),
        reason: error.to_string(),
    }
}

fn make_place(target: &Path, kind: MountKind) -> Result<(), LvmError> {
    let made = match kind {
        MountKind::Filesystem => fs::create_dir(target),
        MountKind::Node => fs::File::create_new(target).map(drop),
    };
    match made {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(io("making", target, &error)),
        _ => Ok(()),
    }
}

impl State {
    fn free_place(&self, target: &Path) -> Result<(), LvmError> {
        if self.mounts.iter().any(|mount| mount.target == target) {
            return Err(LvmError::Exists {
                what: format!("mount on {}", target.display()),
            });
        }
        Ok(())
    }

    pub fn mount(
        &mut self,
        device: &Device,
        target: &Path,
        filesystem: Filesystem,
        copied: bool,
        read_only: bool,
    ) -> Result<Reply, LvmError> {
        self.free_place(target)?;
        let failed = |reason: String| LvmError::Failed {
            command: format!("mount -t {filesystem} {device} {}", target.display()),
            reason,
        };
        let made = self.content(device)?.filesystem.clone();
        let Some(Made {
            kind,
            whole,
            identity,
            ..
        }) = made
        else {
            return Err(failed("wrong fs type, bad superblock".into()));
        };
        if kind != filesystem || !whole {
            return Err(failed(format!("it holds {kind}, whole: {whole}")));
        }
        if kind == Filesystem::Xfs && !copied {
            let others: Vec<Device> = self.mounts.iter().map(|m| m.device.clone()).collect();
            for other in others.iter().filter(|other| *other != device) {
                let twin = self.content(other).ok().and_then(|c| c.filesystem.as_ref());
                if twin.is_some_and(|twin| twin.identity == identity) {
                    return Err(failed(format!("XFS has the UUID of {other}")));
                }
            }
        }
        let locked = self.volume(&device.vg, &device.lv)?.read_only;
        if locked && !read_only {
            return Err(failed("cannot mount read-only device for writing".into()));
        }
        make_place(target, MountKind::Filesystem)?;
        self.mounts.push(Mount {
            device: device.clone(),
            target: target.into(),
            kind: MountKind::Filesystem,
            read_only,
        });
        Ok(Reply::Done)
    }

    pub fn bind(
        &mut self,
        device: &Device,
        source: &Path,
        target: &Path,
        kind: MountKind,
        read_only: bool,
    ) -> Result<Reply, LvmError> {
        self.free_place(target)?;
        self.content(device)?;
        if kind == MountKind::Filesystem {
            let shown = |mount: &Mount| mount.target == source && mount.device == *device;
            if !self.mounts.iter().any(shown) {
                return Err(missing(format!("mount on {}", source.display())));
            }
        }
        if kind == MountKind::Node && read_only && !self.views.contains(&device.lv) {
            return Err(missing(format!("the read-only view of {device}")));
        }
        make_place(target, kind)?;
        self.mounts.push(Mount {
            device: device.clone(),
            target: target.into(),
            kind,
            read_only,
        });
        Ok(Reply::Done)
    }

    pub fn show_read_only(&mut self, device: &Device) -> Result<Reply, LvmError> {
        self.content(device)?;
        self.views.insert(device.lv.clone());
        Ok(Reply::Done)
    }

    pub fn withdraw(&mut self, device: &Device) -> Result<Reply, LvmError> {
        let shown = |mount: &Mount| {
            mount.device.lv == device.lv && mount.kind == MountKind::Node && mount.read_only
        };
        let what = format!("the read-only view of {device}");
        if self.mounts.iter().any(shown) {
            return Err(LvmError::InUse { what });
        }
        match self.views.remove(&device.lv) {
            true => Ok(Reply::Done),
            false => Err(missing(what)),
        }
    }

    pub fn unmount(&mut self, target: &Path) -> Result<Reply, LvmError> {
        self.mounts.retain(|mount| mount.target != target);
        let gone = match fs::symlink_metadata(target) {
            Ok(found) if found.is_dir() => fs::remove_dir(target),
            Ok(_) => fs::remove_file(target),
            Err(error) => Err(error),
        };
        match gone {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(io("removing", target, &error))
            }
            _ => Ok(Reply::Done),
        }
    }

    pub fn usage(&mut self, target: &Path) -> Result<Reply, LvmError> {
        let mount = self.mounts.iter().find(|mount| mount.target == target);
        let device = mount.map(|mount| mount.device.clone());
        let device = device.ok_or_else(|| missing(format!("mount on {}", target.display())))?;
        let content = self.content(&device)?;
        let made = content.filesystem.as_ref();
        let total = made.map_or(Bytes::ZERO, |made| made.size);
        let files = content.files.len() as u64;
        let inodes = total.0 >> 14;
        Ok(Reply::Usage(Usage {
            total,
            available: total.saturating_sub(Bytes(files << 12)),
            inodes,
            inodes_free: inodes.saturating_sub(files),
        }))
    }

    pub fn grow_filesystem(
        &mut self,
        device: &Device,
        target: &Path,
        filesystem: Filesystem,
    ) -> Result<Reply, LvmError> {
        let here = |mount: &Mount| mount.device == *device && mount.target == target;
        if !self.mounts.iter().any(here) {
            return Err(missing(format!("mount on {}", target.display())));
        }
        let size = self.size_of(device)?;
        let made = self.content(device)?.filesystem.as_mut();
        match made.filter(|made| made.kind == filesystem) {
            Some(made) => {
                made.size = size;
                Ok(Reply::Done)
            }
            None => Err(missing(format!("{filesystem} on {device}"))),
        }
    }
}
