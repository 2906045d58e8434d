//! The way back: steps recorded in the journal, and walking them from the last to the first.
//!
//! Each step may be repeated: a power cut in the middle of an undo costs nothing. What the site changed after
//! us is not overwritten: before a step, the host is compared with what our change had left there.

use crate::journal::{Entry, Forgotten, Journal, JournalError, file_of};
use crate::resource::ResourceError;
use crate::system::System;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

mod broken_off;
mod edited;
mod order;
mod subject;
mod walk;

pub(crate) use broken_off::{record_cut_short, record_failed};
pub use edited::Kept;
pub(crate) use edited::observe;
use subject::Subjects;

/// One step back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "kebab-case")]
#[allow(
    missing_docs,
    reason = "the fields are the operands of the step that the variant documents"
)]
pub enum UndoStep {
    /// Removes a file or link that was not there.
    RemoveFile { path: PathBuf },
    /// Puts back a file's content and ownership.
    RestoreFile {
        path: PathBuf,
        saved: String,
        mode: u32,
        uid: u32,
        gid: u32,
    },
    /// Puts back a symbolic link.
    RestoreSymlink { path: PathBuf, target: PathBuf },
    /// Removes a directory that was not there, unless others put something into it.
    RemoveDirectory { path: PathBuf },
    /// Removes a directory that is ours alone, with all it holds.
    RemoveTree { path: PathBuf },
    /// Puts back a directory that was removed.
    RestoreDirectory {
        path: PathBuf,
        mode: u32,
        uid: u32,
        gid: u32,
    },
    /// Puts back the ownership of a directory.
    SetOwnership {
        path: PathBuf,
        mode: u32,
        uid: u32,
        gid: u32,
    },
    /// Lets systemd read its unit files anew.
    ReloadUnits,
    /// Puts back whether a unit starts at boot and runs.
    SetService {
        unit: String,
        enabled: bool,
        running: bool,
    },
    /// Puts back a kernel setting.
    SetSysctl { key: String, value: String },
    /// Removes a user that was not there.
    RemoveUser { name: String },
    /// Puts back what a user was; `groups` are those besides the primary one, separated by commas.
    SetUser {
        name: String,
        gid: u32,
        groups: String,
        home: String,
        shell: String,
    },
    /// Removes a group that was not there.
    RemoveGroup { name: String },
    /// Puts back a group that went with its user.
    RestoreGroup { name: String, gid: u32 },
    /// Unmounts what was not mounted.
    Unmount { path: PathBuf },
    /// Runs a program.
    Run { program: String, args: Vec<String> },
}

/// A step that could not be walked.
#[derive(Debug, thiserror::Error)]
#[error("cannot undo {target}")]
pub struct UndoFailure {
    /// What was to be put back.
    pub target: String,
    /// Why it could not.
    pub source: ResourceError,
}

/// What an undo did.
#[derive(Debug, Default)]
pub struct Undone {
    /// Steps that could not be walked. They are tried again by the next call, and so is every older change
    /// of the same files and units, which waits for them.
    pub failures: Vec<UndoFailure>,
    /// What was left as it is or kept beside, because it was changed after us.
    pub kept: Vec<Kept>,
    /// Resources that watch something that was put back, by id: they still use what is gone.
    pub notify: BTreeSet<String>,
}

/// Takes back everything the journal records, the latest first, and goes on after a failure with what
/// does not depend on it. `progress` is told each target.
///
/// # Errors
/// [`JournalError`] when the journal cannot be written; the call can be repeated then.
pub fn undo(
    system: &System,
    journal: &Journal,
    progress: &dyn Fn(&str),
) -> Result<Undone, JournalError> {
    undo_since(system, journal, 0, progress)
}

/// The same for changes from entry `mark` on: the number of entries the journal had before them.
///
/// # Errors
/// As [`undo`].
pub fn undo_since(
    system: &System,
    journal: &Journal,
    mark: usize,
    progress: &dyn Fn(&str),
) -> Result<Undone, JournalError> {
    let entries = journal.entries();
    let undone = undone(&entries);
    let (observed, forgotten) = (observed(&entries), Forgotten::of(&entries));
    // What the last change of a file had left there, where the way back from it leads to an older change.
    let mut left: BTreeMap<&Path, Option<&str>> = BTreeMap::new();
    let mut report = Undone::default();
    // An older state must not be put back before a newer one: tried again, the newer would win.
    let mut waiting = Subjects::default();
    for line in order::changes(&entries, mark, &undone) {
        let Entry::Begin {
            target,
            undo,
            notify,
            ..
        } = &entries[line]
        else {
            continue;
        };
        let ended = observed.get(&line);
        let after = |index: usize| ended.and_then(|ended| ended.after.get(index)?.as_deref());
        let skipped = |step| forgotten.path(step, line);
        for (index, step) in undo.iter().enumerate().rev() {
            if let Some(path) = skipped(step) {
                left.entry(path).or_insert(after(index));
            }
        }
        if undone.contains(&line) {
            continue;
        }
        let subjects = Subjects::of(undo);
        if waiting.overlap(&subjects) {
            waiting.add(subjects);
            continue;
        }
        progress(target);
        let walked = order::steps(undo).try_for_each(|(index, step)| {
            if skipped(step).is_some() {
                return Ok(());
            }
            let last = file_of(step).and_then(|path| left.get(path).copied());
            let after = last.unwrap_or_else(|| after(index));
            edited::walk_unless_edited(step, after, system, journal.saved(), &mut report.kept)
        });
        match walked {
            Ok(()) => {
                journal.append(Entry::Undone { line })?;
                report.notify.extend(notify.iter().cloned());
            }
            Err(source) => {
                waiting.add(subjects);
                let target = target.clone();
                report.failures.push(UndoFailure { target, source });
            }
        }
    }
    Ok(report)
}

/// The lines at which changes began that were taken back.
pub(crate) fn undone(entries: &[Entry]) -> BTreeSet<usize> {
    let line = |entry: &Entry| match entry {
        Entry::Undone { line } => Some(*line),
        _ => None,
    };
    entries.iter().filter_map(line).collect()
}

/// How a change ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ended<'a> {
    /// For each step of its way back, what it had left there.
    pub after: &'a [Option<String>],
    /// Whether it was completed; else it broke off.
    pub complete: bool,
}

/// How each change ended of which that is known, by the line it began at.
pub(crate) fn observed(entries: &[Entry]) -> BTreeMap<usize, Ended<'_>> {
    let mut begun: BTreeMap<&str, usize> = BTreeMap::new();
    let mut observed = BTreeMap::new();
    for (line, entry) in entries.iter().enumerate() {
        let (line, after, complete) = match entry {
            Entry::Begin { resource, .. } => {
                begun.insert(resource, line);
                continue;
            }
            Entry::Done { resource, after } => match begun.remove(resource.as_str()) {
                Some(line) => (line, after, true),
                None => continue,
            },
            Entry::BrokenOff { line, after } => (*line, after, false),
            _ => continue,
        };
        observed.insert(line, Ended { after, complete });
    }
    observed
}
