//! Takes a lab apart, whatever state it is in: whole, half made, or left by a crash.
//!
//! It trusts no record to be complete: processes are also found by their command line, cgroups by
//! their name, mounts in the mount table. Every step tolerates that its work is done already.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::mount::{MntFlags, umount2};
use thiserror::Error;

use crate::cgroup::{self, CgroupError};
use crate::guest;
use crate::internal::{ARGV0, Role};
use crate::name::Name;
use crate::process::{ProcessId, with_command_line};
use crate::state::{self, LabDir, StateDir, StateError};

/// Something of a lab could not be removed.
#[derive(Debug, Error)]
pub enum TeardownError {
    /// A process does not end.
    #[error("process {0} of the lab does not end although it was killed; is its disk gone?")]
    Process(i32),
    /// A cgroup stays.
    #[error("cannot remove the cgroups of the lab's hosts")]
    Cgroup(#[from] CgroupError),
    /// A mount stays.
    #[error("cannot unmount {}", path.display())]
    Mount {
        /// Where it is mounted.
        path: PathBuf,
        /// What the kernel said.
        source: std::io::Error,
    },
    /// A directory stays.
    #[error("cannot remove the lab's directory")]
    State(#[from] StateError),
}

/// Removes everything of a lab, the file of the lock that the caller holds included.
pub(crate) fn teardown(lab: &LabDir) -> Result<(), TeardownError> {
    // Supervisors first: whoever else dies, nothing is started again.
    let path = lab.state().path().to_string_lossy();
    for role in [Role::Launch, Role::Supervise, Role::Boot] {
        kill(with_command_line(
            ARGV0,
            &[role.word(), &path, lab.name().as_str()],
        ))?;
    }
    guest::kill_below(&guest::lab_guests(lab))?;
    let mut cgroups = cgroup::find(&format!("{}{}.", lab.state().cgroup_prefix(), lab.name()));
    for host in lab.host_names()? {
        // A record of a half-made host may be missing or broken; the names found above suffice.
        let Ok(run) = lab.host(&host).run() else {
            continue;
        };
        kill([run.supervisor, run.init].into_iter().flatten().collect())?;
        cgroups.extend(run.cgroups);
    }
    cgroup::remove(&cgroups)?;
    unmount_below(lab.path())?;
    state::remove_tree(lab.path())?;
    lab.state().remove_lock(lab.name())?;
    Ok(())
}

/// Powers off one host at once, whatever it is doing. Its supervisor tidies up and ends.
pub(crate) fn kill(processes: Vec<ProcessId>) -> Result<(), TeardownError> {
    processes.iter().for_each(ProcessId::kill);
    match processes
        .iter()
        .find(|p| !p.wait_gone(Duration::from_secs(20)))
    {
        Some(stuck) => Err(TeardownError::Process(stuck.pid())),
        None => Ok(()),
    }
}

/// Names of labs that left anything behind: a directory, a process or a cgroup.
pub(crate) fn remnants(state: &StateDir) -> Result<Vec<Name>, StateError> {
    let mut names = state.lab_names()?;
    let prefix = state.cgroup_prefix();
    for path in cgroup::find(&prefix) {
        let name = path
            .file_name()
            .and_then(|n| n.to_str())
            .and_then(|n| n.strip_prefix(&prefix));
        let lab = name.and_then(|n| n.split('.').next());
        names.extend(lab.and_then(|n| Name::try_from(n).ok()));
    }
    let path = state.path().to_string_lossy();
    for role in [Role::Launch, Role::Supervise, Role::Boot] {
        for process in with_command_line(ARGV0, &[role.word(), &path]) {
            let line = fs::read(format!("/proc/{}/cmdline", process.pid())).unwrap_or_default();
            let lab = line.split(|b| *b == 0).nth(3).map(String::from_utf8_lossy);
            names.extend(lab.and_then(|n| Name::try_from(n.into_owned()).ok()));
        }
    }
    names.sort();
    names.dedup();
    Ok(names)
}

fn unmount_below(dir: &Path) -> Result<(), TeardownError> {
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let below = table
        .lines()
        .filter_map(|line| line.split(' ').nth(4))
        // proc(5): a space in a path is written as \040.
        .map(|path| PathBuf::from(path.replace("\\040", " ")))
        .filter(|path| path.starts_with(dir));
    // Later mounts may lie on earlier ones.
    for path in below.collect::<Vec<_>>().into_iter().rev() {
        umount2(&path, MntFlags::MNT_DETACH).map_err(|e| TeardownError::Mount {
            path,
            source: e.into(),
        })?;
    }
    Ok(())
}
