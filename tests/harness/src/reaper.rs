//! Removes a lab when the process that made it is gone, however it ended.
//!
//! The reaper waits on a pipe whose other end only the creator holds. The kernel closes that end when
//! the creator dies, also by SIGKILL, when no code of the creator can run any more.

use std::io::{self, PipeWriter, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::Stdio;

use nix::unistd::setsid;

use crate::internal::{InternalError, Role, close_inherited, lab_process};
use crate::state::LabDir;
use crate::teardown::teardown;

/// The creator's end of the pipe. Dropping it without [`Reaper::dismiss`] has the lab removed.
#[derive(Debug)]
pub(crate) struct Reaper {
    pipe: PipeWriter,
}

impl Reaper {
    /// Starts the reaper of the lab with this id.
    pub(crate) fn start(lab: &LabDir, id: &str) -> Result<Reaper, InternalError> {
        let error = |source| InternalError::Start {
            role: Role::Reap.word(),
            source,
        };
        let (reader, pipe) = io::pipe().map_err(error)?;
        let mut command = lab_process(Role::Reap, lab, id);
        let child = command
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
        Ok(Reaper { pipe })
    }

    /// The lab has been removed already.
    pub(crate) fn dismiss(mut self) {
        // A reaper that is gone needs no word.
        let _ = self.pipe.write_all(b".");
    }
}

/// Role `reap`.
pub(crate) fn run(lab: &LabDir, id: &str) -> i32 {
    close_inherited();
    let _ = setsid();
    if wait_for_dismissal() {
        return 0;
    }
    let Ok(_lock) = lab.state().lock(lab.name()) else {
        return 1;
    };
    match lab.record() {
        // A later lab of the same name is not ours to remove.
        Ok(Some(record)) if record.id != id => return 0,
        Ok(None) if !lab.path().exists() => return 0,
        _ => {}
    }
    match teardown(lab) {
        Ok(()) => 0,
        Err(_) => 1,
    }
}

/// Waits for the creator's word or its end; says whether it was the word.
pub(crate) fn wait_for_dismissal() -> bool {
    let mut word = [0];
    loop {
        match io::stdin().read(&mut word) {
            Ok(0) => return false,
            Ok(_) => return true,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return false,
        }
    }
}
