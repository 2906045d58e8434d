//! `ingot node`: single nodes.

use super::run::ChangeOptions;
use crate::progress::Output;
use ingot_lifecycle::Failure;
use ingot_lifecycle::sequence::RESET;
use std::process::ExitCode;

/// Commands on single nodes.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Take servers back to what they were before: stop everything, undo every change
    Reset(Reset),
}

/// Arguments of `node reset`.
#[derive(Debug, clap::Args)]
pub struct Reset {
    #[command(flatten)]
    options: ChangeOptions,
    /// The nodes, by their names in cluster.yaml
    #[arg(required = true)]
    nodes: Vec<String>,
    /// Confirm that everything on these nodes, etcd's data included, is to be lost
    #[arg(long)]
    yes: bool,
}

impl Command {
    /// How it reports.
    pub fn output(&self) -> Output {
        let Self::Reset(arguments) = self;
        arguments.options.output()
    }
}

/// Runs the command.
///
/// # Errors
/// When it was not confirmed, or an input is wrong.
pub fn run(command: Command) -> Result<ExitCode, Failure> {
    let Command::Reset(arguments) = command;
    if !arguments.yes {
        let text = format!(
            "a reset destroys all data of the cluster on {}",
            arguments.nodes.join(", ")
        );
        return Err(Failure::text(ingot_lifecycle::FailureKind::Input, text)
            .hint("add --yes when you mean it"));
    }
    arguments.options.run("node reset", arguments.nodes, RESET)
}
