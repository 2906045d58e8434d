//! Walks one step back. It compares nothing: whether a step may be walked is decided before.

use super::UndoStep;
use crate::journal::Saved;
use crate::resource::{self, ResourceError, io, removal, write_atomically};
use crate::system::System;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;

/// How the kernel refuses to remove a directory that others use.
const OTHERS: [ErrorKind; 3] = [
    ErrorKind::DirectoryNotEmpty,
    ErrorKind::ResourceBusy,
    ErrorKind::NotADirectory,
];

fn absent_is_fine(result: std::io::Result<()>) -> std::io::Result<()> {
    match result {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

pub(super) fn walk(step: &UndoStep, system: &System, saved: &Saved) -> Result<(), ResourceError> {
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
        // Others put something into it, mounted something on it, or made it a link: it is theirs now.
        UndoStep::RemoveDirectory { path } => match std::fs::remove_dir(system.path(path)) {
            Err(error) if OTHERS.contains(&error.kind()) => Ok(()),
            other => absent_is_fine(other).map_err(io("remove", path)),
        },
        UndoStep::RemoveTree { path } => removal::remove_tree(system, path),
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
                resource::service::run(system, now, unit)?;
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
