//! The hold of an agent on a volume group, which the programs that it starts share.
//!
//! LVM must not be killed in the middle: between two of its steps a device is suspended, or the
//! kernel's thin pool is ahead of what is written down. So when an agent dies, its programs end by
//! themselves, and the next agent waits for them: each has the agent's lock as its standard input, and
//! a lock that is shared is free when the last of them has ended.

use crate::error::LvmError;
use ingot_volume_brain::VgName;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Where locks of the running system are, as LVM's own.
const FOLDER: &str = "/run/lock/ingot";

/// The hold on one group; taken with its first command.
#[derive(Debug)]
pub(super) struct Hold {
    path: PathBuf,
    lock: Mutex<Option<File>>,
}

impl Hold {
    pub fn on(vg: &VgName) -> Self {
        Self {
            path: Path::new(FOLDER).join(format!("{vg}.lock")),
            lock: Mutex::default(),
        }
    }

    /// Another file about the group, which outlives the agent as the lock does.
    pub fn beside(&self, extension: &str) -> PathBuf {
        self.path.with_extension(extension)
    }

    /// A share for a program. Waits until no program of a predecessor is left.
    pub fn share(&self) -> Result<File, LvmError> {
        let failed = |error: std::io::Error| LvmError::Failed {
            command: format!("lock {}", self.path.display()),
            reason: error.to_string(),
        };
        let mut lock = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(held) = &*lock {
            return held.try_clone().map_err(failed);
        }
        if let Some(folder) = self.path.parent() {
            fs::create_dir_all(folder).map_err(failed)?;
        }
        let file = File::create(&self.path).map_err(failed)?;
        file.lock().map_err(failed)?;
        lock.insert(file).try_clone().map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    fn a_successor_waits_for_the_programs_of_its_predecessor() {
        let folder = tempfile::tempdir().expect("a directory");
        let hold = || Hold {
            path: folder.path().join("vg.lock"),
            lock: Mutex::default(),
        };
        let first = hold();
        let share = first.share().expect("held");
        let mut program = Command::new("cat")
            .stdin(Stdio::piped())
            .stderr(Stdio::from(share))
            .spawn()
            .expect("started");
        // The agent is gone; what it started is not.
        drop(first);
        let second = hold();
        let (say, hear) = std::sync::mpsc::channel();
        let waiting = std::thread::spawn(move || {
            let share = second.share().map(drop);
            say.send(share).expect("somebody listens");
        });
        let file = File::open(folder.path().join("vg.lock")).expect("there");
        assert!(file.try_lock().is_err(), "free while a program is left");
        assert!(hear.try_recv().is_err(), "taken while a program is left");
        drop(program.stdin.take());
        program.wait().expect("ended");
        hear.recv().expect("taken").expect("held");
        waiting.join().expect("no panic");
    }
}
