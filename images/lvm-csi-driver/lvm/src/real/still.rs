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
    record: PathBuf,
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
        record: &Path,
        pods: impl IntoIterator<Item = &'a String>,
    ) -> Result<Option<Self>, LvmError> {
        Self::hold_below(Path::new(cgroup::ROOT), guardian, record, pods, LONGEST)
    }

    fn hold_below<'a>(
        root: &Path,
        guardian: &Guardian,
        record: &Path,
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
        fs::write(record, lines.join("\n")).map_err(failed("write", record))?;
        let guardian = guardian.start(longest, &groups)?;
        let still = Self {
            record: record.to_owned(),
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
pub(super) fn go_on(record: &Path) -> Result<(), LvmError> {
    let groups = match fs::read_to_string(record) {
        Ok(groups) => groups,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed("read", record)(error)),
    };
    let groups: Vec<PathBuf> = groups.lines().map(PathBuf::from).collect();
    let_go_on(&groups).map_err(failed("thaw the groups in", record))?;
    fs::remove_file(record).map_err(failed("remove", record))
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
mod tests {
    use super::*;

    const POD: &str = "0f5a1c3e-9b1d-4c7e-8a64-2f0f6f1f6a11";

    /// A control group as files, which says that it has stopped before it was told.
    fn node() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().expect("a directory");
        let group = folder.path().join(format!("kubepods/pod{POD}"));
        fs::create_dir_all(&group).expect("made");
        fs::write(folder.path().join("cgroup.controllers"), "io").expect("written");
        fs::write(group.join("cgroup.freeze"), "0").expect("written");
        fs::write(group.join("cgroup.events"), "populated 1\nfrozen 1\n").expect("written");
        (folder, group)
    }

    fn hold(folder: &Path, longest: Duration) -> Result<Option<Still>, LvmError> {
        let script = r#"s=$1; shift; timeout $s cat; for g; do echo 0 >"$g/cgroup.freeze"; done"#;
        let guardian = Guardian(["sh", "-c", script, "guardian"].map(str::to_owned).to_vec());
        let (record, pods) = (folder.join("record"), [POD.to_owned()]);
        Still::hold_below(folder, &guardian, &record, &pods, longest)
    }

    fn told(group: &Path) -> String {
        let text = fs::read_to_string(group.join("cgroup.freeze"));
        text.expect("read").trim().to_owned()
    }

    #[test]
    fn pods_stand_still_until_all_is_done() {
        let (folder, group) = node();
        let still = hold(folder.path(), LONGEST).expect("held").expect("a pod");
        assert_eq!(told(&group), "1");
        still.held().expect("nobody has gone on");
        drop(still);
        assert_eq!(told(&group), "0");
        assert!(!folder.path().join("record").exists());
    }

    #[test]
    fn the_guardian_lets_them_go_on_when_the_agent_is_gone() {
        let (folder, group) = node();
        let still = hold(folder.path(), LONGEST).expect("held").expect("a pod");
        // What becomes of the pipe of a process that is killed.
        let mut still = std::mem::ManuallyDrop::new(still);
        drop(still.guardian.stdin.take());
        still.guardian.wait().expect("ended");
        assert_eq!(told(&group), "0");
        let error = still.held().expect_err("they have gone on").to_string();
        assert!(
            error.contains("would not be of one instant; none was kept"),
            "{error}"
        );
        // The record is still there, for the next agent.
        go_on(&folder.path().join("record")).expect("once more");
    }

    #[test]
    fn the_guardian_lets_them_go_on_when_the_time_is_over() {
        let (folder, group) = node();
        let still = hold(folder.path(), Duration::from_millis(1));
        let mut still = std::mem::ManuallyDrop::new(still.expect("held").expect("a pod"));
        // Its input is open all the while.
        let input = still.guardian.stdin.take();
        still.guardian.wait().expect("ended");
        assert_eq!(told(&group), "0");
        drop(input);
    }

    #[test]
    fn the_next_agent_lets_go_on_what_a_record_names() {
        let (folder, group) = node();
        let record = folder.path().join("record");
        fs::write(&record, format!("{}\n/nowhere", group.display())).expect("written");
        fs::write(group.join("cgroup.freeze"), "1").expect("written");
        go_on(&record).expect("done");
        assert_eq!(told(&group), "0");
        assert!(!record.exists());
        go_on(&record).expect("there is none");
    }

    #[test]
    fn who_cannot_be_stopped_is_not_taken_for_stopped() {
        let (folder, group) = node();
        fs::remove_file(folder.path().join("cgroup.controllers")).expect("removed");
        let error = hold(folder.path(), LONGEST)
            .expect_err("version 1")
            .to_string();
        assert!(
            error.contains("has no control groups of pods, of version 2"),
            "{error}"
        );
        fs::write(folder.path().join("cgroup.controllers"), "io").expect("written");
        // Somebody else has stopped it, and is to let it go on.
        fs::write(group.join("cgroup.freeze"), "1").expect("written");
        assert!(hold(folder.path(), LONGEST).expect("held").is_none());
        assert_eq!(told(&group), "1");
    }
}
