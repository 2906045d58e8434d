//! `file`: a regular file with given content, mode, owner and group.

use super::{Kind, Mode, ResourceError, Status, absolute, io, ownership};
use crate::change::Change;
use crate::journal::Saved;
use crate::system::System;
use crate::undo::UndoStep;
use serde::Deserialize;
use std::io::Write;
use std::path::{Path, PathBuf};

/// A regular file. In a state, `template:` or `source:` (names below `files/`) stand for `content:`.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Where it lies.
    #[serde(deserialize_with = "absolute")]
    pub path: PathBuf,
    /// What it holds.
    pub content: String,
    /// Permission bits; `"0644"` unless given.
    #[serde(default = "default_mode")]
    pub mode: Mode,
    /// Owner, a name or number; `root` unless given.
    #[serde(default = "ownership::root")]
    pub owner: String,
    /// Group, a name or number; `root` unless given.
    #[serde(default = "ownership::root")]
    pub group: String,
    /// Its content is never shown, in differences or events.
    #[serde(default)]
    pub secret: bool,
}

fn default_mode() -> Mode {
    Mode(0o644)
}

impl Kind for File {
    fn target(&self) -> String {
        format!("file {}", self.path.display())
    }

    fn check(&self, system: &System) -> Result<Status, ResourceError> {
        let at = system.path(&self.path);
        match std::fs::symlink_metadata(&at) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Ok(Status::Drifted(vec![Change::create(
                    "content",
                    format!("{} bytes", self.content.len()),
                )]))
            }
            Err(error) => Err(io("read", &self.path)(error)),
            Ok(meta) if meta.is_dir() => Err(ResourceError::Conflict(format!(
                "{} is a directory where a file is wanted; move it away",
                self.path.display()
            ))),
            Ok(meta) if meta.is_symlink() => {
                let target = std::fs::read_link(&at).map_err(io("read", &self.path))?;
                Ok(Status::Drifted(vec![Change::new(
                    "type",
                    format!("symlink to {}", target.display()),
                    "file",
                )]))
            }
            Ok(_) => {
                let found = std::fs::read(&at).map_err(io("read", &self.path))?;
                let mut changes = Vec::new();
                if found != self.content.as_bytes() {
                    changes.push(match String::from_utf8(found) {
                        Ok(found) if !self.secret => Change::text("content", &found, &self.content),
                        Ok(found) => Change::opaque("content", found.len(), self.content.len()),
                        Err(binary) => {
                            Change::opaque("content", binary.as_bytes().len(), self.content.len())
                        }
                    });
                }
                changes.extend(ownership::compare(
                    system,
                    &self.path,
                    self.mode,
                    &self.owner,
                    &self.group,
                )?);
                Ok(Status::from_changes(changes))
            }
        }
    }

    fn way_back(&self, system: &System, saved: &Saved) -> Result<Vec<UndoStep>, ResourceError> {
        Ok(vec![saved.keep(system, &self.path)?])
    }

    fn change(&self, system: &System) -> Result<(), ResourceError> {
        let at = system.path(&self.path);
        write_atomically(&at, |temporary, file| {
            file.write_all(self.content.as_bytes())?;
            ownership::set(
                system,
                &self.path,
                temporary,
                self.mode,
                &self.owner,
                &self.group,
            )
            .map_err(std::io::Error::other)
        })
        .map_err(io("write", &self.path))
    }
}

/// Replaces the file `at` in one step: a temporary file beside it, mode 0600 at first, is filled by
/// `fill`, brought to disk and renamed over it, so a reader or a power cut sees the old or the new one.
///
/// # Errors
/// Any error of `fill` or of the file system; the temporary file is removed then.
pub fn write_atomically(
    at: &Path,
    fill: impl FnOnce(&Path, &mut std::fs::File) -> std::io::Result<()>,
) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    let name = at
        .file_name()
        .ok_or(std::io::ErrorKind::InvalidInput)?
        .to_string_lossy()
        .into_owned();
    let temporary = at.with_file_name(format!(".{name}.ingot-new"));
    let _ = std::fs::remove_file(&temporary);
    let result = (|| {
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&temporary)?;
        fill(&temporary, &mut file)?;
        file.sync_all()?;
        std::fs::rename(&temporary, at)?;
        match at.parent() {
            Some(parent) => std::fs::File::open(parent)?.sync_all(),
            None => Ok(()),
        }
    })();
    if result.is_err() {
        let _ = std::fs::remove_file(&temporary);
    }
    result
}
