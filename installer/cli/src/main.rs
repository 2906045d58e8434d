//! The operator's program, and the agent it becomes on each host.
//!
//! Arguments, progress and reports live here; every decision is made in the libraries. Standard output
//! is data, standard error is talk.

// They panic where nobody reads any more (`| head`, a `tee` that Ctrl-C ended first): `say` and `talk` do not.
#![warn(clippy::print_stdout, clippy::print_stderr)]

/// Writes a line of data. A reader that has gone away (`| head`) is no reason to fail.
macro_rules! say {
    ($($text:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stdout(), $($text)*);
    }};
}
pub(crate) use say;

/// Writes a line of talk. Nobody there to read it is no reason to fail either.
macro_rules! talk {
    ($($text:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stderr(), $($text)*);
    }};
}
pub(crate) use talk;

mod commands;
mod inputs;
mod mistake;
mod progress;
mod report;

use clap::Parser;
use std::process::ExitCode;

/// Turns bare Linux servers into a Kubernetes cluster, from one signed file and without internet.
#[derive(Debug, Parser)]
#[command(
    name = "ingot",
    version,
    max_term_width = 100,
    arg_required_else_help = true
)]
struct Cli {
    #[command(subcommand)]
    command: commands::Command,
}

fn main() -> ExitCode {
    mistake::watch();
    let cli = Cli::parse();
    let output = cli.command.output();
    match mistake::caught(|| commands::run(cli.command)) {
        Ok(code) => code,
        Err(failure) => {
            report::refused(&failure, output);
            ExitCode::from(failure.kind.exit_code())
        }
    }
}
