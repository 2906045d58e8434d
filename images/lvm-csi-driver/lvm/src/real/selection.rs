//! Which disks a volume group is made of: only such as are there and empty, or may be emptied.

use super::Real;
use super::program::Program;
use super::tool::Tool;
use crate::disks::{BlockDisk, scan};
use crate::error::LvmError;
use ingot_volume_brain::VgName;
use std::fs;
use std::io::Read;
use std::path::Path;

/// Where the disk with a serial number is.
pub(super) fn path(found: &[BlockDisk], serial: &str) -> Option<String> {
    let mut those = found
        .iter()
        .filter(|disk| disk.serial.as_deref() == Some(serial));
    // Two with one number are told apart by nobody.
    let (first, second) = (those.next(), those.next());
    first.filter(|_| second.is_none()).map(BlockDisk::path)
}

/// The serial number of the disk behind a path.
fn serial(found: &[BlockDisk], device: &str) -> Option<String> {
    let node = fs::canonicalize(device).ok()?;
    let name = node.file_name()?.to_str()?;
    let disk = found.iter().find(|disk| disk.kernel_name == name)?;
    disk.serial.clone()
}

/// A serial number by which no disk can be told.
pub(super) fn no_disk(serial: &str) -> LvmError {
    LvmError::Invalid {
        what: format!("no disk, or more than one, has the serial number {serial}"),
        remedy: "look at `lsblk --nodeps -o NAME,SERIAL` there, and at the disk's cable".into(),
    }
}

impl Real {
    /// Makes sure that all disks of a group are there and empty.
    pub(super) fn empty_disks(&self, vg: &VgName) -> Result<(), LvmError> {
        let found = scan(Path::new("/"));
        for serial in self.serials.get(vg).into_iter().flatten() {
            if path(&found, serial).is_none() {
                return Err(no_disk(serial));
            }
        }
        for device in self.devices(vg)? {
            if fs::metadata(&device).is_err() {
                return Err(LvmError::Invalid {
                    what: format!("disk {device} of volume group {vg} is not there"),
                    remedy: "connect it, or take it out of the disks of its pool".into(),
                });
            }
            self.empty(vg, &found, &device)?;
        }
        Ok(())
    }

    /// Makes sure that a disk is empty. One that is not is emptied only if its serial number was named
    /// for that.
    pub(super) fn empty(
        &self,
        vg: &VgName,
        found: &[BlockDisk],
        device: &str,
    ) -> Result<(), LvmError> {
        let Some(content) = content(device)? else {
            return Ok(());
        };
        if content.kind == LVM && self.unused(vg, device)? {
            return Ok(());
        }
        let serial = serial(found, device);
        match serial {
            Some(serial) if self.wipe.contains(&serial) => {
                // It refuses what is mounted or in use otherwise.
                Program::new(Tool::Wipefs).arg("--all").arg(device).run()?;
                Ok(())
            }
            serial => {
                let or = serial
                    .map(|serial| format!(", or name its serial number {serial} under `wipe`"));
                let kind = content.kind;
                Err(LvmError::Invalid {
                    what: format!("{device} is not empty, it holds {kind}; nothing was changed"),
                    remedy: format!(
                        "if nobody needs it, empty it with `wipefs --all {device}`{}",
                        or.unwrap_or_default()
                    ),
                })
            }
        }
    }

    /// Whether a physical volume is in no group: what is left where a group was about to take the disk
    /// and the power went, or has let it go. LVM says itself that nothing lies on it.
    fn unused(&self, vg: &VgName, device: &str) -> Result<bool, LvmError> {
        let answer = Program::new(Tool::Lvm)
            .args(["pvs", "--noheadings", "--options", "vg_name,pv_in_use"])
            .args(["--devices", device, device])
            .sharing(self.group(vg)?.hold.share()?)
            .output()?;
        Ok(answer.code == Some(0) && answer.stdout.trim().is_empty())
    }
}

/// Tells a device with nothing on it from one that cannot be read: blkid does not.
pub(super) fn readable(device: &Path) -> Result<(), LvmError> {
    let read = fs::File::open(device).and_then(|mut file| file.read_exact(&mut [0; 4096]));
    read.map_err(|error| LvmError::Failed {
        command: format!("read {}", device.display()),
        reason: error.to_string(),
    })
}

/// What blkid calls a disk of LVM.
const LVM: &str = "LVM2_member";

/// What is on a device.
pub(super) struct Content {
    /// As blkid names it.
    pub kind: String,
    /// Its identity, if it has one.
    pub uuid: Option<String>,
}

/// What is on a device; nothing, if it is empty.
pub(super) fn content(device: &str) -> Result<Option<Content>, LvmError> {
    let answer = Program::new(Tool::Blkid)
        .args(["--probe", "--output", "export"])
        .arg(device)
        .output()?;
    let kind = match answer.code {
        Some(2) => {
            readable(Path::new(device))?;
            return Ok(None);
        }
        Some(0) => {
            let kind = answer.value("TYPE").or_else(|| answer.value("PTTYPE"));
            kind.unwrap_or_else(|| "an unknown signature".into())
        }
        Some(8) => "several signatures".into(),
        _ => return Err(answer.failed()),
    };
    Ok(Some(Content {
        kind,
        uuid: answer.value("UUID"),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::real::RealGroup;
    use ingot_volume_brain::Bytes;

    #[test]
    fn a_serial_number_that_two_disks_have_selects_none() {
        let disk = |name: &str, serial: &str| BlockDisk {
            kernel_name: name.into(),
            names: Vec::new(),
            size: Bytes::gib(1),
            model: None,
            serial: Some(serial.into()),
            rotational: false,
            content: None,
            mounted: None,
            failed: false,
            read_only: false,
        };
        let found = [disk("sda", "S1"), disk("sdb", "S2"), disk("sdc", "S2")];
        assert_eq!(path(&found, "S1").as_deref(), Some("/dev/sda"));
        assert_eq!((path(&found, "S2"), path(&found, "S3")), (None, None));
    }

    #[test]
    fn a_disk_that_is_not_there_is_told_from_one_that_cannot_be_read() {
        let vg = VgName::new("vg").expect("a name");
        let devices = vec!["/nowhere/disk".to_owned()];
        let real = Real::new([RealGroup {
            vg: vg.clone(),
            devices,
        }]);
        let error = real.empty_disks(&vg).expect_err("not there");
        assert!(matches!(error, LvmError::Invalid { .. }), "{error:?}");
        let words = "disk /nowhere/disk of volume group vg is not there; connect it";
        assert!(error.to_string().starts_with(words), "{error}");
    }
}
