//! Removing what is not wanted, files and whole trees of them, and the steps that put it back.

use super::{ResourceError, io};
use crate::journal::Saved;
use crate::system::System;
use crate::undo::UndoStep;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The entries of the directory `path` of the host, sorted.
pub(super) fn entries(system: &System, path: &Path) -> Result<Vec<PathBuf>, ResourceError> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(system.path(path)).map_err(io("read", path))? {
        found.push(path.join(entry.map_err(io("read", path))?.file_name()));
    }
    found.sort();
    Ok(found)
}

/// Keeps what lies at `path` and appends the steps that put it back. Steps are walked from the last
/// to the first, so a directory comes after what is in it.
pub(super) fn way_back(
    system: &System,
    saved: &Saved,
    path: &Path,
    steps: &mut Vec<UndoStep>,
) -> Result<(), ResourceError> {
    let meta = std::fs::symlink_metadata(system.path(path)).map_err(io("read", path))?;
    if meta.is_file() || meta.is_symlink() {
        steps.push(saved.keep(system, path)?);
        return Ok(());
    }
    if !meta.is_dir() {
        return Err(ResourceError::Conflict(format!(
            "{} is neither a file nor a directory and cannot be kept; move it away",
            path.display()
        )));
    }
    refuse_mounts(system, path)?;
    for entry in entries(system, path)? {
        way_back(system, saved, &entry, steps)?;
    }
    steps.push(UndoStep::RestoreDirectory {
        path: path.into(),
        mode: meta.mode() & 0o7777,
        uid: meta.uid(),
        gid: meta.gid(),
    });
    Ok(())
}

/// Refuses if something is mounted at `path` or below it: that is the site's, and would be kept, removed or
/// moved with what is ours.
pub(super) fn refuse_mounts(system: &System, path: &Path) -> Result<(), ResourceError> {
    let mounted = ingot_deletion::mounted_in(&system.path(path)).map_err(io("look at", path))?;
    match mounted.is_empty() {
        true => Ok(()),
        false => Err(ResourceError::Left(mounted)),
    }
}

/// Removes what lies at `path`, with all it holds.
pub(crate) fn remove_tree(system: &System, path: &Path) -> Result<(), ResourceError> {
    let deleted = ingot_deletion::delete_tree(&system.path(path));
    match deleted.left.is_empty() {
        true => Ok(()),
        false => Err(ResourceError::Left(deleted.left)),
    }
}
