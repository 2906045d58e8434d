//! QEMU's monitor: one command at a time over a Unix socket (QEMU Machine Protocol).
//!
//! Of events it counts resets, which leave no other trace; whoever waits here waits for a state,
//! which it asks for.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use thiserror::Error;

/// The socket, in the guest's directory, which is also QEMU's working directory: a path of a socket
/// may only have 108 bytes.
pub(super) const SOCKET: &str = "monitor";

/// A busy machine lets QEMU wait; one that does not answer for this long is stuck.
const ANSWER: Duration = Duration::from_secs(60);

/// The monitor did not do what it was told.
#[derive(Debug, Error)]
pub enum MonitorError {
    /// There was no connection, or it broke: QEMU has ended or hangs.
    #[error("QEMU does not answer on its monitor")]
    Talk(#[source] std::io::Error),
    /// It said something that is not its protocol.
    #[error("QEMU's monitor says {0:?}, which is not its protocol")]
    Protocol(String),
    /// It refused a command.
    #[error("QEMU refuses {command}: {reason}")]
    Refused {
        /// The command with its arguments.
        command: String,
        /// QEMU's words.
        reason: String,
    },
}

#[derive(Debug)]
pub(super) struct Monitor {
    answers: BufReader<UnixStream>,
    commands: UnixStream,
    /// How often the machine has been reset, as far as read.
    resets: u64,
}

impl Monitor {
    /// Connects to the QEMU that was just started in `dir`; gives up when `alive` says that it has
    /// ended.
    pub(super) fn connect(
        dir: &Path,
        mut alive: impl FnMut() -> bool,
    ) -> Result<Monitor, MonitorError> {
        let dir = File::open(dir).map_err(MonitorError::Talk)?;
        let path = format!("/proc/self/fd/{}/{SOCKET}", dir.as_raw_fd());
        let deadline = Instant::now() + ANSWER;
        let commands = loop {
            match UnixStream::connect(&path) {
                Ok(stream) => break stream,
                Err(error) if !alive() || Instant::now() >= deadline => {
                    return Err(MonitorError::Talk(error));
                }
                Err(_) => std::thread::sleep(Duration::from_millis(10)),
            }
        };
        commands
            .set_read_timeout(Some(ANSWER))
            .map_err(MonitorError::Talk)?;
        let answers = commands.try_clone().map_err(MonitorError::Talk)?;
        let mut monitor = Monitor {
            answers: BufReader::new(answers),
            commands,
            resets: 0,
        };
        let greeting = monitor.line()?;
        if greeting.get("QMP").is_none() {
            return Err(MonitorError::Protocol(greeting.to_string()));
        }
        monitor.run("qmp_capabilities", json!({}))?;
        Ok(monitor)
    }

    /// Runs one command and returns what it answers.
    pub(super) fn run(&mut self, command: &str, arguments: Value) -> Result<Value, MonitorError> {
        let request = json!({"execute": command, "arguments": arguments});
        self.commands
            .write_all(format!("{request}\n").as_bytes())
            .map_err(MonitorError::Talk)?;
        loop {
            let mut answer = self.line()?;
            if let Some(value) = answer.get_mut("return") {
                return Ok(value.take());
            }
            if let Some(error) = answer.get("error") {
                return Err(MonitorError::Refused {
                    command: request.to_string(),
                    reason: error["desc"]
                        .as_str()
                        .unwrap_or("no reason given")
                        .to_owned(),
                });
            }
            match answer.get("event").and_then(Value::as_str) {
                Some("RESET") => self.resets += 1,
                Some(_) => {}
                None => return Err(MonitorError::Protocol(answer.to_string())),
            }
        }
    }

    /// How often the machine has been reset since it has power: a reboot is a reset.
    pub(super) fn resets(&mut self) -> Result<u64, MonitorError> {
        // Events that happened before come before the answer.
        self.run("query-status", json!({}))?;
        Ok(self.resets)
    }

    fn line(&mut self) -> Result<Value, MonitorError> {
        let mut line = String::new();
        let read = self
            .answers
            .read_line(&mut line)
            .map_err(MonitorError::Talk)?;
        if read == 0 {
            return Err(MonitorError::Talk(std::io::ErrorKind::UnexpectedEof.into()));
        }
        serde_json::from_str(&line).map_err(|_| MonitorError::Protocol(line))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    /// A QEMU that answers with these lines, one per command, after its greeting.
    fn talk(name: &str, answers: &[&str]) -> Result<Value, MonitorError> {
        let dir = std::env::temp_dir().join(format!("ingot-monitor-{}-{name}", std::process::id()));
        std::fs::create_dir(&dir).unwrap();
        let listener = UnixListener::bind(dir.join(SOCKET)).unwrap();
        let answers: Vec<String> = answers.iter().map(|a| format!("{a}\n")).collect();
        let result = std::thread::scope(|scope| {
            scope.spawn(move || {
                let (mut stream, _) = listener.accept().unwrap();
                let mut commands = BufReader::new(stream.try_clone().unwrap()).lines();
                stream.write_all(b"{\"QMP\": {}}\n").unwrap();
                commands.next();
                stream.write_all(b"{\"return\": {}}\n").unwrap();
                for answer in answers {
                    commands.next();
                    stream.write_all(answer.as_bytes()).unwrap();
                }
            });
            Monitor::connect(&dir, || true)?.run("stop", json!({}))
        });
        ingot_deletion::delete_tree(&dir).complete().unwrap();
        result
    }

    #[test]
    fn events_are_skipped_and_the_answer_is_returned() {
        let answers = "{\"event\": \"STOP\"}\n{\"return\": {\"running\": false}}";
        assert_eq!(
            talk("events", &[answers]).unwrap(),
            json!({"running": false})
        );
    }

    #[test]
    fn a_refusal_names_command_and_reason() {
        let error = talk("refusal", &["{\"error\": {\"desc\": \"no such disk\"}}"]).unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("stop") && text.ends_with("no such disk"),
            "{text}"
        );
    }

    #[test]
    fn a_qemu_that_ends_is_an_error() {
        assert!(matches!(talk("end", &[]), Err(MonitorError::Talk(_))));
        assert!(matches!(
            talk("noise", &["hello"]),
            Err(MonitorError::Protocol(_))
        ));
    }
}
