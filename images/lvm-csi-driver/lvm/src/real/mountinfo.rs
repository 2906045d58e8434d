//! Finds what is mounted from devices of ours, in the kernel's own list.

use crate::device::{Device, Mount, MountKind};
use crate::error::LvmError;
use ingot_volume_brain::{LvName, VgName};
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

/// All of them.
pub(super) fn mounts() -> Result<Vec<Mount>, LvmError> {
    let text = fs::read_to_string("/proc/self/mountinfo").map_err(|error| LvmError::Failed {
        command: "read /proc/self/mountinfo".into(),
        reason: error.to_string(),
    })?;
    Ok(text.lines().filter_map(mount).collect())
}

/// One line; nothing, if it shows no device of ours.
fn mount(line: &str) -> Option<Mount> {
    let mut fields = line.split(' ');
    let numbers = fields.nth(2)?;
    let target = unescape(fields.nth(1)?);
    let options = fields.next()?;
    let read_only = options.split(',').any(|option| option == "ro");
    if let Some(device) = device(numbers) {
        return Some(Mount {
            device,
            target,
            kind: MountKind::Filesystem,
            read_only,
        });
    }
    // A device node that is bound over a file shows the filesystem of /dev, so the node is asked.
    let kind = line.rsplit(" - ").next()?;
    if !kind.starts_with("devtmpfs ") && !kind.starts_with("tmpfs ") {
        return None;
    }
    let found = fs::metadata(&target).ok()?;
    if !found.file_type().is_block_device() {
        return None;
    }
    let number = found.rdev();
    let (major, minor) = (nix::sys::stat::major(number), nix::sys::stat::minor(number));
    Some(Mount {
        device: device(&format!("{major}:{minor}"))?,
        target,
        kind: MountKind::Node,
        read_only,
    })
}

/// The device of ours with that number.
fn device(numbers: &str) -> Option<Device> {
    let folder = Path::new("/sys/dev/block").join(numbers);
    let name = fs::read_to_string(folder.join("dm/name")).ok()?;
    let name = name.trim();
    if name.starts_with("ingot-ro-") {
        let below = fs::read_dir(folder.join("slaves")).ok()?.next()?.ok()?;
        let below = fs::read_to_string(below.path().join("dev")).ok()?;
        return device(below.trim());
    }
    if let Some(lv) = name.strip_prefix("ingot-luks-") {
        let below = fs::read_dir(folder.join("slaves")).ok()?.next()?.ok()?;
        let below = fs::read_to_string(below.path().join("dm/name")).ok()?;
        let (vg, found) = split(below.trim())?;
        return (found.as_str() == lv).then(|| Device::lv(&vg, &found).decrypted());
    }
    let (vg, lv) = split(name)?;
    Some(Device::lv(&vg, &lv))
}

/// Group and volume of a device-mapper name, where a single hyphen divides and others are doubled.
fn split(name: &str) -> Option<(VgName, LvName)> {
    let bytes = name.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        match (bytes[at], bytes.get(at + 1)) {
            (b'-', Some(b'-')) => at += 2,
            (b'-', _) => {
                let plain = |part: &str| part.replace("--", "-");
                let vg = VgName::new(&plain(&name[..at])).ok()?;
                return Some((vg, LvName::new(&plain(&name[at + 1..])).ok()?));
            }
            _ => at += 1,
        }
    }
    None
}

/// The kernel writes blanks, tabs, newlines and backslashes as three octal digits.
fn unescape(field: &str) -> PathBuf {
    let mut text = String::new();
    let mut rest = field;
    while let Some(at) = rest.find('\\') {
        text.push_str(&rest[..at]);
        let code = rest
            .get(at + 1..at + 4)
            .and_then(|d| u8::from_str_radix(d, 8).ok());
        match code {
            Some(code) => {
                text.push(char::from(code));
                rest = &rest[at + 4..];
            }
            None => {
                text.push('\\');
                rest = &rest[at + 1..];
            }
        }
    }
    text.push_str(rest);
    PathBuf::from(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_device_mapper_are_taken_apart() {
        let (vg, lv) = split("ingot--thin-v01").expect("two names");
        assert_eq!((vg.as_str(), lv.as_str()), ("ingot-thin", "v01"));
        assert!(split("nohyphen").is_none() && split("a--b").is_none());
    }

    #[test]
    fn paths_with_blanks_are_read() {
        assert_eq!(unescape(r"/a\040b\134c"), PathBuf::from(r"/a b\c"));
    }
}
