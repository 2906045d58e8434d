//! What is on a volume, by a look at its device.

use super::program::Program;
use super::tool::Tool;
use super::{Real, ends, selection};
use crate::device::{Device, Filesystem, Found};
use crate::error::LvmError;

impl Real {
    pub(super) fn probe(device: &Device) -> Result<Found, LvmError> {
        Self::size(device)?;
        // What cannot be read is for the program to tell of.
        if ends::are_blank(&device.path()).unwrap_or(false) {
            return Ok(Found::Blank);
        }
        let answer = Program::new(Tool::Blkid)
            .args(["--probe", "--output", "export"])
            .arg(device.path())
            .output()?;
        let kind = match answer.code {
            // "nothing found" and "ambivalent" have codes of their own.
            Some(2) => {
                selection::readable(&device.path())?;
                return Ok(Found::Blank);
            }
            Some(8) => return Ok(Found::Other("several signatures at once".into())),
            Some(0) => answer.value("TYPE").or_else(|| answer.value("PTTYPE")),
            _ => return Err(answer.failed()),
        };
        let filesystem = match kind.as_deref() {
            Some("ext4") => Filesystem::Ext4,
            Some("xfs") => Filesystem::Xfs,
            Some("crypto_LUKS") => return Ok(Found::Luks),
            Some(other) => return Ok(Found::Other(other.to_owned())),
            None => return Ok(Found::Other("an unknown signature".into())),
        };
        Ok(Found::Filesystem {
            filesystem,
            whole: Self::whole(device, filesystem)?,
        })
    }

    /// Whether mkfs came to its end: a look at the superblock, since a full check takes minutes.
    fn whole(device: &Device, filesystem: Filesystem) -> Result<bool, LvmError> {
        match filesystem {
            // mke2fs writes the superblock last.
            Filesystem::Ext4 => {
                let answer = Program::new(Tool::Dumpe2fs)
                    .arg("-h")
                    .arg(device.path())
                    .output()?;
                Ok(answer.code == Some(0))
            }
            // mkfs.xfs marks the superblock until it has ended.
            Filesystem::Xfs => {
                let answer = Program::new(Tool::XfsDb)
                    .args(["-r", "-c", "sb 0", "-c", "print inprogress"])
                    .arg(device.path())
                    .output()?;
                Ok(answer.code == Some(0) && answer.stdout.contains("inprogress = 0"))
            }
        }
    }
}
