//! `pause`: the first process of every pod. It holds the pod's namespaces, reaps orphaned
//! processes, and ends when asked to. It must never do anything else.

use nix::errno::Errno;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use std::process::ExitCode;

fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some("-v") {
        println!("pause {}", env!("CARGO_PKG_VERSION"));
        return ExitCode::SUCCESS;
    }
    let signals: SigSet = [Signal::SIGCHLD, Signal::SIGINT, Signal::SIGTERM]
        .into_iter()
        .collect();
    // Blocked, so that they wait for `wait` below. The first process of a PID namespace gets
    // no default actions, so without this SIGTERM would be ignored.
    if let Err(error) = signals.thread_block() {
        eprintln!("pause: cannot block signals: {error}");
        return ExitCode::FAILURE;
    }
    loop {
        match signals.wait() {
            Ok(Signal::SIGINT | Signal::SIGTERM) => return ExitCode::SUCCESS,
            Ok(_) => reap(),
            Err(Errno::EINTR) => {}
            Err(error) => {
                eprintln!("pause: cannot wait for signals: {error}");
                return ExitCode::FAILURE;
            }
        }
    }
}

/// Signals of one kind merge, so every SIGCHLD may stand for several children.
fn reap() {
    while let Ok(status) = waitpid(None, Some(WaitPidFlag::WNOHANG)) {
        if status == WaitStatus::StillAlive {
            return;
        }
    }
}
