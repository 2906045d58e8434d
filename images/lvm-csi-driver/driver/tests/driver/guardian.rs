//! The process that lets pods go on that an agent holds still: at the agent's end, when the time is
//! over, and when somebody ends it.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// A control group as files, which stands still, and its guardian.
fn guarded(seconds: &str) -> (tempfile::TempDir, PathBuf, Child) {
    let folder = tempfile::tempdir().expect("a directory");
    let freeze = folder.path().join("cgroup.freeze");
    std::fs::write(&freeze, "1").expect("written");
    let guardian = Command::new(env!("CARGO_BIN_EXE_lvm-csi-driver"))
        .args(["guardian", seconds, "/sys/fs/cgroup/nowhere"])
        .arg(folder.path())
        .stdin(Stdio::piped())
        .spawn();
    (folder, freeze, guardian.expect("started"))
}

fn goes_on(freeze: &PathBuf, mut guardian: Child) {
    let status = guardian.wait().expect("ended");
    assert!(status.success(), "{status}");
    assert_eq!(std::fs::read_to_string(freeze).expect("read"), "0");
}

#[test]
fn pods_go_on_when_the_agent_is_gone() {
    let (_folder, freeze, mut guardian) = guarded("600");
    drop(guardian.stdin.take());
    goes_on(&freeze, guardian);
}

#[test]
fn pods_go_on_when_the_time_is_over() {
    let (_folder, freeze, mut guardian) = guarded("0.01");
    // The agent is there all the while.
    let input = guardian.stdin.take();
    goes_on(&freeze, guardian);
    drop(input);
}

#[test]
fn pods_go_on_when_the_service_is_stopped() {
    let (_folder, freeze, mut guardian) = guarded("600");
    let input = guardian.stdin.take();
    let pid = Pid::from_raw(guardian.id().try_into().expect("a pid"));
    // Not before it listens, or it would die of it, as anybody may.
    let status = format!("/proc/{pid}/status");
    let listens = || {
        let text = std::fs::read_to_string(&status).expect("it runs");
        let caught = text.lines().find_map(|line| line.strip_prefix("SigCgt:"));
        let caught = caught.map(|mask| u64::from_str_radix(mask.trim(), 16).expect("a mask"));
        caught.is_some_and(|mask| mask & (1 << (Signal::SIGTERM as u64 - 1)) != 0)
    };
    while !listens() {
        std::thread::yield_now();
    }
    kill(pid, Signal::SIGTERM).expect("told");
    goes_on(&freeze, guardian);
    drop(input);
}
