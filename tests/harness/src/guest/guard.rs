//! Removes a guest when the process that made it is gone, however it ended.
//!
//! The twin of the module `reaper`, for guests: it waits on a pipe whose other end only the creator
//! holds. (PR_SET_PDEATHSIG would not do: it fires when the creating thread ends, and test runners
//! have a thread for each test.)

use std::io::{self, PipeWriter, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Stdio;

use nix::unistd::setsid;

use super::directory::GuestDir;
use crate::internal::{self, InternalError, Role};
use crate::name::Name;
use crate::reaper;
use crate::state::StateDir;

/// The creator's end of the pipe. Dropping it without [`Guard::dismiss`] has the guest removed.
#[derive(Debug)]
pub(super) struct Guard {
    pipe: PipeWriter,
}

impl Guard {
    /// Starts the guard of the guest with this id.
    pub(super) fn start(
        state: &StateDir,
        dir: &GuestDir,
        id: &str,
    ) -> Result<Guard, InternalError> {
        let error = |source| InternalError::Start {
            role: Role::GuardGuest.word(),
            source,
        };
        let (reader, pipe) = io::pipe().map_err(error)?;
        let lab = dir.lab().map_or("", |lab| lab.name().as_str());
        let subject = format!("{id}/{lab}");
        let child = internal::guest_process(state, dir.name(), &subject)
            .stdin(reader)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .map_err(error)?;
        // It ends after us, or right after `dismiss`; a thread of its own collects it then.
        std::thread::spawn(move || {
            let mut child = child;
            let _ = child.wait();
        });
        Ok(Guard { pipe })
    }

    /// The guest has been removed already.
    pub(super) fn dismiss(mut self) {
        // A guard that is gone needs no word.
        let _ = self.pipe.write_all(b".");
    }
}

/// Role `guard-guest`; `subject` is the guest's id and its lab, or nothing for a guest of its own.
pub(crate) fn run(state: &Path, guest: &Name, subject: &str) -> i32 {
    internal::close_inherited();
    let _ = setsid();
    if reaper::wait_for_dismissal() {
        return 0;
    }
    let state = StateDir::at(state.into());
    let (id, lab) = subject.split_once('/').unwrap_or((subject, ""));
    let lab = Name::try_from(lab).ok().map(|lab| state.lab(&lab));
    match GuestDir::new(&state, lab, guest).remove(id) {
        Ok(()) => 0,
        Err(_) => 1,
    }
}
