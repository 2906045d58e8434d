//! The only place that starts external programs (go, cargo, git, apt, xorriso).
//!
//! Never through a shell, and never with output on the terminal: what a program says is kept
//! and shown only if it fails.

use std::ffi::OsStr;
use std::io;
use std::process::{Command, Stdio};
use thiserror::Error;

/// Enough of a compiler's complaint to act on.
const TAIL_LINES: usize = 30;

/// Why a program did not do its work.
#[derive(Debug, Error)]
pub enum ProcessError {
    /// It is not there.
    #[error("cannot start `{program}`: install it ({package})")]
    Start {
        /// The program.
        program: String,
        /// Where it comes from.
        package: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// It ended with a failure.
    #[error("`{command}` failed ({status}); it said:\n{output}")]
    Failed {
        /// The program and its arguments.
        command: String,
        /// Exit status.
        status: String,
        /// The end of what it printed.
        output: String,
    },
}

/// Runs a program to its end and returns its standard output.
///
/// # Errors
/// When it cannot be started or fails; the message carries the end of its output.
pub fn run(command: &mut Command) -> Result<Vec<u8>, ProcessError> {
    let program = command.get_program().to_string_lossy().into_owned();
    let result = command.stdin(Stdio::null()).output();
    let output = result.map_err(|source| ProcessError::Start {
        package: package_of(&program),
        program,
        source,
    })?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let said = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    let said = String::from_utf8_lossy(&said);
    let lines: Vec<&str> = said.lines().collect();
    let tail = &lines[lines.len().saturating_sub(TAIL_LINES)..];
    Err(ProcessError::Failed {
        command: display(command),
        status: output.status.to_string(),
        output: tail.join("\n"),
    })
}

/// Runs a program and returns its standard output as text without the last line end.
///
/// # Errors
/// As [`run`].
pub fn run_text(command: &mut Command) -> Result<String, ProcessError> {
    Ok(String::from_utf8_lossy(&run(command)?)
        .trim_end()
        .to_owned())
}

fn display(command: &Command) -> String {
    let words = [command.get_program()]
        .into_iter()
        .chain(command.get_args());
    words
        .map(OsStr::to_string_lossy)
        .collect::<Vec<_>>()
        .join(" ")
}

fn package_of(program: &str) -> &'static str {
    match program {
        "go" => "Go, see go.dev",
        "cargo" | "rustc" => "Rust, see rustup.rs",
        "gcc" => "Debian package gcc",
        "git" => "Debian package git",
        "pkg-config" => "Debian package pkg-config",
        "xorriso" => "Debian package xorriso",
        "apt-get" | "apt-cache" => "Debian package apt",
        _ => "it should be in PATH",
    }
}
