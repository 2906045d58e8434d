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
    clap_complete::generate(
        arguments.shell,
        &mut crate::Cli::command(),
        "ingot",
        &mut std::io::stdout(),
    );
    Ok(ExitCode::SUCCESS)
}
