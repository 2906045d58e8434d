//! The driver's record of its runs, kept beside the person who runs it: what was begun when, how far
//! it came, and how it ended.
//!
//! Hosts keep their own journals, and a run goes on from what the hosts say, never from this file: the
//! machine the driver ran on may be gone. It answers what people ask the morning after: which run was
//! last, did it come to its end, which host failed where.
//!
//! One JSON line an entry, appended and brought to disk. The format is public and versioned.

use crate::event::{Event, Events};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// The version of the format this program writes.
const VERSION: u32 = 1;
/// Past this many bytes the file is set aside as `.old`, so that it never grows without end.
const LIMIT: u64 = 1 << 20;

/// The journal cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} the journal of runs {}; name another place with --journal", path.display())]
pub struct RunJournalError {
    action: &'static str,
    path: PathBuf,
    source: std::io::Error,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    tag = "entry",
    rename_all = "kebab-case",
    rename_all_fields = "camelCase"
)]
enum Entry {
    /// A run begins.
    Begin {
        /// The version of the format.
        version: u32,
        /// When, in UTC.
        time: Timestamp,
        /// Which command.
        command: String,
        /// Who runs it.
        holder: String,
    },
    /// A phase begins.
    Phase { time: Timestamp, phase: String },
    /// A node failed.
    Failed {
        time: Timestamp,
        node: String,
        phase: String,
        message: String,
    },
    /// The run has ended.
    End { time: Timestamp, exit_code: u8 },
}

/// A run of which no end is on record: it was killed, or its machine went down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfinished {
    /// Which command.
    pub command: String,
    /// Who ran it.
    pub holder: String,
    /// When it began, in UTC.
    pub began: Timestamp,
    /// The phase it had come to.
    pub phase: Option<String>,
}

impl std::fmt::Display for Unfinished {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            command,
            holder,
            began,
            phase,
        } = self;
        let place = match phase {
            Some(phase) => format!("in phase {phase}"),
            None => "before its first phase".into(),
        };
        write!(
            f,
            "the last run ({command}, {began:.0}, by {holder}) broke off {place}; this one goes on from what the hosts say"
        )
    }
}

/// The record of one run, while it goes on.
#[derive(Debug)]
pub struct RunJournal {
    path: PathBuf,
    /// Locked while the run goes on, so that a second run does not take the first for broken off.
    file: Mutex<File>,
}

impl RunJournal {
    /// Begins the record of a run; also returns the run before, when that broke off.
    ///
    /// # Errors
    /// When the file cannot be read or written. A line that is no entry is passed over: this record
    /// must never stand in the way of a repair.
    pub fn begin(
        path: &Path,
        command: &str,
        holder: &str,
    ) -> Result<(Self, Option<Unfinished>), RunJournalError> {
        let failed = |action| {
            let path = path.to_owned();
            move |source| RunJournalError {
                action,
                path,
                source,
            }
        };
        if let Some(directory) = path.parent() {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(directory)
                .map_err(failed("make a directory for"))?;
        }
        let open = || {
            OpenOptions::new()
                .read(true)
                .append(true)
                .create(true)
                .mode(0o600)
                .open(path)
        };
        let mut file = open().map_err(failed("open"))?;
        let mut unfinished = None;
        match file.try_lock() {
            Ok(()) => {
                let mut text = Vec::new();
                file.read_to_end(&mut text).map_err(failed("read"))?;
                unfinished = last_unfinished(&String::from_utf8_lossy(&text));
                if text.len() as u64 > LIMIT {
                    let old = PathBuf::from(format!("{}.old", path.display()));
                    std::fs::rename(path, old).map_err(failed("set aside"))?;
                    file = open().map_err(failed("open"))?;
                    // A run that began just now in between holds it; both go on.
                    let _ = file.try_lock();
                } else if text.last().is_some_and(|last| *last != b'\n') {
                    // The line was torn by a power cut; the next begins on its own.
                    file.write_all(b"\n").map_err(failed("write"))?;
                }
            }
            // Another run goes on; whether it may is for the hosts' leases to say.
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(source)) => return Err(failed("lock")(source)),
        }
        let journal = Self {
            path: path.to_owned(),
            file: Mutex::new(file),
        };
        journal.append(&Entry::Begin {
            version: VERSION,
            time: Timestamp::now(),
            command: command.into(),
            holder: holder.into(),
        })?;
        Ok((journal, unfinished))
    }

    /// Records the end of the run.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn end(&self, exit_code: u8) -> Result<(), RunJournalError> {
        self.append(&Entry::End {
            time: Timestamp::now(),
            exit_code,
        })
    }

    fn append(&self, entry: &Entry) -> Result<(), RunJournalError> {
        let line = serde_json::to_string(entry).unwrap_or_default();
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.write_all(format!("{line}\n").as_bytes())
            .and_then(|()| file.sync_data())
            .map_err(|source| RunJournalError {
                action: "write",
                path: self.path.clone(),
                source,
            })
    }
}

impl Drop for RunJournal {
    fn drop(&mut self) {
        // Closing is not enough: a program that is being started right now has a copy of the descriptor.
        let file = self.file.get_mut().unwrap_or_else(PoisonError::into_inner);
        let _ = file.unlock();
    }
}

/// Records what happens, and passes it on.
pub struct Recorded {
    /// Where it is recorded.
    pub journal: Arc<RunJournal>,
    /// Who else is told.
    pub events: Arc<dyn Events>,
}

impl Events for Recorded {
    fn tell(&self, event: Event) {
        let time = Timestamp::now();
        let entry = match &event {
            Event::PhaseStarted { phase, .. } => Some(Entry::Phase {
                time,
                phase: phase.clone(),
            }),
            Event::NodeFailed {
                node,
                phase,
                failure,
            } => Some(Entry::Failed {
                time,
                node: node.clone(),
                phase: phase.clone(),
                message: failure.message.clone(),
            }),
            _ => None,
        };
        if let Some(entry) = entry {
            // A disk that fills up here must not stop work on the hosts; the last line then tells less.
            let _ = self.journal.append(&entry);
        }
        self.events.tell(event);
    }
}

/// The last run in a journal, when no end of it is on record.
fn last_unfinished(text: &str) -> Option<Unfinished> {
    let mut last = None;
    for entry in text
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
    {
        match entry {
            Entry::Begin {
                time,
                command,
                holder,
                ..
            } => {
                last = Some(Unfinished {
                    command,
                    holder,
                    began: time,
                    phase: None,
                });
            }
            Entry::Phase { phase, .. } => {
                if let Some(run) = &mut last {
                    run.phase = Some(phase);
                }
            }
            Entry::Failed { .. } => {}
            Entry::End { .. } => last = None,
        }
    }
    last
}

#[cfg(test)]
mod tests;
