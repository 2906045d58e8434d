//! A run of the `ingot` program with `-o json`: its events as they come, its end, signals to it.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, pipe2};
use serde_json::Value;

/// The longest any run may take; waits of the product are shorter. An emulated worker unpacks its programs
/// twenty times slower than a host.
const DEADLINE: Duration = Duration::from_secs(1500);

/// A line of the program's standard output.
#[derive(Debug, Clone)]
pub struct Event(pub Value);

impl Event {
    fn text(&self, key: &str) -> &str {
        self.0[key].as_str().unwrap_or_default()
    }

    /// What kind it is: `phase-started`, `node-finished`, `end` ...
    pub fn kind(&self) -> &str {
        self.text("event")
    }

    /// The phase it belongs to.
    pub fn phase(&self) -> &str {
        self.text("phase")
    }

    /// The node it is about.
    pub fn node(&self) -> &str {
        self.text("node")
    }

    /// Whether it is of this kind and phase.
    pub fn is(&self, kind: &str, phase: &str) -> bool {
        self.kind() == kind && self.phase() == phase
    }
}

/// A run that has ended.
#[derive(Debug)]
pub struct Run {
    /// The exit code; none when a signal ended it.
    pub code: Option<i32>,
    /// Everything it said on standard output.
    pub events: Vec<Event>,
    /// Everything it said on standard error.
    pub stderr: String,
    /// How long it took.
    pub took: Duration,
}

impl Run {
    /// The last line: how it ended.
    pub fn end(&self) -> &Value {
        let last = self
            .events
            .last()
            .filter(|event| matches!(event.kind(), "end" | "interrupted"));
        last.map_or(&Value::Null, |event| &event.0)
    }

    /// How many things it changed.
    ///
    /// # Panics
    /// When it did not come to its end.
    #[track_caller]
    pub fn changed(&self) -> u64 {
        self.end()["changed"]
            .as_u64()
            .unwrap_or_else(|| panic!("no number of changes: {self:#?}"))
    }

    /// What was changed where, for messages.
    pub fn changes(&self) -> Vec<String> {
        let changed = self.events.iter().filter(|event| {
            event.kind() == "node-progress"
                || (event.kind() == "phase-finished" && event.0["changed"] != 0)
        });
        changed.map(|event| event.0.to_string()).collect()
    }

    /// Requires that it ended well.
    ///
    /// # Panics
    /// When it did not, with everything it said.
    #[track_caller]
    pub fn succeeded(self) -> Run {
        assert_eq!(self.code, Some(0), "{}", self.transcript());
        self
    }

    /// Requires this exit code.
    ///
    /// # Panics
    /// When it is another, with everything it said.
    #[track_caller]
    pub fn ended_with(self, code: i32) -> Run {
        assert_eq!(self.code, Some(code), "{}", self.transcript());
        self
    }

    /// Everything it said, without progress.
    pub fn transcript(&self) -> String {
        let told = self
            .events
            .iter()
            .filter(|event| event.kind() != "node-progress");
        let lines: Vec<String> = told.map(|event| event.0.to_string()).collect();
        format!("{}\n{}", lines.join("\n"), self.stderr)
    }
}

/// How far a program may run ahead of the story that reads its events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// As far as it likes.
    Free,
    /// To the second event after the one that was read last: it then waits in the middle of telling
    /// it, so that what the story does next is done at that point and no later.
    InStep,
}

/// A run that goes on.
#[derive(Debug)]
pub struct Running {
    child: Child,
    lines: Receiver<String>,
    /// Asks for the next line when in step.
    wanted: Sender<()>,
    stderr: JoinHandle<String>,
    seen: VecDeque<Event>,
    start: Instant,
}

impl Running {
    /// Starts `command`.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn start(mut command: Command, pace: Pace) -> Running {
        let (read, write) = pipe(pace);
        command
            .stdin(Stdio::null())
            .stdout(write)
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program under test starts");
        // It holds our end for writing, and the pipe would never end.
        drop(command);
        let mut errors = child.stderr.take().expect("a pipe");
        let (sender, lines) = channel();
        let (wanted, asked) = channel();
        std::thread::spawn(move || {
            let mut stdout = BufReader::new(File::from(read)).lines();
            loop {
                if pace == Pace::InStep && asked.recv().is_err() {
                    return;
                }
                let Some(Ok(line)) = stdout.next() else {
                    return;
                };
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let stderr = std::thread::spawn(move || {
            let mut text = String::new();
            let _ = errors.read_to_string(&mut text);
            text
        });
        Running {
            child,
            lines,
            wanted,
            stderr,
            seen: VecDeque::new(),
            start: Instant::now(),
        }
    }

    /// The next event; none when the program has closed its output.
    ///
    /// # Panics
    /// When the program takes longer than anything should, after ending it.
    #[allow(
        clippy::should_implement_trait,
        reason = "an iterator would borrow the run"
    )]
    pub fn next(&mut self) -> Option<Event> {
        let left = DEADLINE.saturating_sub(self.start.elapsed());
        // One that reads freely does not listen.
        let _ = self.wanted.send(());
        match self.lines.recv_timeout(left) {
            Ok(line) => {
                let event = Event(serde_json::from_str(&line).unwrap_or(Value::String(line)));
                self.seen.push_back(event.clone());
                Some(event)
            }
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => {
                self.signal(Signal::SIGKILL);
                let last: Vec<_> = self.seen.iter().rev().take(5).collect();
                panic!(
                    "ingot: no end within {} s; last events: {last:?}",
                    DEADLINE.as_secs()
                )
            }
        }
    }

    /// Reads on until an event of which `wanted` holds; false when the program ended before.
    pub fn read_until(&mut self, mut wanted: impl FnMut(&Event) -> bool) -> bool {
        while let Some(event) = self.next() {
            if wanted(&event) {
                return true;
            }
        }
        false
    }

    /// The program's process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal to the program.
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).expect("a process id");
        // One that has ended already is fine.
        let _ = kill(Pid::from_raw(pid), signal);
    }

    /// What the story has read so far.
    pub fn read(&self) -> impl Iterator<Item = &Event> {
        self.seen.iter()
    }

    /// Reads to the end.
    pub fn finish(mut self) -> Run {
        while self.next().is_some() {}
        let status = self.child.wait().expect("the program is our child");
        Run {
            code: status.code(),
            events: self.seen.into(),
            stderr: self.stderr.join().unwrap_or_default(),
            took: self.start.elapsed(),
        }
    }
}

/// A pipe for the events of a program: the end to read, the end to write.
fn pipe(pace: Pace) -> (OwnedFd, OwnedFd) {
    let flags = match pace {
        Pace::Free => OFlag::O_CLOEXEC,
        // Packets: each write takes a place of its own in the pipe (pipe(2)), and there is one place.
        Pace::InStep => OFlag::O_CLOEXEC | OFlag::O_DIRECT,
    };
    let (read, write) = pipe2(flags).expect("a pipe");
    if pace == Pace::InStep {
        fcntl(&write, FcntlArg::F_SETPIPE_SZ(4096)).expect("a pipe of one page");
    }
    (read, write)
}
