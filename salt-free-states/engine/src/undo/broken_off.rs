//! What changes left on the host that were begun and not completed: a change can fail half-way, and the program
//! or the power can go. Without it, the way back would compare nothing and overwrite what the site edited since.

use super::edited::{before, observe};
use super::{UndoStep, observed, undone};
use crate::journal::{Entry, Journal, JournalError, file_of};
use crate::resource::ResourceError;
use crate::system::System;
use std::path::Path;

/// Records what the change begun at `line` left, which just failed.
///
/// # Errors
/// When the host cannot be read. The next application then records what it finds.
pub(crate) fn record_failed(
    system: &System,
    journal: &Journal,
    line: usize,
    undo: &[UndoStep],
) -> Result<(), Box<dyn std::error::Error>> {
    let steps = undo.iter();
    let after = steps
        .map(|step| observe(step, system, journal.saved()))
        .collect::<Result<_, _>>()?;
    journal.append(Entry::BrokenOff { line, after })?;
    Ok(())
}

/// Records what is there now where changes were begun, and neither completed nor taken back nor recorded yet.
///
/// The site may have edited a file since the program died. That cannot be told from what the change had written,
/// so what is there now counts as ours: it is the best that can be known, and edits from now on are noticed.
///
/// # Errors
/// When the journal cannot be written.
pub(crate) fn record_cut_short(system: &System, journal: &Journal) -> Result<(), JournalError> {
    let entries = journal.entries();
    let (observed, undone) = (observed(&entries), undone(&entries));
    for (line, entry) in entries.iter().enumerate() {
        let Entry::Begin { undo, .. } = entry else {
            continue;
        };
        if observed.contains_key(&line) || undone.contains(&line) {
            continue;
        }
        let later = &entries[line + 1..];
        let left = |step| match found_by(later, step) {
            Some(found) => Ok(Some(found)),
            None => observe(step, system, journal.saved()),
        };
        let after: Result<Vec<_>, ResourceError> = undo.iter().map(left).collect();
        // What cannot be read now is tried again by the next application.
        let Ok(after) = after else { continue };
        if after.iter().any(Option::is_some) {
            journal.append(Entry::BrokenOff { line, after })?;
        }
    }
    Ok(())
}

/// What the next change of the same place found there, which is nearer to what was left than what is there now.
fn found_by(later: &[Entry], step: &UndoStep) -> Option<String> {
    let place = place(step)?;
    let changes = later.iter().filter_map(|entry| match entry {
        Entry::Begin { undo, .. } => Some(undo),
        _ => None,
    });
    let mut same = changes
        .flatten()
        .filter(|next| self::place(next) == Some(place));
    same.next().and_then(before)
}

/// The place that a step is about, and whether its owner and mode are compared there, or what it is and holds.
fn place(step: &UndoStep) -> Option<(&Path, bool)> {
    match step {
        UndoStep::SetOwnership { path, .. } => Some((path, true)),
        _ => file_of(step).map(|path| (path, false)),
    }
}
