//! A pod that writes and flushes all the time, in a pool with which nothing is wrong.

use super::{Node, Outcome, SOON};
use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};

const WRITE: &str = r#"while date >"$1"; sync "$1"; do echo; done"#;

/// The pod, as seen by its progress.
pub struct Witness {
    writer: Child,
    rounds: Receiver<String>,
}

impl Witness {
    /// Begins to write that file.
    pub fn start(node: &Node, file: &str) -> Outcome<Self> {
        let mut writer = node.guest.command(&["bash", "-c", WRITE, "write", file])?;
        let mut writer = writer.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let output = writer.stdout.take().ok_or("a pipe was asked for")?;
        let (say, rounds) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if say.send(line).is_err() {
                    return;
                }
            }
        });
        Ok(Self { writer, rounds })
    }

    /// It writes and flushes, now. Gives how often it has since the last time.
    pub fn goes_on(&self) -> Outcome<usize> {
        let before = self.rounds.try_iter().count();
        for _ in 0..2 {
            // The first may have been under way.
            self.rounds
                .recv_timeout(SOON)
                .map_err(|_| "the pod in the other pool writes no more")?;
        }
        Ok(before + 2)
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        let _ = self.writer.kill();
        let _ = self.writer.wait();
    }
}
