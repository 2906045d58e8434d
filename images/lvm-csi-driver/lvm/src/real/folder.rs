//! Where locks and records of an agent outlive it: a directory that nobody else can write to.
//!
//! Whoever can put a link or a file there can have the agent write elsewhere, let pods go on that stand still, or
//! hold a lock for ever. So the directory is opened without following links, its owner and mode are looked at on
//! the open directory, and files are opened in it and nowhere else.

use crate::error::LvmError;
use nix::errno::Errno;
use nix::fcntl::{OFlag, open, openat};
use nix::sys::stat::{Mode, fchmod, fstat};
use nix::unistd::{UnlinkatFlags, geteuid, mkdir, unlinkat};
use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// Only root may write to /run.
const PRESENT: &str = "/run/ingot";
/// Where agents of former releases had them. On many systems everybody may write to /run/lock.
const FORMER: &str = "/run/lock/ingot";
/// Bits that let others than the owner write.
const OTHERS_WRITE: u32 = 0o022;

/// Such a directory, which may not be there yet.
#[derive(Debug, Clone)]
pub(super) struct Folder(PathBuf);

/// One that is there and ours.
#[derive(Debug)]
pub(super) struct Open {
    path: PathBuf,
    directory: OwnedFd,
}

fn failed(what: &str, path: &Path, reason: impl std::fmt::Display) -> LvmError {
    LvmError::Failed {
        command: format!("{what} {}", path.display()),
        reason: reason.to_string(),
    }
}

impl Folder {
    /// Where this release has its own.
    pub fn present() -> Self {
        Self(PRESENT.into())
    }

    /// Where a predecessor of a former release may have left some.
    pub fn former() -> Self {
        Self(FORMER.into())
    }

    #[cfg(test)]
    pub fn at(path: &Path) -> Self {
        Self(path.into())
    }

    /// The path of a file in it, to be told.
    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Opens it, and makes it where it is missing.
    pub fn make(&self) -> Result<Open, LvmError> {
        match mkdir(&self.0, Mode::from_bits_truncate(0o700)) {
            Ok(()) | Err(Errno::EEXIST) => {}
            Err(error) => return Err(failed("make", &self.0, error)),
        }
        self.open()?
            .ok_or_else(|| failed("open", &self.0, "it was removed meanwhile"))
    }

    /// Opens it, if it is there.
    pub fn open(&self) -> Result<Option<Open>, LvmError> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let refused = |what: &str| LvmError::Invalid {
            what: format!("{} {what}", self.0.display()),
            remedy: "find out who made it, and move it away".into(),
        };
        let directory = match open(&self.0, flags, Mode::empty()) {
            Ok(directory) => directory,
            Err(Errno::ENOENT) => return Ok(None),
            Err(Errno::ELOOP | Errno::ENOTDIR) => {
                return Err(refused(
                    "is a link or a file, not a directory of the agent's",
                ));
            }
            Err(error) => return Err(failed("open", &self.0, error)),
        };
        let found = fstat(&directory).map_err(|error| failed("look at", &self.0, error))?;
        let own = geteuid().as_raw();
        if found.st_uid != own {
            let (theirs, ours) = (found.st_uid, own);
            return Err(refused(&format!(
                "belongs to the user {theirs}, not to {ours}"
            )));
        }
        let mode = found.st_mode & 0o7777;
        if mode & OTHERS_WRITE != 0 {
            return Err(refused(&format!(
                "has mode {mode:04o}: others may write to it"
            )));
        }
        if mode != 0o700 {
            // The kubelet makes directories with 0755. Who cannot open a lock cannot hold it either.
            fchmod(&directory, Mode::from_bits_truncate(0o700))
                .map_err(|error| failed("change the mode of", &self.0, error))?;
        }
        Ok(Some(Open {
            path: self.0.clone(),
            directory,
        }))
    }
}

impl Open {
    /// Opens a file of it, never through a link; `ENOENT` as [`None`].
    pub fn file(&self, name: &str, flags: OFlag) -> Result<Option<File>, LvmError> {
        let mode = Mode::from_bits_truncate(0o600);
        let flags = flags | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
        match openat(&self.directory, name, flags, mode) {
            Ok(file) => Ok(Some(file.into())),
            Err(Errno::ENOENT) => Ok(None),
            Err(error) => Err(failed("open", &self.path.join(name), error)),
        }
    }

    /// Removes a file of it.
    pub fn remove(&self, name: &str) -> Result<(), LvmError> {
        unlinkat(&self.directory, name, UnlinkatFlags::NoRemoveDir)
            .map_err(|error| failed("remove", &self.path.join(name), error))
    }
}

/// A file about a group that outlives the agent.
#[derive(Debug, Clone)]
pub(super) struct Record {
    pub folder: Folder,
    pub name: String,
}

impl Record {
    pub fn write(&self, text: &str) -> Result<(), LvmError> {
        let folder = self.folder.make()?;
        let path = folder.path.join(&self.name);
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_TRUNC;
        let file = folder.file(&self.name, flags)?;
        let mut file = file.ok_or_else(|| failed("open", &path, "it was removed meanwhile"))?;
        std::io::Write::write_all(&mut file, text.as_bytes())
            .map_err(|error| failed("write", &path, error))
    }

    /// What it says, if it is there.
    pub fn read(&self) -> Result<Option<String>, LvmError> {
        let Some(folder) = self.folder.open()? else {
            return Ok(None);
        };
        let Some(file) = folder.file(&self.name, OFlag::O_RDONLY)? else {
            return Ok(None);
        };
        std::io::read_to_string(file)
            .map(Some)
            .map_err(|error| failed("read", &folder.path.join(&self.name), error))
    }

    pub fn remove(&self) -> Result<(), LvmError> {
        match self.folder.open()? {
            Some(folder) => folder.remove(&self.name),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    fn record(path: &Path) -> Record {
        Record {
            folder: Folder::at(path),
            name: "vg.still".into(),
        }
    }

    #[test]
    fn it_is_made_for_nobody_else_and_a_mode_that_only_shows_it_is_mended() {
        let base = tempfile::tempdir().expect("a directory");
        let path = base.path().join("ingot");
        assert_eq!(record(&path).read().expect("none"), None);
        record(&path).write("a").expect("written");
        let mode = |path: &Path| fs::metadata(path).expect("there").mode() & 0o7777;
        assert_eq!((mode(&path), mode(&path.join("vg.still"))), (0o700, 0o600));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("set");
        record(&path).write("b").expect("written");
        assert_eq!(mode(&path), 0o700);
        assert_eq!(record(&path).read().expect("read").as_deref(), Some("b"));
        record(&path).remove().expect("removed");
        assert_eq!(record(&path).read().expect("none"), None);
    }

    #[test]
    fn a_directory_of_somebody_else_is_refused_in_words() {
        let base = tempfile::tempdir().expect("a directory");
        let path = base.path().join("ingot");
        let refusal = || record(&path).write("a").expect_err("refused").to_string();

        let target = base.path().join("elsewhere");
        fs::create_dir(&target).expect("made");
        symlink(&target, &path).expect("linked");
        assert!(refusal().contains("is a link or a file"), "{}", refusal());
        assert!(fs::read_dir(&target).expect("there").next().is_none());

        fs::remove_file(&path).expect("removed");
        fs::create_dir(&path).expect("made");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).expect("set");
        assert!(
            refusal().contains("has mode 0777: others may write"),
            "{}",
            refusal()
        );

        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).expect("set");
        if geteuid().is_root() {
            std::os::unix::fs::chown(&path, Some(1234), None).expect("given away");
            assert!(
                refusal().contains("belongs to the user 1234, not to 0"),
                "{}",
                refusal()
            );
        }
    }

    #[test]
    fn a_link_in_place_of_a_file_is_not_followed() {
        let base = tempfile::tempdir().expect("a directory");
        let (path, target) = (base.path().join("ingot"), base.path().join("precious"));
        fs::create_dir(&path).expect("made");
        fs::write(&target, "kept").expect("written");
        symlink(&target, path.join("vg.still")).expect("linked");
        assert!(record(&path).write("a").is_err());
        assert!(record(&path).read().is_err());
        assert_eq!(fs::read_to_string(&target).expect("read"), "kept");
    }
}
