//! `pause` as a process: it ends when asked to, and reaps what it inherits.

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};
use std::error::Error;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

type Outcome = Result<(), Box<dyn Error>>;

const PAUSE: &str = env!("CARGO_BIN_EXE_pause");

/// The process that `unshare` became the parent of.
fn child_of(pid: u32) -> Result<Option<u32>, Box<dyn Error>> {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
    Ok(children
        .split_whitespace()
        .next()
        .map(str::parse)
        .transpose()?)
}

#[test]
fn it_ends_when_asked() -> Outcome {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let mut child = Command::new(PAUSE).stdin(Stdio::null()).spawn()?;
        let pid = Pid::from_raw(child.id().try_into()?);
        // It blocks signals first; before that the default action ends it as well.
        std::thread::sleep(Duration::from_millis(200));
        kill(pid, signal)?;
        assert!(child.wait()?.success(), "{signal}");
    }
    Ok(())
}

#[test]
fn as_the_first_process_it_reaps_orphans() -> Outcome {
    if !geteuid().is_root() {
        eprintln!("skipped: a PID namespace needs root");
        return Ok(());
    }
    let script = format!("(sh -c 'exit 3' &); (sleep 0.3 &); exec {PAUSE}");
    let mut unshare = Command::new("unshare")
        .args(["--pid", "--fork", "--kill-child", "sh", "-c", &script])
        .spawn()?;
    let deadline = Instant::now() + Duration::from_secs(20);
    let pause = loop {
        if let Some(pid) = child_of(unshare.id())?
            && std::fs::read_to_string(format!("/proc/{pid}/comm"))?.trim() == "pause"
        {
            break pid;
        }
        assert!(Instant::now() < deadline, "pause does not start");
        std::thread::sleep(Duration::from_millis(20));
    };
    while child_of(pause)?.is_some() {
        assert!(Instant::now() < deadline, "orphans are not reaped");
        std::thread::sleep(Duration::from_millis(20));
    }
    kill(Pid::from_raw(pause.try_into()?), Signal::SIGTERM)?;
    assert!(
        unshare.wait()?.success(),
        "the first process ignored SIGTERM"
    );
    Ok(())
}
