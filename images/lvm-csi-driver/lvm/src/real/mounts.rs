//! Mounts, binds, and the decrypted views of encrypted volumes.

use super::mountinfo;
use super::program::Program;
use super::tool::Tool;
use crate::backend::Reply;
use crate::command::{Command, Key};
use crate::device::{Device, Filesystem, MountKind, Usage};
use crate::error::LvmError;
use ingot_volume_brain::Bytes;
use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags};
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

fn failed(what: &str, path: &Path, error: impl std::fmt::Display) -> LvmError {
    LvmError::Failed {
        command: format!("{what} {}", path.display()),
        reason: error.to_string(),
    }
}

fn place(target: &Path, kind: MountKind) -> Result<(), LvmError> {
    let made = match kind {
        MountKind::Filesystem => fs::create_dir(target),
        MountKind::Node => fs::File::create_new(target).map(drop),
    };
    match made {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            Err(failed("making", target, error))
        }
        _ => Ok(()),
    }
}

fn free(target: &Path) -> Result<(), LvmError> {
    if mountinfo::mounts()?
        .iter()
        .any(|mount| mount.target == target)
    {
        return Err(LvmError::Exists {
            what: format!("mount on {}", target.display()),
        });
    }
    Ok(())
}

/// Mounts a filesystem by the program, which knows what options are flags.
pub(super) fn mount(command: &Command) -> Result<Reply, LvmError> {
    let Command::Mount {
        device,
        target,
        filesystem,
        copied,
        read_only,
        options,
    } = command
    else {
        return Ok(Reply::Done);
    };
    free(target)?;
    place(target, MountKind::Filesystem)?;
    // With the option alone, mount(8) would fall back to reading only where a device refuses writes.
    let access = if *read_only { "--read-only" } else { "--rw" };
    let mut all = vec![if *read_only { "ro" } else { "rw" }];
    if *filesystem == Filesystem::Xfs && *copied {
        // It has the UUID of its origin, which may be mounted too.
        all.push("nouuid");
    }
    all.extend(options.iter().map(String::as_str));
    Program::new(Tool::Mount)
        .args([access, "-t", filesystem.name(), "-o", &all.join(",")])
        .arg(device.path())
        .arg(target)
        .run()
}

/// Shows a mounted filesystem, or the device node, at another place.
pub(super) fn bind(
    device: &Device,
    source: &Path,
    target: &Path,
    kind: MountKind,
    read_only: bool,
) -> Result<Reply, LvmError> {
    free(target)?;
    place(target, kind)?;
    let node = match read_only {
        true => super::view::path(device),
        false => device.path(),
    };
    let source = match kind {
        MountKind::Filesystem => source,
        MountKind::Node => &node,
    };
    let none: Option<&str> = None;
    nix::mount::mount(Some(source), target, none, MsFlags::MS_BIND, none)
        .map_err(|error| failed("bind to", target, error))?;
    if read_only {
        // A bind takes its flags only in a second step.
        if let Err(error) = make_read_only(target) {
            let _ = nix::mount::umount2(target, MntFlags::empty());
            return Err(error);
        }
    }
    Ok(Reply::Done)
}

/// Makes a mount read only. A remount sets all flags of a mount anew, so those that it has are given again: without
/// `nosuid` or `nodev`, files of a volume would be worth more where it is read only.
fn make_read_only(target: &Path) -> Result<(), LvmError> {
    let present = mountinfo::flags_at(target)?.ok_or_else(|| LvmError::NotFound {
        what: format!("mount on {}", target.display()),
    })?;
    let flags = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY | present;
    let none: Option<&str> = None;
    nix::mount::mount(none, target, none, flags, none)
        .map_err(|error| failed("making read only", target, error))
}

/// Unmounts until nothing of ours is there, then removes the place.
pub(super) fn unmount(target: &Path) -> Result<Reply, LvmError> {
    while mountinfo::mounts()?
        .iter()
        .any(|mount| mount.target == target)
    {
        match nix::mount::umount2(target, MntFlags::UMOUNT_NOFOLLOW) {
            Ok(()) | Err(Errno::EINVAL) => {}
            Err(Errno::EBUSY) => {
                return Err(LvmError::InUse {
                    what: target.display().to_string(),
                });
            }
            Err(error) => return Err(failed("unmount of", target, error)),
        }
    }
    let gone = match fs::symlink_metadata(target) {
        Ok(found) if found.is_dir() => fs::remove_dir(target),
        Ok(_) => fs::remove_file(target),
        Err(error) => Err(error),
    };
    match gone {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(failed("removing", target, error)),
        _ => Ok(Reply::Done),
    }
}

/// Fill of a mounted filesystem.
pub(super) fn usage(target: &Path) -> Result<Reply, LvmError> {
    let found = nix::sys::statvfs::statvfs(target).map_err(|error| match error {
        Errno::ENOENT => LvmError::NotFound {
            what: target.display().to_string(),
        },
        error => failed("statvfs", target, error),
    })?;
    let block = found.fragment_size();
    Ok(Reply::Usage(Usage {
        total: Bytes(found.blocks() * block),
        available: Bytes(found.blocks_available() * block),
        inodes: found.files(),
        inodes_free: found.files_available(),
    }))
}

/// Opens an encrypted volume.
pub(super) fn open(device: &Device, key: &Key) -> Result<Reply, LvmError> {
    let answer = Program::new(Tool::Cryptsetup)
        .args(["open", "--type", "luks2", "--key-file", "-"])
        .arg(device.path())
        .arg(device.mapping())
        .input(key.expose())
        .output()?;
    match answer.code {
        Some(0) => Ok(Reply::Done),
        Some(2) => Err(LvmError::WrongKey {
            device: device.clone(),
        }),
        Some(5) => Err(LvmError::Exists {
            what: device.decrypted().to_string(),
        }),
        _ => Err(answer.failed()),
    }
}

/// Closes an encrypted volume.
pub(super) fn close(device: &Device) -> Result<Reply, LvmError> {
    let view = device.decrypted();
    if !view.path().exists() {
        return Err(LvmError::NotFound {
            what: view.to_string(),
        });
    }
    let answer = Program::new(Tool::Cryptsetup)
        .arg("close")
        .arg(device.mapping())
        .output()?;
    match answer.code {
        Some(0) => Ok(Reply::Done),
        Some(4) => Err(LvmError::NotFound {
            what: view.to_string(),
        }),
        Some(5) => Err(LvmError::InUse {
            what: view.to_string(),
        }),
        _ => Err(answer.failed()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sched::{CloneFlags, unshare};

    /// Mounts a tmpfs with those flags, binds it in a mount namespace of this thread, makes the bind read only,
    /// and says what options it has then.
    fn read_only_bind(flags: MsFlags) -> String {
        let seen = std::thread::spawn(move || {
            unshare(CloneFlags::CLONE_NEWNS).expect("a mount namespace");
            let none: Option<&str> = None;
            let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
            nix::mount::mount(none, "/", none, private, none).expect("private");
            let folder = tempfile::tempdir().expect("a directory");
            let (source, target) = (folder.path().join("a b"), folder.path().join("target"));
            fs::create_dir(&source).expect("made");
            fs::create_dir(&target).expect("made");
            nix::mount::mount(Some("t"), &source, Some("tmpfs"), flags, none).expect("mounted");
            nix::mount::mount(Some(&source), &target, none, MsFlags::MS_BIND, none).expect("bound");
            make_read_only(&target).expect("read only");
            let text = fs::read_to_string("/proc/thread-self/mountinfo").expect("mounts");
            let at = format!(" {} ", target.display());
            let line = text
                .lines()
                .find(|line| line.contains(&at))
                .expect("mounted");
            let options = line.split(' ').nth(5).expect("options").to_owned();
            for path in [&target, &source] {
                nix::mount::umount2(path, MntFlags::MNT_DETACH).expect("unmounted");
            }
            options
        });
        seen.join().expect("no panic")
    }

    #[test]
    fn a_bind_that_is_made_read_only_keeps_its_other_flags() {
        if !nix::unistd::geteuid().is_root() {
            println!("skipped: it needs root for a mount namespace");
            return;
        }
        let all = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC | MsFlags::MS_NOATIME;
        assert_eq!(read_only_bind(all), "ro,nosuid,nodev,noexec,noatime");
        let some = MsFlags::MS_NOSUID | MsFlags::MS_NODIRATIME | MsFlags::MS_RELATIME;
        assert_eq!(read_only_bind(some), "ro,nosuid,nodiratime,relatime");
        // Each access is noted, as it was.
        assert_eq!(read_only_bind(MsFlags::MS_STRICTATIME), "ro");
    }
}
