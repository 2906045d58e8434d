//! The hold of an agent on a volume group, which the programs that it starts share.
//!
//! LVM must not be killed in the middle: between two of its steps a device is suspended, or the
//! kernel's thin pool is ahead of what is written down. So when an agent dies, its programs end by
//! themselves, and the next agent waits for them: each has the agent's lock as its standard input, and
//! a lock that is shared is free when the last of them has ended.

use super::folder::{Folder, Record};
use crate::error::LvmError;
use ingot_volume_brain::VgName;
use nix::fcntl::OFlag;
use std::fs::{File, TryLockError};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long programs of a former release are waited for. Below the deadline of a command, so that the reason is told.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often it is looked whether they have ended.
const LOOK: Duration = Duration::from_millis(100);

/// The hold on one group; taken with its first command.
#[derive(Debug)]
pub(super) struct Hold {
    group: String,
    folder: Folder,
    /// A predecessor of a former release has its lock there.
    former: Folder,
    patience: Duration,
    lock: Mutex<Option<File>>,
}

impl Hold {
    pub fn on(vg: &VgName) -> Self {
        Self {
            group: vg.to_string(),
            folder: Folder::present(),
            former: Folder::former(),
            patience: PATIENCE,
            lock: Mutex::default(),
        }
    }

    /// Other files about the group, which outlive the agent as the lock does: the present one, and that of a
    /// predecessor of a former release.
    pub fn records(&self, extension: &str) -> [Record; 2] {
        [&self.folder, &self.former].map(|folder| Record {
            folder: folder.clone(),
            name: format!("{}.{extension}", self.group),
        })
    }

    /// A share for a program. Waits until no program of a predecessor is left.
    pub fn share(&self) -> Result<File, LvmError> {
        let name = format!("{}.lock", self.group);
        let failed = |error: std::io::Error| LvmError::Failed {
            command: format!("lock {name}"),
            reason: error.to_string(),
        };
        let mut lock = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(held) = &*lock {
            return held.try_clone().map_err(failed);
        }
        let open = self.folder.make()?;
        let flags = OFlag::O_RDWR | OFlag::O_CREAT;
        let file = open
            .file(&name, flags)?
            .ok_or_else(|| failed(std::io::ErrorKind::NotFound.into()))?;
        file.lock().map_err(failed)?;
        self.wait_for_former(&name)?;
        lock.insert(file).try_clone().map_err(failed)
    }

    /// Waits for the programs of a predecessor of a former release. A directory there that is not an agent's says
    /// nothing of one, so it stops nobody.
    fn wait_for_former(&self, name: &str) -> Result<(), LvmError> {
        let Ok(Some(open)) = self.former.open() else {
            return Ok(());
        };
        let Ok(Some(file)) = open.file(name, OFlag::O_RDONLY) else {
            return Ok(());
        };
        let failed = |reason: String| LvmError::Failed {
            command: format!(
                "lock {} of a former release",
                self.former.file(name).display()
            ),
            reason,
        };
        let end = Instant::now() + self.patience;
        loop {
            match file.try_lock() {
                // No agent of that release starts any more, so it need not be held.
                Ok(()) => return Ok(()),
                Err(TryLockError::Error(error)) => return Err(failed(error.to_string())),
                Err(TryLockError::WouldBlock) if Instant::now() < end => std::thread::sleep(LOOK),
                // In that release every user could open the file, and who has it open can lock it for ever.
                Err(TryLockError::WouldBlock) => {
                    return Err(failed(format!(
                        "another process has held it for {} s; it is tried again with the next command. Look who it \
                         is with `lslocks`: a command of LVM ends by itself, any other process may be ended",
                        self.patience.as_secs()
                    )));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;
    use std::process::{Command, Stdio};

    fn hold(base: &Path) -> Hold {
        Hold {
            group: "vg".into(),
            folder: Folder::at(&base.join("ingot")),
            former: Folder::at(&base.join("lock")),
            patience: Duration::from_secs(3600),
            lock: Mutex::default(),
        }
    }

    #[test]
    fn a_successor_waits_for_the_programs_of_its_predecessor() {
        let folder = tempfile::tempdir().expect("a directory");
        let hold = || hold(folder.path());
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
        let file = File::open(folder.path().join("ingot/vg.lock")).expect("there");
        assert!(file.try_lock().is_err(), "free while a program is left");
        assert!(hear.try_recv().is_err(), "taken while a program is left");
        drop(program.stdin.take());
        program.wait().expect("ended");
        hear.recv().expect("taken").expect("held");
        waiting.join().expect("no panic");
    }

    #[test]
    fn a_successor_waits_for_the_programs_of_a_former_release() {
        let base = tempfile::tempdir().expect("a directory");
        std::fs::create_dir(base.path().join("lock")).expect("made");
        let former = File::create(base.path().join("lock/vg.lock")).expect("made");
        former.lock().expect("locked");
        let next = hold(base.path());
        let (say, hear) = std::sync::mpsc::channel();
        let waiting = std::thread::spawn(move || say.send(next.share().map(drop)));
        // It has its own lock, and no share of it is given yet.
        let own = base.path().join("ingot/vg.lock");
        let taken = || File::open(&own).is_ok_and(|file| file.try_lock().is_err());
        while !taken() {
            std::thread::yield_now();
        }
        assert!(hear.try_recv().is_err(), "taken while a program is left");
        drop(former);
        hear.recv().expect("taken").expect("held");
        waiting.join().expect("no panic").expect("heard");
    }

    #[test]
    fn a_lock_of_a_former_release_that_is_never_free_is_told_and_tried_again() {
        let base = tempfile::tempdir().expect("a directory");
        std::fs::create_dir(base.path().join("lock")).expect("made");
        let former = File::create(base.path().join("lock/vg.lock")).expect("made");
        former.lock().expect("locked");
        let mut next = hold(base.path());
        next.patience = Duration::ZERO;
        let told = next.share().expect_err("held by another").to_string();
        assert!(told.contains("lock/vg.lock of a former release"), "{told}");
        assert!(told.contains("another process has held it"), "{told}");
        drop(former);
        next.share().expect("free now");
    }

    #[test]
    fn what_somebody_put_in_the_place_of_a_former_release_stops_nobody() {
        let base = tempfile::tempdir().expect("a directory");
        std::os::unix::fs::symlink("/", base.path().join("lock")).expect("linked");
        hold(base.path()).share().expect("held");
    }
}
