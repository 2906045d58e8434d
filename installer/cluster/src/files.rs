//! Files a cluster.yaml refers to: whether they are there and how open they are.
//!
//! The boundary between the checks and the disk. Never reads what is in a file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What is known of a file without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileStatus {
    /// Nothing has this name.
    Missing,
    /// A directory, a device or the like.
    NotAFile,
    /// A file this user may not open.
    Unreadable,
    /// A file this user may open, with its permission bits.
    Readable {
        /// Permission bits, such as 0o600.
        mode: u32,
    },
}

/// Looks at files.
pub trait FileProbe {
    /// What `path` is; links are followed.
    fn status(&self, path: &Path) -> FileStatus;
    /// The home directory of the user, for paths that begin with `~/`.
    fn home(&self) -> Option<PathBuf>;
}

/// The files of this machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct RealFiles;

impl FileProbe for RealFiles {
    fn status(&self, path: &Path) -> FileStatus {
        use std::os::unix::fs::PermissionsExt;
        match std::fs::metadata(path) {
            // Behind a directory this user may not enter, nobody can say what there is.
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
                FileStatus::Unreadable
            }
            Err(_) => FileStatus::Missing,
            Ok(metadata) if !metadata.is_file() => FileStatus::NotAFile,
            Ok(metadata) => match std::fs::File::open(path) {
                Ok(_) => FileStatus::Readable {
                    mode: metadata.permissions().mode() & 0o7777,
                },
                Err(_) => FileStatus::Unreadable,
            },
        }
    }

    fn home(&self) -> Option<PathBuf> {
        std::env::var_os("HOME")
            .filter(|home| !home.is_empty())
            .map(PathBuf::from)
    }
}

/// Files that exist only in a table, for tests.
#[derive(Debug, Clone, Default)]
pub struct FakeFiles {
    /// What each path is; other paths are missing.
    pub files: BTreeMap<PathBuf, FileStatus>,
    /// The home directory.
    pub home: Option<PathBuf>,
}

impl FakeFiles {
    /// The same with one more readable file.
    pub fn with(mut self, path: &str, mode: u32) -> Self {
        self.files
            .insert(path.into(), FileStatus::Readable { mode });
        self
    }
}

impl FileProbe for FakeFiles {
    fn status(&self, path: &Path) -> FileStatus {
        self.files.get(path).copied().unwrap_or(FileStatus::Missing)
    }

    fn home(&self) -> Option<PathBuf> {
        self.home.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn real_files_tell_what_they_are() {
        let directory = tempfile::tempdir().unwrap();
        let key = directory.path().join("key");
        std::fs::write(&key, "secret").unwrap();
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o640)).unwrap();
        let link = directory.path().join("link");
        std::os::unix::fs::symlink(&key, &link).unwrap();
        assert_eq!(RealFiles.status(&key), FileStatus::Readable { mode: 0o640 });
        assert_eq!(
            RealFiles.status(&link),
            FileStatus::Readable { mode: 0o640 }
        );
        assert_eq!(RealFiles.status(directory.path()), FileStatus::NotAFile);
        assert_eq!(
            RealFiles.status(&directory.path().join("absent")),
            FileStatus::Missing
        );
        assert_eq!(RealFiles.status(&key.join("below")), FileStatus::Missing);
    }
}
