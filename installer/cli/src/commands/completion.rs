//! `ingot completion`: scripts for shells.

use clap::CommandFactory;
use ingot_lifecycle::Failure;
use std::process::ExitCode;

/// Arguments of `completion`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The shell
    shell: clap_complete::Shell,
}

/// Runs the command.
///
/// # Errors
/// Never.
pub fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    // Not right to standard output: clap panics where its reader has gone away.
    let mut script = Vec::new();
    let mut command = crate::Cli::command();
    clap_complete::generate(arguments.shell, &mut command, "ingot", &mut script);
    crate::say!("{}", String::from_utf8_lossy(&script).trim_end());
    Ok(ExitCode::SUCCESS)
}
