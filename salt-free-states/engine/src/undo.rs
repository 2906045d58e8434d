//! The way back: steps recorded in the journal, and walking them from the last to the first.
//!
//! Each step may be repeated: a power cut in the middle of an undo costs nothing.

use crate::journal::{Entry, Journal, JournalError, Saved};
use crate::resource::{self, ResourceError, io, write_atomically};
use crate::system::System;
use serde::{Deserialize, Serialize};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

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

/// Takes back everything the journal records, the latest first, and goes on after a failure.
/// `progress` is told each target.
///
/// # Errors
/// [`JournalError`] when the journal cannot be written. Steps that failed are returned in the value,
/// and are tried again by the next call.
pub fn undo(
    system: &System,
    journal: &Journal,
    progress: &dyn Fn(&str),
) -> Result<Vec<UndoFailure>, JournalError> {
    let entries = journal.entries();
    let undone: std::collections::BTreeSet<usize> = entries
        .iter()
        .filter_map(|entry| {
            if let Entry::Undone { line } = entry {
                Some(*line)
            } else {
                None
            }
        })
        .collect();
    let mut failures = Vec::new();
    for (line, entry) in entries.iter().enumerate().rev() {
        let Entry::Begin { target, undo, .. } = entry else {
            continue;
        };
        if undone.contains(&line) {
            continue;
        }
        progress(target);
        match undo
            .iter()
            .rev()
            .try_for_each(|step| walk(step, system, journal.saved()))
        {
            Ok(()) => journal.append(Entry::Undone { line })?,
            Err(source) => failures.push(UndoFailure {
                target: target.clone(),
                source,
            }),
        }
    }
    Ok(failures)
}

fn absent_is_fine(result: std::io::Result<()>) -> std::io::Result<()> {
    match result {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn walk(step: &UndoStep, system: &System, saved: &Saved) -> Result<(), ResourceError> {
    match step {
        UndoStep::RemoveFile { path } => {
            absent_is_fine(std::fs::remove_file(system.path(path))).map_err(io("remove", path))
        }
        UndoStep::RestoreFile {
            path,
            saved: name,
            mode,
            uid,
            gid,
        } => {
            let content = saved
                .read(name)
                .map_err(io("find the kept content of", path))?;
            write_atomically(&system.path(path), |temporary, file| {
                file.write_all(&content)?;
                own(temporary, *mode, *uid, *gid)
            })
            .map_err(io("restore", path))
        }
        UndoStep::RestoreSymlink { path, target } => {
            let at = system.path(path);
            absent_is_fine(std::fs::remove_file(&at)).map_err(io("remove", path))?;
            std::os::unix::fs::symlink(target, at).map_err(io("restore", path))
        }
        UndoStep::RemoveDirectory { path } => match std::fs::remove_dir(system.path(path)) {
            Err(error) if error.kind() == std::io::ErrorKind::DirectoryNotEmpty => Ok(()),
            other => absent_is_fine(other).map_err(io("remove", path)),
        },
        UndoStep::RemoveTree { path } => {
            absent_is_fine(std::fs::remove_dir_all(system.path(path))).map_err(io("remove", path))
        }
        UndoStep::RestoreDirectory {
            path,
            mode,
            uid,
            gid,
        } => {
            let at = system.path(path);
            std::fs::create_dir_all(&at)
                .and_then(|()| own(&at, *mode, *uid, *gid))
                .map_err(io("restore", path))
        }
        UndoStep::SetOwnership {
            path,
            mode,
            uid,
            gid,
        } => absent_is_fine(own(&system.path(path), *mode, *uid, *gid))
            .map_err(io("restore the owner of", path)),
        UndoStep::ReloadUnits => Ok(system
            .commands
            .must("systemctl", &["daemon-reload"])
            .map(drop)?),
        UndoStep::SetService {
            unit,
            enabled,
            running,
        } => {
            let installed = system
                .commands
                .must("systemctl", &["show", "--property=LoadState", "--", unit])?
                .trim()
                != "LoadState=not-found";
            if installed {
                let boot = if *enabled { "enable" } else { "disable" };
                system
                    .commands
                    .must("systemctl", &[boot, "--quiet", "--", unit])?;
                let now = if *running { "start" } else { "stop" };
                system.commands.must("systemctl", &[now, "--", unit])?;
            }
            Ok(())
        }
        UndoStep::SetSysctl { key, value } => {
            let path = crate::resource::sysctl_path(key);
            absent_is_fine(std::fs::write(system.path(&path), value)).map_err(io("write", &path))
        }
        UndoStep::RemoveUser { name } => resource::remove_user(system, name),
        UndoStep::SetUser {
            name,
            gid,
            groups,
            home,
            shell,
        } => {
            let gid = gid.to_string();
            let args = ["--gid", &gid, "--groups", groups, "--home", home];
            let args: Vec<&str> = args
                .into_iter()
                .chain(["--shell", shell, "--", name])
                .collect();
            resource::run_account_tool(system, "usermod", &args)
        }
        UndoStep::RemoveGroup { name } => resource::remove_group(system, name),
        UndoStep::RestoreGroup { name, gid } => resource::restore_group(system, name, *gid),
        UndoStep::Unmount { path } => resource::unmount(system, path),
        UndoStep::Run { program, args } => {
            let args: Vec<&str> = args.iter().map(String::as_str).collect();
            Ok(system.commands.must(program, &args).map(drop)?)
        }
    }
}

fn own(at: &std::path::Path, mode: u32, uid: u32, gid: u32) -> std::io::Result<()> {
    std::os::unix::fs::chown(at, Some(uid), Some(gid))?;
    std::fs::set_permissions(at, std::fs::Permissions::from_mode(mode))
}
