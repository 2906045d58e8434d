//! `iso-builder`: makes signed bundles on a machine with internet, and looks into them.
//!
//! The map: `catalog` says what, `inputs` what it is made from, `component` and `source` make
//! it, `build` puts it together, `commands` talk. Only `source` and `lock` use the network,
//! through go, cargo and apt, and only `process` starts programs.

mod build;
mod cache;
mod catalog;
mod commands;
mod component;
mod inputs;
mod iso;
mod layer;
mod lock;
mod process;
mod programs;
mod progress;
mod sbom;
mod sign;
mod source;
mod train;

use clap::Parser;
use std::process::ExitCode;

/// Make signed Ingot bundles, and look into them.
#[derive(Debug, Parser)]
#[command(name = "iso-builder", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    Build(commands::build::Args),
    Verify(commands::verify::Args),
    Inspect(commands::inspect::Args),
    Diff(commands::diff::Args),
    Extract(commands::extract::Args),
    Keygen(commands::keygen::Args),
    Lock(commands::lock::Args),
    Reproduce(commands::reproduce::Args),
}

fn main() -> ExitCode {
    let outcome = match &Cli::parse().verb {
        Verb::Build(args) => commands::build::run(args),
        Verb::Verify(args) => commands::verify::run(args),
        Verb::Inspect(args) => commands::inspect::run(args),
        Verb::Diff(args) => commands::diff::run(args),
        Verb::Extract(args) => commands::extract::run(args),
        Verb::Keygen(args) => commands::keygen::run(args),
        Verb::Lock(args) => commands::lock::run(args),
        Verb::Reproduce(args) => commands::reproduce::run(args),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            let mut cause = error.source();
            while let Some(error) = cause {
                eprintln!("  because: {error}");
                cause = error.source();
            }
            ExitCode::from(2)
        }
    }
}
