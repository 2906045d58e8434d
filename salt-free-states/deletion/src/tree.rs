//! Walks a tree by descriptor and removes its entries, the deepest first.

use crate::left::{Deleted, Left, Reason};
use crate::mounts::{Mount, MountTable};
use crate::open::{self, Directory, Obstacle};
use nix::dir::Dir;
use nix::errno::Errno;
use nix::unistd::{UnlinkatFlags, unlinkat};
use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// What becomes of the directory a deletion begins at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Root {
    /// It is removed, too.
    Remove,
    /// It stays, empty. Nothing may be mounted on it.
    Keep,
    /// It stays, empty, and so does this mount on it, which the caller knows to be meant.
    KeepMount(Mount),
}

/// How many directories are open at once. Deeper trees are walked with the upper ones closed.
const OPEN: usize = 64;
/// How often a directory is read again in which names appeared while it was emptied.
const ATTEMPTS: u32 = 3;

/// A directory on the way down.
struct Frame {
    name: OsString,
    fd: Option<OwnedFd>,
    inode: u64,
    entries: Vec<(OsString, Entry)>,
    /// Something in it stays, so it stays.
    kept: bool,
    attempts: u32,
}

#[derive(Clone, Copy, PartialEq)]
enum Entry {
    Directory,
    Other,
}

/// Deletes what is in `path`, and `path` itself if `root` says so. Entries of `path` itself that are named in
/// `spared` stay. A path that does not exist is fine.
pub fn delete(path: &Path, root: &Root, spared: &[&str]) -> Deleted {
    let mut walk = Walk {
        base: path.to_path_buf(),
        device: 0,
        frames: Vec::new(),
        deleted: Deleted::default(),
    };
    walk.run(path, root, spared);
    walk.deleted.left.sort_by(|a, b| a.path.cmp(&b.path));
    walk.deleted
}

struct Walk {
    /// Where the deletion begins, as the kernel names it.
    base: PathBuf,
    device: u64,
    frames: Vec<Frame>,
    deleted: Deleted,
}

impl Walk {
    fn run(&mut self, path: &Path, root: &Root, spared: &[&str]) {
        let Some(name) = path.file_name().map(OsStr::to_os_string) else {
            // `/` and paths that end with `..`.
            return self.leave(Left::refused(path.into(), Errno::EINVAL));
        };
        let above = path.parent().filter(|above| !above.as_os_str().is_empty());
        let parent = match above.map_or_else(open::here, open::parent) {
            Ok(parent) => parent,
            Err(Errno::ENOENT) => return,
            Err(error) => return self.leave(Left::refused(path.into(), error)),
        };
        let resolved = std::fs::canonicalize(above.unwrap_or(Path::new(".")));
        self.base = resolved.map_or_else(|_| path.into(), |above| above.join(&name));
        let opened = match root {
            Root::KeepMount(mount) => open::mounted(&parent, &name, mount.id),
            Root::Keep | Root::Remove => open::inside(&parent, &name),
        };
        let directory = match opened {
            Ok(directory) => directory,
            Err(Obstacle::Absent) => return,
            Err(Obstacle::NotDirectory) if *root == Root::Remove => {
                return self.unlink(&parent, &name, self.base.clone());
            }
            Err(Obstacle::NotDirectory) => {
                let reason = match open::link(&parent, &name) {
                    Some(target) => Reason::Link { target },
                    None => Reason::Refused(Errno::ENOTDIR.into()),
                };
                return self.leave(Left {
                    path: self.base.clone(),
                    reason,
                });
            }
            Err(obstacle) => return self.leave_obstacle(obstacle, self.base.clone()),
        };
        self.device = directory.device;
        self.enter(name.clone(), directory);
        if let Some(frame) = self.frames.last_mut() {
            let before = frame.entries.len();
            frame
                .entries
                .retain(|(name, _)| !spared.iter().any(|one| name == *one));
            frame.kept = frame.entries.len() < before || *root != Root::Remove;
        }
        while let Some(frame) = self.frames.last_mut() {
            match frame.entries.pop() {
                Some((name, Entry::Directory)) => self.descend(name),
                Some((name, Entry::Other)) => self.remove_entry(&name),
                None => self.ascend(&parent),
            }
        }
    }

    /// The path of an entry of the directory that is walked.
    fn path(&self, name: &OsStr) -> PathBuf {
        let mut path = self.base.clone();
        path.extend(self.frames.iter().skip(1).map(|frame| &frame.name));
        path.join(name)
    }

    fn leave(&mut self, left: Left) {
        if let Some(frame) = self.frames.last_mut() {
            frame.kept = true;
        }
        self.deleted.left.push(left);
    }

    fn leave_obstacle(&mut self, obstacle: Obstacle, path: PathBuf) {
        let left = match obstacle {
            Obstacle::Absent => return,
            Obstacle::Mount => {
                let table = MountTable::of_this_process().unwrap_or_default();
                Left::mounted(path.clone(), table.at(&path))
            }
            Obstacle::NotDirectory => Left::refused(path, Errno::ENOTDIR),
            Obstacle::Error(error) => Left::refused(path, error),
        };
        self.leave(left);
    }

    /// Makes an open directory the one that is walked.
    fn enter(&mut self, name: OsString, directory: Directory) {
        let (entries, kept) = match entries(&directory.fd) {
            Ok(entries) => (entries, false),
            Err(error) => {
                let path = match self.frames.is_empty() {
                    true => self.base.clone(),
                    false => self.path(&name),
                };
                self.leave(Left::refused(path, error));
                (Vec::new(), true)
            }
        };
        let inode = directory.inode;
        self.frames.push(Frame {
            name,
            fd: Some(directory.fd),
            inode,
            entries,
            kept,
            attempts: 0,
        });
        if let Some(far) = self.frames.len().checked_sub(OPEN + 1) {
            self.frames[far].fd = None;
        }
    }

    fn descend(&mut self, name: OsString) {
        let Some(at) = self.frames.last().and_then(|frame| frame.fd.as_ref()) else {
            return;
        };
        match open::inside(at, &name) {
            Ok(directory) if directory.device != self.device => {
                let reason = Reason::OtherDevice;
                self.leave(Left {
                    path: self.path(&name),
                    reason,
                });
            }
            Ok(directory) => self.enter(name, directory),
            // Replaced by something else since the directory was read.
            Err(Obstacle::NotDirectory) => self.remove_entry(&name),
            Err(obstacle) => self.leave_obstacle(obstacle, self.path(&name)),
        }
    }

    fn remove_entry(&mut self, name: &OsStr) {
        let path = self.path(name);
        let fd = self.frames.last().and_then(|frame| frame.fd.as_ref());
        let Some(at) = fd.and_then(|fd| fd.try_clone().ok()) else {
            return self.leave(Left::refused(path, Errno::EMFILE));
        };
        self.unlink(&at, name, path);
    }

    fn unlink(&mut self, at: &OwnedFd, name: &OsStr, path: PathBuf) {
        match unlinkat(at, name, UnlinkatFlags::NoRemoveDir) {
            Ok(()) => self.deleted.removed += 1,
            Err(Errno::ENOENT) => {}
            // A file that something is mounted on.
            Err(Errno::EBUSY) => self.leave_obstacle(Obstacle::Mount, path),
            Err(error) => self.leave(Left::refused(path, error)),
        }
    }

    /// Removes the directory that was walked from the one above it, and goes on there.
    fn ascend(&mut self, parent: &OwnedFd) {
        let Some(mut done) = self.frames.pop() else {
            return;
        };
        let Some(above) = self.frames.last_mut() else {
            if !done.kept {
                self.remove_directory(parent, done, self.base.clone());
            }
            return;
        };
        if above.fd.is_none()
            && let Some(below) = &done.fd
        {
            match open::above(below, self.device, above.inode) {
                Ok(fd) => above.fd = Some(fd),
                // Moved away under us: what is above cannot be found again.
                Err(error) => {
                    above.entries.clear();
                    let path = self.path(&done.name);
                    return self.leave(Left::refused(path, error));
                }
            }
        }
        if done.kept {
            above.kept = true;
            return;
        }
        let path = self.path(&done.name);
        let fd = self.frames.last().and_then(|frame| frame.fd.as_ref());
        let Some(at) = fd.and_then(|fd| fd.try_clone().ok()) else {
            return self.leave(Left::refused(path, Errno::EMFILE));
        };
        done.attempts += 1;
        self.remove_directory(&at, done, path);
    }

    fn remove_directory(&mut self, at: &OwnedFd, mut done: Frame, path: PathBuf) {
        match unlinkat(at, done.name.as_os_str(), UnlinkatFlags::RemoveDir) {
            Ok(()) => self.deleted.removed += 1,
            Err(Errno::ENOENT) => {}
            Err(Errno::ENOTEMPTY | Errno::EEXIST) if done.attempts < ATTEMPTS => {
                done.attempts += 1;
                let found = done.fd.as_ref().map(entries);
                done.entries = found.and_then(Result::ok).unwrap_or_default();
                self.frames.push(done);
            }
            Err(Errno::EBUSY) => self.leave_obstacle(Obstacle::Mount, path),
            Err(error) => self.leave(Left::refused(path, error)),
        }
    }
}

/// What is in a directory. Entries are not looked at: a look at a mount point would ask a server that may
/// never answer.
fn entries(fd: &OwnedFd) -> Result<Vec<(OsString, Entry)>, Errno> {
    let again = open::again(fd)?;
    let mut found = Vec::new();
    for entry in Dir::from_fd(again)?.iter() {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name == b"." || name == b".." {
            continue;
        }
        // Where the file system does not tell, it is tried as a directory first.
        let kind = match entry.file_type() {
            None | Some(nix::dir::Type::Directory) => Entry::Directory,
            Some(_) => Entry::Other,
        };
        found.push((OsStr::from_bytes(name).to_os_string(), kind));
    }
    Ok(found)
}

#[cfg(test)]
mod tests;
