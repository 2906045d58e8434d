//! The host's record of every change and of the way back, written before the change is made.
//!
//! One JSON line an entry, appended and brought to disk. The format is public and versioned: a
//! journal of any released version can be undone by any later one. A last line that was torn by a
//! power cut is dropped: what it announced had not begun.

use crate::resource::{ResourceError, io};
use crate::system::System;
use crate::undo::UndoStep;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// The version of the format this program writes.
const VERSION: u32 = 1;

/// The journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The file system refused.
    #[error("cannot {action} the journal {}", path.display())]
    Io {
        /// What was attempted.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A line is not an entry.
    #[error("{}:{line}: not a journal entry ({reason}); move the file away to give up undoing what it records", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// A newer program wrote it.
    #[error("{} has format {found}, this program knows {VERSION}; use the newer program", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// The version it has.
        found: u32,
    },
}

/// One line of the journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "entry", rename_all = "kebab-case")]
pub enum Entry {
    /// The first line.
    Header {
        /// The version of the format.
        version: u32,
    },
    /// A change is about to be made.
    Begin {
        /// The id of the resource.
        resource: String,
        /// What it manages.
        target: String,
        /// The way back, to be walked from the last step to the first.
        undo: Vec<UndoStep>,
        /// Resources that have to react to this change.
        #[serde(default)]
        notify: Vec<String>,
    },
    /// The change begun before was completed.
    Done {
        /// The id of the resource.
        resource: String,
    },
    /// The resource has reacted to everything it was notified of.
    Reacted {
        /// The id of the resource.
        resource: String,
    },
    /// The change begun at this line (from 0) was taken back.
    Undone {
        /// The line.
        line: usize,
    },
}

/// The journal of a host, open for appending.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: Mutex<std::fs::File>,
    entries: Mutex<Vec<Entry>>,
    saved: Saved,
}

impl Journal {
    /// Opens the journal in `directory` (made with mode 0700 where missing).
    ///
    /// # Errors
    /// When it cannot be read or written, has a corrupt line, or is of a newer format.
    pub fn open(directory: &Path) -> Result<Self, JournalError> {
        let path = directory.join("journal.jsonl");
        let fail = |action, source| JournalError::Io {
            action,
            path: path.clone(),
            source,
        };
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)
            .map_err(|e| fail("create the directory of", e))?;
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(0o600)
            .open(&path)
            .map_err(|e| fail("open", e))?;
        let mut text = String::new();
        file.read_to_string(&mut text)
            .map_err(|e| fail("read", e))?;
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        if whole < text.len() {
            file.set_len(whole as u64).map_err(|e| fail("repair", e))?;
        }
        let mut entries = Vec::new();
        for (number, line) in text[..whole].lines().enumerate() {
            let entry = serde_json::from_str(line).map_err(|error| JournalError::Corrupt {
                path: path.clone(),
                line: number + 1,
                reason: error.to_string(),
            })?;
            if let Entry::Header { version } = entry
                && version > VERSION
            {
                return Err(JournalError::Newer {
                    path,
                    found: version,
                });
            }
            entries.push(entry);
        }
        let journal = Self {
            saved: Saved {
                directory: directory.join("saved"),
            },
            path,
            file: Mutex::new(file),
            entries: Mutex::new(entries),
        };
        if journal.entries().is_empty() {
            journal.append(Entry::Header { version: VERSION })?;
        }
        Ok(journal)
    }

    /// Appends an entry and brings it to disk.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn append(&self, entry: Entry) -> Result<(), JournalError> {
        let fail = |source| JournalError::Io {
            action: "write",
            path: self.path.clone(),
            source,
        };
        let mut line = serde_json::to_string(&entry).map_err(|e| fail(e.into()))?;
        line.push('\n');
        // A change is appended by one thread at a time; a poisoned lock holds no broken state.
        let mut file = self
            .file
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        file.write_all(line.as_bytes()).map_err(fail)?;
        // Only the way back must be on disk before the host changes; the rest can be found out again.
        if matches!(entry, Entry::Begin { .. } | Entry::Undone { .. }) {
            file.sync_data().map_err(fail)?;
        }
        self.entries
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .push(entry);
        Ok(())
    }

    /// All entries so far.
    pub fn entries(&self) -> Vec<Entry> {
        self.entries
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .clone()
    }

    /// Resources that were notified of a change and have not reacted since.
    pub fn pending(&self) -> BTreeSet<String> {
        let mut pending = BTreeSet::new();
        for entry in self
            .entries
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .iter()
        {
            match entry {
                Entry::Begin { notify, .. } => pending.extend(notify.iter().cloned()),
                Entry::Reacted { resource } => {
                    pending.remove(resource);
                }
                _ => {}
            }
        }
        pending
    }

    /// Where overwritten content is kept.
    pub fn saved(&self) -> &Saved {
        &self.saved
    }
}

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
}

#[cfg(test)]
mod tests;
