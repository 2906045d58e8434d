//! `ingot bootstrap` and `ingot apply`: make the cluster as described.

use super::run::ChangeOptions;
use ingot_lifecycle::Failure;
use ingot_lifecycle::sequence::BOOTSTRAP;
use std::process::ExitCode;

/// Runs the command; both names do the same, since both go from what is to what shall be.
///
/// # Errors
/// When an input is wrong.
pub fn run(name: &str, options: &ChangeOptions) -> Result<ExitCode, Failure> {
    options.run(name, Vec::new(), BOOTSTRAP)
}
