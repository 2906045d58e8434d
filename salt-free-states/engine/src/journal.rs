//! The host's record of every change and of the way back, written before the change is made.
//!
//! One JSON line an entry, appended and brought to disk. The format is public and versioned: a
//! journal of any released version can be undone by any later one. A last line that was torn by a
//! power cut is dropped: what it announced had not begun.

use crate::undo::UndoStep;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

mod forget;
mod saved;

pub(crate) use forget::{Forgotten, file_of};
pub use saved::Saved;

/// The version of the format this program writes.
const VERSION: u32 = 4;

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
        /// The way back, to be walked from the last step to the first; systemd reads its unit files at the end.
        undo: Vec<UndoStep>,
        /// Resources that have to react to this change.
        #[serde(default)]
        notify: Vec<String>,
    },
    /// The change begun before was completed.
    Done {
        /// The id of the resource.
        resource: String,
        /// For each step of the way back, what the change left where it leads; absent where it is not compared,
        /// and in journals of format 1.
        #[serde(default)]
        after: Vec<Option<String>>,
    },
    /// The change begun at this line (from 0) failed or was cut short.
    BrokenOff {
        /// The line.
        line: usize,
        /// What it left where its way back leads, as for a completed change: at once where it failed; where the
        /// program died, what the next application found.
        after: Vec<Option<String>>,
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
    /// Content that changes before this line had kept is kept no longer: they leave what is there to the older
    /// changes of the same file.
    Forgotten {
        /// Its digest.
        saved: String,
    },
}

/// The journal of a host.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    /// Absent where the journal is only read.
    file: Option<Mutex<Tail>>,
    entries: Mutex<Vec<Entry>>,
    saved: Saved,
}

/// Where the next entry goes.
#[derive(Debug)]
struct Tail {
    file: std::fs::File,
    /// The length of all whole lines, bytes.
    length: u64,
    /// A line that could not be written could not be taken back either.
    torn: bool,
}

impl Journal {
    /// Opens the journal in `directory` (made with mode 0700 where missing). Only who holds the host's lease
    /// may do so: a torn last line is removed.
    ///
    /// # Errors
    /// When it cannot be read or written, has a corrupt line, or is of a newer format.
    pub fn open(directory: &Path) -> Result<Self, JournalError> {
        let path = directory.join(NAME);
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
        let mut text = Vec::new();
        file.read_to_end(&mut text).map_err(|e| fail("read", e))?;
        let whole = whole(&text);
        if whole.len() < text.len() {
            file.set_len(whole.len() as u64)
                .map_err(|e| fail("repair", e))?;
        }
        let entries = parse(&path, whole)?;
        let written = entries.iter().rev().find_map(|entry| match entry {
            Entry::Header { version } => Some(*version),
            _ => None,
        });
        let journal = Self {
            saved: Saved::in_directory(directory.join("saved")),
            path,
            file: Some(Mutex::new(Tail {
                file,
                length: whole.len() as u64,
                torn: false,
            })),
            entries: Mutex::new(entries),
        };
        // A journal that older programs began says from where on they cannot read it.
        if written != Some(VERSION) {
            journal.append(Entry::Header { version: VERSION })?;
        }
        Ok(journal)
    }

    /// Reads the journal in `directory` and changes nothing: another program may be writing to it. `None`, if
    /// there is none.
    ///
    /// # Errors
    /// When it cannot be read, has a corrupt line, or is of a newer format.
    pub fn read(directory: &Path) -> Result<Option<Self>, JournalError> {
        let path = directory.join(NAME);
        let text = match std::fs::read(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(|source| JournalError::Io {
                action: "read",
                path: path.clone(),
                source,
            })?,
        };
        let entries = Mutex::new(parse(&path, whole(&text))?);
        Ok(Some(Self {
            path,
            file: None,
            entries,
            saved: Saved::in_directory(directory.join("saved")),
        }))
    }

    /// Appends an entry and brings it to disk. An entry that cannot be written whole, as on a full disk,
    /// leaves no trace. Returns its line, from 0.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn append(&self, entry: Entry) -> Result<usize, JournalError> {
        let fail = |source| JournalError::Io {
            action: "write",
            path: self.path.clone(),
            source,
        };
        let mut line = serde_json::to_vec(&entry).map_err(|e| fail(e.into()))?;
        line.push(b'\n');
        let Some(file) = &self.file else {
            return Err(fail(std::io::ErrorKind::PermissionDenied.into()));
        };
        // A change is appended by one thread at a time; a poisoned lock holds no broken state.
        let mut tail = file.lock().unwrap_or_else(PoisonError::into_inner);
        if tail.torn {
            let length = tail.length;
            tail.file.set_len(length).map_err(fail)?;
            tail.torn = false;
        }
        if let Err(error) = tail.file.write_all(&line) {
            // The next line must not continue the torn one.
            let length = tail.length;
            tail.torn = tail.file.set_len(length).is_err();
            return Err(fail(error));
        }
        tail.length += line.len() as u64;
        // Only the way back must be on disk before the host changes; the rest can be found out again.
        if matches!(
            entry,
            Entry::Begin { .. } | Entry::Undone { .. } | Entry::Forgotten { .. }
        ) {
            tail.file.sync_data().map_err(fail)?;
        }
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.push(entry);
        Ok(entries.len() - 1)
    }

    /// All entries so far.
    pub fn entries(&self) -> Vec<Entry> {
        self.entries
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Resources that were notified of a change and have not reacted since.
    pub fn pending(&self) -> BTreeSet<String> {
        let mut pending = BTreeSet::new();
        for entry in self
            .entries
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
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

const NAME: &str = "journal.jsonl";

/// All of `text` but a last line that was torn by a power cut, wherever it was torn.
fn whole(text: &[u8]) -> &[u8] {
    let end = text.iter().rposition(|byte| *byte == b'\n');
    &text[..end.map_or(0, |end| end + 1)]
}

fn parse(path: &Path, text: &[u8]) -> Result<Vec<Entry>, JournalError> {
    let mut entries = Vec::new();
    let lines = text.split(|byte| *byte == b'\n');
    for (number, line) in lines.enumerate().filter(|(_, line)| !line.is_empty()) {
        let entry = serde_json::from_slice(line).map_err(|error| JournalError::Corrupt {
            path: path.into(),
            line: number + 1,
            reason: error.to_string(),
        })?;
        if let Entry::Header { version } = entry
            && version > VERSION
        {
            return Err(JournalError::Newer {
                path: path.into(),
                found: version,
            });
        }
        entries.push(entry);
    }
    Ok(entries)
}

#[cfg(test)]
mod tests;
