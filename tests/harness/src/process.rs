//! Processes that other programs started, named so that a reused number is never mistaken.
//!
//! It only looks and sends signals; it never starts anything.

use std::borrow::Cow;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

/// A process, by number, start time and boot of the machine: the three together never repeat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ProcessId {
    pid: i32,
    /// Clock ticks since the machine's boot (proc(5), field 22 of /proc/pid/stat).
    started: u64,
    machine_boot: String,
}

impl ProcessId {
    /// The identity of the running process `pid`, or nothing if there is none.
    pub(crate) fn of(pid: i32) -> Option<ProcessId> {
        let (started, _) = start_and_state(pid)?;
        Some(ProcessId {
            pid,
            started,
            machine_boot: machine_boot_id(),
        })
    }

    /// The identity of this process.
    pub(crate) fn own() -> Option<ProcessId> {
        ProcessId::of(Pid::this().as_raw())
    }

    pub(crate) fn pid(&self) -> i32 {
        self.pid
    }

    /// Whether this very process still runs; one that ended but was not waited for does not.
    pub(crate) fn is_alive(&self) -> bool {
        let Some((started, state)) = start_and_state(self.pid) else {
            return false;
        };
        started == self.started
            && state != 'Z'
            && state != 'X'
            && self.machine_boot == machine_boot_id()
    }

    /// Sends SIGKILL, if the process is still the one meant.
    pub(crate) fn kill(&self) {
        if self.is_alive() {
            // It may end by itself between the look and the signal.
            let _ = kill(Pid::from_raw(self.pid), Signal::SIGKILL);
        }
    }

    /// Waits until the process is gone; says whether that happened before the deadline.
    pub(crate) fn wait_gone(&self, within: Duration) -> bool {
        let deadline = Instant::now() + within;
        while self.is_alive() {
            if Instant::now() >= deadline {
                return false;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        true
    }
}

/// SIGKILL for a process number read from a cgroup just now.
pub(crate) fn kill_number(pid: i32) -> Result<(), Errno> {
    match kill(Pid::from_raw(pid), Signal::SIGKILL) {
        Err(Errno::ESRCH) => Ok(()),
        other => other,
    }
}

/// All processes named `first` of which any further word of the command line satisfies `matches`.
pub(crate) fn with_word(first: &str, matches: impl Fn(&str) -> bool) -> Vec<ProcessId> {
    with_words(|words| {
        let (name, rest) = words.split_first().unzip();
        name.is_some_and(|name| name == first)
            && rest.unwrap_or_default().iter().any(|w| matches(w))
    })
}

/// All processes whose command line starts with `first` and then the words `rest`. One that is
/// just being executed has no words yet and is not found.
pub(crate) fn with_command_line(first: &str, rest: &[&str]) -> Vec<ProcessId> {
    with_words(|words| {
        let (name, others) = words.split_first().unzip();
        let others = others.unwrap_or_default().iter();
        name.is_some_and(|name| name == first)
            && others.len() >= rest.len()
            && others.zip(rest).all(|(word, wanted)| word == wanted)
    })
}

/// All processes whose words satisfy `matches`.
fn with_words(matches: impl Fn(&[Cow<'_, str>]) -> bool) -> Vec<ProcessId> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some(pid) = name.to_str().and_then(|n| n.parse::<i32>().ok()) else {
            continue;
        };
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let words: Vec<_> = line
            .split(|b| *b == 0)
            .map(String::from_utf8_lossy)
            .collect();
        if matches(&words) {
            found.extend(ProcessId::of(pid));
        }
    }
    found
}

/// The kernel's random identity of this boot of the machine.
pub(crate) fn machine_boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .unwrap_or_default()
        .trim()
        .to_owned()
}

fn start_and_state(pid: i32) -> Option<(u64, char)> {
    let path: PathBuf = format!("/proc/{pid}/stat").into();
    let text = fs::read_to_string(path).ok()?;
    // The second field is the program's name in parentheses and may itself hold spaces and ')'.
    let (_, rest) = text.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    // `rest` begins at field 3, so field 22 is the 20th of it.
    Some((
        fields.get(19)?.parse().ok()?,
        fields.first()?.chars().next()?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_ended_is_not_alive_even_before_it_is_waited_for() {
        let mut child = std::process::Command::new("sleep")
            .arg("1000")
            .spawn()
            .unwrap();
        let id = ProcessId::of(child.id() as i32);
        let alive = id.as_ref().is_some_and(ProcessId::is_alive);
        child.kill().unwrap();
        let id = id.unwrap();
        let gone = id.wait_gone(Duration::from_secs(20));
        child.wait().unwrap();
        assert!(alive && gone && !id.is_alive());
    }

    #[test]
    fn a_reused_number_is_another_process() {
        let mut id = ProcessId::own().unwrap();
        assert!(id.is_alive());
        id.started += 1;
        assert!(!id.is_alive());
    }

    #[test]
    fn processes_are_found_by_their_words() {
        let mut child = std::process::Command::new("sleep")
            .arg("98765")
            .spawn()
            .unwrap();
        // `spawn` returns a moment before the kernel has the words of the new program.
        let deadline = Instant::now() + Duration::from_secs(20);
        let mut found = Vec::new();
        while found.is_empty() && Instant::now() < deadline {
            found = with_command_line("sleep", &["98765"]);
        }
        // Before anything can fail: whoever stays behind keeps what we inherited.
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(
            found
                .iter()
                .any(|process| process.pid() == child.id() as i32)
        );
    }
}
