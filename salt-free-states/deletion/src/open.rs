//! Opens directories by descriptor without following links and without entering a mount.

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, OpenHow, ResolveFlag, open, openat, openat2};
use nix::sys::stat::{FileStat, Mode, fstat};
use std::ffi::OsStr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;

/// A directory that is open for reading, with what tells it from others.
pub(crate) struct Directory {
    pub(crate) fd: OwnedFd,
    pub(crate) device: u64,
    pub(crate) inode: u64,
}

/// What lies under a name instead of a directory that may be entered.
pub(crate) enum Obstacle {
    /// A mount begins there.
    Mount,
    /// It is not a directory, or a symbolic link.
    NotDirectory,
    /// The name does not exist.
    Absent,
    /// Another error.
    Error(Errno),
}

const DIRECTORY: OFlag = OFlag::O_RDONLY
    .union(OFlag::O_DIRECTORY)
    .union(OFlag::O_NOFOLLOW)
    .union(OFlag::O_CLOEXEC);

/// Opens the directory that holds the name to be deleted. Links on the way to it are the system's layout
/// (`/var` on another disk) and are followed.
pub(crate) fn parent(path: &Path) -> Result<OwnedFd, Errno> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    open(path, flags, Mode::empty())
}

/// Opens `name` in `at`, which must be a directory on the same mount.
pub(crate) fn inside(at: &OwnedFd, name: &OsStr) -> Result<Directory, Obstacle> {
    let resolve = ResolveFlag::RESOLVE_BENEATH
        | ResolveFlag::RESOLVE_NO_XDEV
        | ResolveFlag::RESOLVE_NO_SYMLINKS;
    let how = OpenHow::new().flags(DIRECTORY).resolve(resolve);
    loop {
        return match openat2(at, name, how) {
            Ok(fd) => described(fd).map_err(Obstacle::Error),
            Err(Errno::EXDEV) => Err(Obstacle::Mount),
            // A rename beside it; the kernel asks to try again.
            Err(Errno::EAGAIN) => continue,
            // Kernels before 5.6, and sandboxes that do not know the call.
            Err(Errno::ENOSYS | Errno::EPERM) => by_mount_id(at, name),
            Err(error) => Err(obstacle(error)),
        };
    }
}

/// The same without openat2(2): what was opened must have the mount ID of the directory it was opened in.
pub(crate) fn by_mount_id(at: &OwnedFd, name: &OsStr) -> Result<Directory, Obstacle> {
    let fd = openat(at, name, DIRECTORY, Mode::empty()).map_err(obstacle)?;
    match (mount_id(at), mount_id(&fd)) {
        (Some(here), Some(there)) if here == there => described(fd).map_err(Obstacle::Error),
        (Some(_), Some(_)) => Err(Obstacle::Mount),
        // Without /proc it cannot be told, so it is not entered.
        _ => Err(Obstacle::Error(Errno::ENOSYS)),
    }
}

/// Opens `name` in `at` whatever is mounted there, provided that it is the mount with the ID `expected`.
pub(crate) fn mounted(at: &OwnedFd, name: &OsStr, expected: u64) -> Result<Directory, Obstacle> {
    let fd = openat(at, name, DIRECTORY, Mode::empty()).map_err(obstacle)?;
    match mount_id(&fd) {
        Some(found) if found == expected => described(fd).map_err(Obstacle::Error),
        _ => Err(Obstacle::Mount),
    }
}

/// The directory above an open one, which must be the one described.
pub(crate) fn above(below: &OwnedFd, device: u64, inode: u64) -> Result<OwnedFd, Errno> {
    let found = described(openat(below, "..", DIRECTORY, Mode::empty())?)?;
    match (found.device, found.inode) == (device, inode) {
        true => Ok(found.fd),
        false => Err(Errno::ESTALE),
    }
}

fn obstacle(error: Errno) -> Obstacle {
    match error {
        Errno::ENOENT => Obstacle::Absent,
        Errno::ENOTDIR | Errno::ELOOP => Obstacle::NotDirectory,
        error => Obstacle::Error(error),
    }
}

fn described(fd: OwnedFd) -> Result<Directory, Errno> {
    let FileStat { st_dev, st_ino, .. } = fstat(&fd)?;
    Ok(Directory {
        fd,
        device: st_dev,
        inode: st_ino,
    })
}

/// The ID of the mount that a descriptor is on (proc_pid_fdinfo(5), Linux 3.15).
fn mount_id(fd: impl AsFd) -> Option<u64> {
    let number = fd.as_fd().as_raw_fd();
    let text = std::fs::read_to_string(format!("/proc/self/fdinfo/{number}")).ok()?;
    let id = text.lines().find_map(|line| line.strip_prefix("mnt_id:"))?;
    id.trim().parse().ok()
}

/// What a symbolic link points to; nothing, if the name is none.
pub(crate) fn link(at: &OwnedFd, name: &OsStr) -> Option<std::path::PathBuf> {
    nix::fcntl::readlinkat(at, name).ok().map(Into::into)
}

/// The current directory, as a base for relative paths.
pub(crate) fn here() -> Result<OwnedFd, Errno> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    openat(AT_FDCWD, ".", flags, Mode::empty())
}

/// A second, independent descriptor of an open directory, at its beginning.
pub(crate) fn again(fd: &OwnedFd) -> Result<OwnedFd, Errno> {
    openat(fd, ".", DIRECTORY, Mode::empty())
}
