//! Content that is kept no longer: what a file of ours was before a later change of ours. The way back from all
//! of our changes does not need it, and it may be a secret.

use super::{Entry, Journal, JournalError};
use crate::undo::{UndoStep, observed, undone};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Which content was forgotten, and where that was said last.
#[derive(Debug, Default)]
pub(crate) struct Forgotten(BTreeMap<String, usize>);

impl Forgotten {
    pub(crate) fn of(entries: &[Entry]) -> Self {
        let said = |(line, entry): (usize, &Entry)| match entry {
            Entry::Forgotten { saved } => Some((saved.clone(), line)),
            _ => None,
        };
        Self(entries.iter().enumerate().filter_map(said).collect())
    }

    /// The file of a step of the change begun at `line`, if what it would put back was forgotten.
    pub(crate) fn path<'a>(&self, step: &'a UndoStep, line: usize) -> Option<&'a Path> {
        match step {
            UndoStep::RestoreFile { path, saved, .. } => {
                let forgotten = self.0.get(saved).is_some_and(|said| *said > line);
                forgotten.then_some(path.as_path())
            }
            _ => None,
        }
    }
}

/// A file that a step leads back to.
pub(crate) fn file_of(step: &UndoStep) -> Option<&Path> {
    match step {
        UndoStep::RestoreFile { path, .. }
        | UndoStep::RemoveFile { path }
        | UndoStep::RestoreSymlink { path, .. } => Some(path),
        _ => None,
    }
}

impl Journal {
    /// Keeps no longer what those files, once ours, contained before later changes of ours that are complete. What
    /// was there before our first change is kept, and so is whatever a change that was cut short needs.
    ///
    /// # Errors
    /// When the journal cannot be written, or the content cannot be removed; the call can be repeated.
    pub fn forget(&self, which: impl Fn(&Path) -> bool) -> Result<(), JournalError> {
        let entries = self.entries();
        let (observed, forgotten) = (observed(&entries), Forgotten::of(&entries));
        let undone = undone(&entries);
        let (mut ours, mut needed) = (BTreeSet::<PathBuf>::new(), BTreeSet::<String>::new());
        let (mut old, mut unused) = (BTreeSet::<String>::new(), BTreeSet::<String>::new());
        for (line, entry) in entries.iter().enumerate() {
            let Entry::Begin { undo, .. } = entry else {
                continue;
            };
            if undone.contains(&line) {
                continue;
            }
            for (index, step) in undo.iter().enumerate() {
                let Some(path) = file_of(step) else { continue };
                let ended = observed.get(&line);
                let complete = ended.is_some_and(|ended| ended.complete);
                // The same store has what our change had put there.
                let left = ended.and_then(|ended| ended.after.get(index)?.as_deref());
                let left = left.and_then(|left| left.strip_prefix("file:"));
                if let UndoStep::RestoreFile { saved, .. } = step {
                    if forgotten.path(step, line).is_some() {
                        unused.insert(saved.clone());
                        unused.extend(left.map(str::to_owned));
                    } else if which(path) && complete && ours.contains(path) {
                        old.insert(saved.clone());
                        unused.extend(left.map(str::to_owned));
                    } else {
                        needed.insert(saved.clone());
                        // Only for the merge of edits, which nobody expects of such files.
                        let copy = left.map(str::to_owned);
                        match which(path) {
                            true => unused.extend(copy),
                            false => needed.extend(copy),
                        }
                    }
                }
                // Before a change that was cut short, it may have been the site's still.
                if complete {
                    ours.insert(path.into());
                }
            }
        }
        for saved in old.difference(&needed) {
            let saved = saved.clone();
            self.append(Entry::Forgotten { saved })?;
        }
        unused.extend(old);
        for name in unused.difference(&needed) {
            self.saved.remove(name).map_err(|source| JournalError::Io {
                action: "remove what was kept for",
                path: self.path.clone(),
                source,
            })?;
        }
        Ok(())
    }
}
