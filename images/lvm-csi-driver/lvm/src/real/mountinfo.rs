//! Finds what is mounted from devices of ours, in the kernel's own list.

use crate::device::{Device, Mount, MountKind};
use crate::error::LvmError;
use ingot_volume_brain::{LvName, VgName};
use nix::mount::MsFlags;
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

/// The flags of what is mounted last on a place, but for whether it is read only; nothing, if nothing is.
pub(super) fn flags_at(target: &Path) -> Result<Option<MsFlags>, LvmError> {
    // Mounts of a thread are those of its process but in tests.
    let file = "/proc/thread-self/mountinfo";
    let text = fs::read_to_string(file).map_err(|error| LvmError::Failed {
        command: format!("read {file}"),
        reason: error.to_string(),
    })?;
    let options = text.lines().rev().find_map(|line| {
        let mut fields = line.split(' ').skip(4);
        let at = unescape(fields.next()?);
        (at == target).then(|| fields.next()).flatten()
    });
    Ok(options.map(flags))
}

/// Options of a mount as flags of mount(2). The kernel does not list `strictatime`: it is there where neither
/// `noatime` nor `relatime` is.
fn flags(options: &str) -> MsFlags {
    /// `MS_NOSYMFOLLOW` of linux/mount.h, since Linux 5.10.
    const NO_SYMLINKS: MsFlags = MsFlags::from_bits_retain(256);
    let flag = |option| match option {
        "nosuid" => MsFlags::MS_NOSUID,
        "nodev" => MsFlags::MS_NODEV,
        "noexec" => MsFlags::MS_NOEXEC,
        "noatime" => MsFlags::MS_NOATIME,
        "nodiratime" => MsFlags::MS_NODIRATIME,
        "relatime" => MsFlags::MS_RELATIME,
        "nosymfollow" => NO_SYMLINKS,
        _ => MsFlags::empty(),
    };
    let all: MsFlags = options.split(',').map(flag).collect();
    match all.intersects(MsFlags::MS_NOATIME | MsFlags::MS_RELATIME) {
        true => all,
        false => all | MsFlags::MS_STRICTATIME,
    }
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
    fn options_of_a_mount_are_flags_of_the_next_one() {
        assert_eq!(flags("rw,relatime"), MsFlags::MS_RELATIME);
        assert_eq!(
            flags("ro,nosuid,nodev,noexec,noatime,nodiratime,nosymfollow").bits(),
            2 | 4 | 8 | 1024 | 2048 | 256
        );
        assert_eq!(flags("rw"), MsFlags::MS_STRICTATIME);
    }

    #[test]
    fn paths_with_blanks_are_read() {
        assert_eq!(unescape(r"/a\040b\134c"), PathBuf::from(r"/a b\c"));
    }
}
