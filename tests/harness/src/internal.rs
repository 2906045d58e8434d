//! The processes of ours that outlive a call: supervisors, PID 1 until systemd takes over, reapers.
//!
//! They are this very executable, started again under the name [`ARGV0`] with a role as the first
//! argument. A library cannot expect a second program to be installed beside the one that embeds
//! it, and a child forked without exec would inherit whatever the test runner has open. So the
//! executable must notice, before it does anything else, that it was started for a role. On glibc
//! this happens before `main`, through an entry in `.init_array`; thus it works in test binaries,
//! whose `main` is not ours, and in programs that never heard of this crate.
//!
//! Only this module knows the roles and their arguments.

use std::ffi::OsStr;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use thiserror::Error;

use crate::name::Name;
use crate::state::{HostDir, LabDir, StateDir};
use crate::{boot, guest, reaper, supervisor};

/// What `ps` shows for all processes of the harness.
pub(crate) const ARGV0: &str = "ingot-lab";

/// The executable, also after a rebuild has replaced the file.
const OWN_EXECUTABLE: &str = "/proc/self/exe";

/// A process of ours could not be started, or its arguments were not ours.
#[derive(Debug, Error)]
pub enum InternalError {
    /// The executable could not be started again.
    #[error("cannot start this program again as the lab's {role}")]
    Start {
        /// What it was to do.
        role: &'static str,
        /// What the kernel said.
        source: std::io::Error,
    },
}

/// What a process of ours does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Starts a supervisor and ends, so that the supervisor is nobody's child.
    Launch,
    /// Boots a host again and again until it is powered off.
    Supervise,
    /// One boot of a host.
    Boot,
    /// PID 1 of a host until it executes systemd.
    Init,
    /// Removes a lab when its creator is gone.
    Reap,
    /// Removes a guest when its creator is gone.
    GuardGuest,
}

impl Role {
    const ALL: [Role; 6] = [
        Role::Launch,
        Role::Supervise,
        Role::Boot,
        Role::Init,
        Role::Reap,
        Role::GuardGuest,
    ];

    pub(crate) fn word(self) -> &'static str {
        match self {
            Role::Launch => "launch",
            Role::Supervise => "supervise",
            Role::Boot => "boot",
            Role::Init => "init",
            Role::Reap => "reap",
            Role::GuardGuest => "guard-guest",
        }
    }
}

/// This executable, to be started for a role of a host.
pub(crate) fn host_process(role: Role, host: &HostDir) -> Command {
    let mut command = lab_process(role, host.lab(), host.name().as_str());
    command.stdin(Stdio::null());
    command
}

/// This executable, to be started for a role of a lab; `subject` is the role's last argument.
pub(crate) fn lab_process(role: Role, lab: &LabDir, subject: &str) -> Command {
    let mut command = Command::new(OWN_EXECUTABLE);
    command
        .arg0(ARGV0)
        .arg(role.word())
        .arg(lab.state().path())
        .arg(lab.name().as_str())
        .arg(subject)
        .current_dir("/");
    command
}

/// This executable, to be started as the guard of a guest.
pub(crate) fn guest_process(state: &StateDir, guest: &Name, subject: &str) -> Command {
    let mut command = Command::new(OWN_EXECUTABLE);
    command
        .arg0(ARGV0)
        .arg(Role::GuardGuest.word())
        .arg(state.path())
        .arg(guest.as_str())
        .arg(subject)
        .current_dir("/");
    command
}

/// Plays a role if the executable was started for one, and then does not return.
///
/// Needs no call where the C library passes the arguments to `.init_array` (glibc). A program
/// built with another one calls it first thing in `main`.
pub fn dispatch_internal() {
    let mut args = std::env::args_os();
    if args.next().as_deref() != Some(OsStr::new(ARGV0)) {
        return;
    }
    let args: Vec<_> = args.collect();
    let [role, state, lab, subject] = args.as_slice() else {
        return;
    };
    let Some(role) = Role::ALL.into_iter().find(|r| role == r.word()) else {
        return;
    };
    let name = |text: &OsStr| Name::try_from(text.to_string_lossy().into_owned());
    let Ok(lab) = name(lab) else { return };
    if role == Role::GuardGuest {
        // The word in the lab's place is the guest: most guests have no lab.
        let subject = subject.to_string_lossy();
        std::process::exit(guest::guard(state.as_ref(), &lab, &subject));
    }
    let lab = StateDir::at(state.into()).lab(&lab);
    let code = match role {
        Role::Reap => reaper::run(&lab, &subject.to_string_lossy()),
        Role::Launch | Role::Supervise | Role::Boot | Role::Init => match name(subject) {
            Ok(host) => play(role, &lab.host(&host)),
            Err(_) => return,
        },
        Role::GuardGuest => return,
    };
    std::process::exit(code);
}

fn play(role: Role, host: &HostDir) -> i32 {
    match role {
        Role::Launch => supervisor::launch(host),
        Role::Supervise => supervisor::run(host),
        Role::Boot => boot::run(host),
        Role::Init => crate::init::run(host),
        Role::Reap | Role::GuardGuest => 0,
    }
}

/// Closes every descriptor but the three standard ones.
///
/// Whoever runs tests may have handed down a lock, a job server or the pipe that a caller waits on
/// (none of them ours, none marked close-on-exec), and a supervisor would hold it for days.
pub(crate) fn close_inherited() {
    use std::os::fd::{FromRawFd, OwnedFd};
    let Ok(entries) = std::fs::read_dir("/proc/self/fd") else {
        return;
    };
    let numbers: Vec<i32> = entries
        .flatten()
        .filter_map(|e| e.file_name().to_str()?.parse().ok())
        .filter(|fd| *fd > 2)
        .collect();
    for fd in numbers {
        // The descriptor of the listing itself is closed by now, so what is listed must be asked for.
        if !std::path::Path::new(&format!("/proc/self/fd/{fd}")).exists() {
            continue;
        }
        // SAFETY: the process has just been started and has opened nothing it keeps, so no other
        // owner of the descriptor exists.
        #[allow(unsafe_code)]
        drop(unsafe { OwnedFd::from_raw_fd(fd) });
    }
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod at_start {
    extern "C" fn start() {
        super::dispatch_internal();
    }

    // SAFETY: the entry is a function of the type the C library calls. std's own entry, which
    // stores the arguments, has a priority and therefore runs before it.
    #[allow(unsafe_code)]
    #[used]
    #[unsafe(link_section = ".init_array")]
    static START: extern "C" fn() = start;
}
