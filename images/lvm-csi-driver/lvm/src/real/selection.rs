//! Which disks a volume group is made of: only such as are there and empty, or may be emptied.

use super::Real;
use super::program::Program;
use crate::disks::{BlockDisk, scan};
use crate::error::LvmError;
use ingot_volume_brain::VgName;
use std::fs;
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

impl Real {
    /// Makes sure that all disks of a group are there and empty. One that is not is emptied only if its
    /// serial number was named for that.
    pub(super) fn empty_disks(&self, vg: &VgName) -> Result<(), LvmError> {
        let found = scan(Path::new("/"));
        for serial in self.serials.get(vg).into_iter().flatten() {
            if path(&found, serial).is_none() {
                return Err(LvmError::Invalid {
                    what: format!("no disk, or more than one, has the serial number {serial}"),
                    remedy:
                        "look at `lsblk --nodeps -o NAME,SERIAL` there, and at the disk's cable"
                            .into(),
                });
            }
        }
        for device in self.devices(vg)? {
            let Some(content) = content(&device)? else {
                continue;
            };
            let serial = serial(&found, &device);
            match serial {
                Some(serial) if self.wipe.contains(&serial) => {
                    // It refuses what is mounted or in use otherwise.
                    Program::new("wipefs").arg("--all").arg(&device).run()?;
                }
                serial => {
                    let or = serial
                        .map(|serial| format!(", or name its serial number {serial} under `wipe`"));
                    return Err(LvmError::Invalid {
                        what: format!(
                            "{device} is not empty, it holds {content}; nothing was changed"
                        ),
                        remedy: format!(
                            "if nobody needs it, empty it with `wipefs --all {device}`{}",
                            or.unwrap_or_default()
                        ),
                    });
                }
            }
        }
        Ok(())
    }
}

/// What is on a device; nothing, if it is empty.
fn content(device: &str) -> Result<Option<String>, LvmError> {
    let answer = Program::new("blkid")
        .args(["--probe", "--output", "export"])
        .arg(device)
        .output()?;
    match answer.code {
        Some(2) => Ok(None),
        Some(0) => {
            let kind = answer.value("TYPE").or_else(|| answer.value("PTTYPE"));
            Ok(Some(kind.unwrap_or_else(|| "an unknown signature".into())))
        }
        Some(8) => Ok(Some("several signatures".into())),
        _ => Err(answer.failed()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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
        };
        let found = [disk("sda", "S1"), disk("sdb", "S2"), disk("sdc", "S2")];
        assert_eq!(path(&found, "S1").as_deref(), Some("/dev/sda"));
        assert_eq!((path(&found, "S2"), path(&found, "S3")), (None, None));
    }
}
