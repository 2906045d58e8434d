//! The only place that runs the machine's programs and waits for them.
//!
//! It never interprets what a program says: it returns the output, or an error that holds the
//! command line and what was printed on standard error.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use thiserror::Error;

/// A program of the machine that could not be run or that reported failure.
#[derive(Debug, Error)]
pub enum ProgramError {
    /// The program could not be started.
    #[error("cannot start `{command}`: is it installed and in PATH?")]
    Start {
        /// The command line.
        command: String,
        /// What the kernel said.
        source: std::io::Error,
    },
    /// Its input could not be written or its output not be read.
    #[error("lost the connection to `{command}`")]
    Talk {
        /// The command line.
        command: String,
        /// What the kernel said.
        source: std::io::Error,
    },
    /// It ended with a failure.
    #[error("`{command}` failed ({status}): {stderr}")]
    Failed {
        /// The command line.
        command: String,
        /// How it ended.
        status: std::process::ExitStatus,
        /// The end of what it wrote to standard error.
        stderr: String,
    },
}

/// Runs `command` to its end, and refuses any exit status but 0.
pub(crate) fn run(command: &mut Command) -> Result<Output, ProgramError> {
    run_with_input(command, "")
}

/// As [`run`], with `input` on the program's standard input.
pub(crate) fn run_with_input(command: &mut Command, input: &str) -> Result<Output, ProgramError> {
    let line = command_line(command);
    let stdin = if input.is_empty() {
        Stdio::null()
    } else {
        Stdio::piped()
    };
    let mut child = command
        .stdin(stdin)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|source| ProgramError::Start {
            command: line.clone(),
            source,
        })?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that fails early closes its input; its own message says more than our EPIPE.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child
        .wait_with_output()
        .map_err(|source| ProgramError::Talk {
            command: line.clone(),
            source,
        })?;
    if output.status.success() {
        return Ok(output);
    }
    let text = String::from_utf8_lossy(&output.stderr);
    let tail: Vec<&str> = text.trim().lines().rev().take(12).collect();
    let stderr = tail.into_iter().rev().collect::<Vec<_>>().join("\n");
    Err(ProgramError::Failed {
        command: line,
        status: output.status,
        stderr,
    })
}

/// Whether a program of this name is in `PATH`, or in the directories that hold administration
/// programs and are often missing from it.
pub(crate) fn is_installed(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .any(|dir| dir.join(name).is_file())
}

fn command_line(command: &Command) -> String {
    let mut line = command.get_program().to_string_lossy().into_owned();
    for arg in command.get_args() {
        line.push(' ');
        line.push_str(&arg.to_string_lossy());
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_of_a_success_is_returned() {
        let output = run_with_input(&mut Command::new("cat"), "hello").unwrap();
        assert_eq!(output.stdout, b"hello");
    }

    #[test]
    fn a_failure_names_command_status_and_words() {
        let error = run(Command::new("sh").args(["-c", "echo no disk >&2; exit 3"])).unwrap_err();
        assert_eq!(
            error.to_string(),
            "`sh -c echo no disk >&2; exit 3` failed (exit status: 3): no disk"
        );
    }

    #[test]
    fn a_missing_program_is_told_apart_from_a_failing_one() {
        let error = run(&mut Command::new("/nonexistent/program")).unwrap_err();
        assert!(matches!(error, ProgramError::Start { .. }), "{error}");
    }
}
