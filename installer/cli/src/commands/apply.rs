//! `ingot bootstrap` and `ingot apply`: make the cluster as described.

use super::run::{HostOptions, sequence};
use crate::inputs::BundleInput;
use ingot_lifecycle::Failure;
use ingot_lifecycle::sequence::BOOTSTRAP;
use std::process::ExitCode;

/// Arguments of `bootstrap` and `apply`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    hosts: HostOptions,
    #[command(flatten)]
    bundle: BundleInput,
}

/// Runs the command; both names do the same, since both go from what is to what shall be.
///
/// # Errors
/// When an input is wrong.
pub fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let (driver, _events) = arguments.hosts.driver(&arguments.bundle, Vec::new())?;
    Ok(sequence(driver, BOOTSTRAP, arguments.hosts.output)?.0)
}
