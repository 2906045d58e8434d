//! `ingot disk`: looks at the disks of the nodes.

use super::run::HostOptions;
use super::volume::look;
use crate::progress::Output;
use ingot_lifecycle::Failure;
use ingot_lifecycle::storage::disks;
use std::process::ExitCode;

/// Commands on disks.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Show the disks of all nodes with pools: what is on each, and why it is not used
    List(HostOptions),
}

impl Command {
    /// How it reports.
    pub fn output(&self) -> Output {
        let Self::List(hosts) = self;
        hosts.output
    }
}

/// Runs the command.
///
/// # Errors
/// When no control plane answers, or the cluster has no storage.
pub fn run(command: Command) -> Result<ExitCode, Failure> {
    let Command::List(hosts) = command;
    look(&hosts, |objects| Ok(disks::list(objects)))
}
