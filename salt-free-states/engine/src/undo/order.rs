//! The order of the way back: from the last change to the first, and from the last step of a change to its first,
//! but for what must come after what was put back. It walks nothing.

use super::UndoStep;
use super::subject::Subjects;
use crate::journal::Entry;
use std::collections::{BTreeMap, BTreeSet};

/// The steps of a change with their positions. Journals have the reload of systemd behind the unit file, so that it
/// would be walked before it; but systemd must read its unit files once the file is back.
pub(super) fn steps(undo: &[UndoStep]) -> impl Iterator<Item = (usize, &UndoStep)> {
    let all = || undo.iter().enumerate().rev();
    let reload = |step: &UndoStep| matches!(step, UndoStep::ReloadUnits);
    all()
        .filter(move |(_, step)| !reload(step))
        .chain(all().filter(move |(_, step)| reload(step)))
}

/// The lines from `mark` on at which changes begin. A service that is stopped is stopped while the unit file is
/// there that it was started with. One that is started waits until its former unit file is back: with the newer
/// one it would run differently, or not start, and then the file would never be put back.
pub(super) fn changes(entries: &[Entry], mark: usize, undone: &BTreeSet<usize>) -> Vec<usize> {
    let begun = |line: &usize| matches!(entries[*line], Entry::Begin { .. });
    let lines: Vec<usize> = (mark..entries.len()).rev().filter(begun).collect();
    let mut order = Vec::with_capacity(lines.len());
    let mut waiting: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (at, line) in lines.iter().enumerate() {
        let older = lines[at + 1..].iter().filter(|line| !undone.contains(line));
        match unit_file_of(way_back(entries, *line), older, entries) {
            Some(file) => waiting.entry(file).or_default().push(*line),
            None => {
                order.push(*line);
                order.extend(waiting.remove(line).unwrap_or_default());
            }
        }
    }
    order
}

fn way_back(entries: &[Entry], line: usize) -> &[UndoStep] {
    match &entries[line] {
        Entry::Begin { undo, .. } => undo,
        _ => &[],
    }
}

/// The oldest change that puts back a unit file of the service which `undo` starts, and that is newer than the
/// change of the service before.
fn unit_file_of<'a>(
    undo: &[UndoStep],
    older: impl Iterator<Item = &'a usize>,
    entries: &[Entry],
) -> Option<usize> {
    let starts = |step: &UndoStep| matches!(step, UndoStep::SetService { running: true, .. });
    if !undo.iter().any(starts) {
        return None;
    }
    let service = Subjects::of(undo);
    let former = |line: &usize| {
        let steps = way_back(entries, *line).iter();
        Subjects::of(steps.filter(|step| {
            matches!(
                step,
                UndoStep::RestoreFile { .. } | UndoStep::RestoreSymlink { .. }
            )
        }))
    };
    older
        .copied()
        .take_while(|line| !service.same_name(&Subjects::of(way_back(entries, *line))))
        .filter(|line| service.overlap(&former(line)))
        .last()
}
