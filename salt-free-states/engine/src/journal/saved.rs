//! Content that was overwritten, kept by its digest.

use crate::resource::{ResourceError, io};
use crate::system::System;
use crate::undo::UndoStep;
use sha2::{Digest, Sha256};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

static KEEPER: Mutex<()> = Mutex::new(());

/// Content that was overwritten, by its SHA-256, mode 0600.
#[derive(Debug, Clone)]
pub struct Saved {
    directory: PathBuf,
}

impl Saved {
    /// A store in `directory`, which is made when something is kept.
    pub fn in_directory(directory: PathBuf) -> Self {
        Self { directory }
    }

    /// Keeps what lies at `path` of the host and returns the step that puts it back.
    ///
    /// # Errors
    /// When it cannot be read or kept.
    pub fn keep(&self, system: &System, path: &Path) -> Result<UndoStep, ResourceError> {
        let at = system.path(path);
        let meta = match std::fs::symlink_metadata(&at) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(UndoStep::RemoveFile { path: path.into() });
            }
            other => other.map_err(io("read", path))?,
        };
        if meta.is_symlink() {
            let target = std::fs::read_link(&at).map_err(io("read", path))?;
            return Ok(UndoStep::RestoreSymlink {
                path: path.into(),
                target,
            });
        }
        let content = std::fs::read(&at).map_err(io("read", path))?;
        let name: String = Sha256::digest(&content)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.directory)
            .map_err(io("create", &self.directory))?;
        let kept = self.directory.join(&name);
        // Side by side, two resources may overwrite the same content; it is written by one of them.
        let _held = KEEPER.lock().unwrap_or_else(PoisonError::into_inner);
        if !kept.exists() {
            crate::resource::write_atomically(&kept, |_, file| file.write_all(&content))
                .map_err(io("keep the old content of", path))?;
        }
        Ok(UndoStep::RestoreFile {
            path: path.into(),
            saved: name,
            mode: meta.mode() & 0o7777,
            uid: meta.uid(),
            gid: meta.gid(),
        })
    }

    /// Reads kept content.
    ///
    /// # Errors
    /// When it is not there or cannot be read.
    pub fn read(&self, name: &str) -> std::io::Result<Vec<u8>> {
        std::fs::read(self.directory.join(name))
    }

    /// Removes kept content, if it is there.
    pub(super) fn remove(&self, name: &str) -> std::io::Result<()> {
        match std::fs::remove_file(self.directory.join(name)) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }
}
