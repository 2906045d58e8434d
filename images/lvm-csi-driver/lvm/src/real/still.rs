//! Holds pods still, so that snapshots taken one after the other are of one instant.
//!
//! The kernel stops all processes of a control group (version 2). What they have written is there, and
//! nothing comes after it, whether it is a filesystem, encrypted, or a raw device. Freezing the
//! filesystems is no way: LVM suspends the device of each, and Linux 6.1 refuses that, with EBUSY, where
//! the filesystem is frozen already.
//!
//! Nobody may stand still for long. A guardian, a process of its own, lets the pods go on as soon as
//! the agent is dead or the time is over; and which pods are held is written down before they are, so
//! that the next agent lets them go on where the guardian died too, as it does with their container.

use super::cgroup;
use super::folder::Record;
use crate::error::LvmError;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// For how long pods stand still at most.
const LONGEST: Duration = Duration::from_secs(20);
/// How long the kernel may take to stop them: a process that waits for a disk stops after that.
const STOPPING: Duration = Duration::from_secs(5);

/// The program that lets pods go on at the end of its input, which is the end of the agent, or after so
/// many seconds: its first words, which those and the control groups follow.
#[derive(Debug, Clone)]
pub(super) struct Guardian(pub Vec<String>);

impl Default for Guardian {
    /// The program itself, also when its file was replaced.
    fn default() -> Self {
        Self(vec!["/proc/self/exe".into(), "guardian".into()])
    }
}

impl Guardian {
    fn start(&self, longest: Duration, groups: &[PathBuf]) -> Result<Child, LvmError> {
        let [program, words @ ..] = self.0.as_slice() else {
            return Err(LvmError::NotFound {
                what: "the program of the guardian".into(),
            });
        };
        let started = Command::new(program)
            .args(words)
            .arg(longest.as_secs_f64().to_string())
            .args(groups)
            .stdin(Stdio::piped())
            .spawn();
        started.map_err(failed("start", Path::new(program)))
    }
}

/// What the guardian does in the end.
pub fn let_go_on(groups: &[PathBuf]) -> io::Result<()> {
    let mut last = Ok(());
    for group in groups {
        match set(group, false) {
            // The pod has gone meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            done => last = last.and(done),
        }
    }
    last
}

/// Pods that stand still until this is dropped.
#[derive(Debug)]
pub(super) struct Still {
    record: Record,
    groups: Vec<PathBuf>,
    guardian: Child,
}

fn failed(what: &str, path: &Path) -> impl Fn(io::Error) -> LvmError {
    let command = format!("{what} {}", path.display());
    move |error| LvmError::Failed {
        command: command.clone(),
        reason: error.to_string(),
    }
}

/// Another attempt would let them stand still again.
fn given_up(why: String) -> LvmError {
    LvmError::Invalid {
        what: format!("{why}, so the snapshots would not be of one instant; none was kept"),
        remedy: "take them again when the node is less busy, or stop the pods meanwhile".into(),
    }
}

impl Still {
    /// Holds those pods still; nothing, if none of them runs.
    pub fn hold<'a>(
        guardian: &Guardian,
        record: &Record,
        pods: impl IntoIterator<Item = &'a String>,
    ) -> Result<Option<Self>, LvmError> {
        Self::hold_below(Path::new(cgroup::ROOT), guardian, record, pods, LONGEST)
    }

    fn hold_below<'a>(
        root: &Path,
        guardian: &Guardian,
        record: &Record,
        pods: impl IntoIterator<Item = &'a String>,
        longest: Duration,
    ) -> Result<Option<Self>, LvmError> {
        let mut groups = Vec::new();
        for pod in pods {
            if !cgroup::tells_of_pods(root) {
                return Err(LvmError::Invalid {
                    what: format!(
                        "pod {pod} cannot be held still: {} has no control groups of pods, of version 2",
                        root.display()
                    ),
                    remedy: "let the node use them, or stop the pod while its volumes are snapshotted together".into(),
                });
            }
            // One without a group has no processes; one that somebody else has stopped is still.
            let group = cgroup::group(root, pod);
            groups.extend(group.filter(|group| !stopped(group)));
        }
        if groups.is_empty() {
            return Ok(None);
        }
        let lines: Vec<_> = groups.iter().map(|group| group.to_string_lossy()).collect();
        record.write(&lines.join("\n"))?;
        let guardian = guardian.start(longest, &groups)?;
        let still = Self {
            record: record.clone(),
            groups,
            guardian,
        };
        still.stop()?;
        Ok(Some(still))
    }

    fn stop(&self) -> Result<(), LvmError> {
        for group in &self.groups {
            set(group, true).map_err(failed("freeze", group))?;
        }
        let end = Instant::now() + STOPPING;
        while let Some(group) = self.groups.iter().find(|group| !stands(group)) {
            if Instant::now() >= end {
                let (name, seconds) = (group.display(), STOPPING.as_secs());
                return Err(given_up(format!(
                    "the processes in {name} have not stopped within {seconds} s"
                )));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    /// Succeeds if nobody has gone on since.
    pub fn held(&self) -> Result<(), LvmError> {
        match self.groups.iter().all(|group| stopped(group)) {
            true => Ok(()),
            false => Err(given_up(format!(
                "they took longer than the {} s for which pods may stand still",
                LONGEST.as_secs()
            ))),
        }
    }
}

impl Drop for Still {
    fn drop(&mut self) {
        let _ = go_on(&self.record);
        // It ends with its input, and says the same again.
        drop(self.guardian.stdin.take());
        let _ = self.guardian.wait();
    }
}

/// Lets go on whom a record names, if there is one.
pub(super) fn go_on(record: &Record) -> Result<(), LvmError> {
    let Some(groups) = record.read()? else {
        return Ok(());
    };
    let groups: Vec<PathBuf> = groups.lines().map(PathBuf::from).collect();
    let_go_on(&groups).map_err(failed("thaw the groups in", Path::new(&record.name)))?;
    record.remove()
}

fn set(group: &Path, frozen: bool) -> io::Result<()> {
    let file = group.join("cgroup.freeze");
    // Never made: a group that is gone has no such file.
    let mut file = fs::OpenOptions::new().write(true).open(file)?;
    io::Write::write_all(&mut file, if frozen { b"1" } else { b"0" })
}

/// Whether it was told to stop.
fn stopped(group: &Path) -> bool {
    fs::read_to_string(group.join("cgroup.freeze")).is_ok_and(|text| text.trim() == "1")
}

/// Whether all its processes stand still, or there are none any more.
fn stands(group: &Path) -> bool {
    let events = fs::read_to_string(group.join("cgroup.events"));
    events.map_or(true, |text| text.lines().any(|line| line == "frozen 1"))
}

#[cfg(test)]
mod tests;
