//! Showing what happens: bars on a terminal, plain lines without one, JSON lines for programs.

mod bars;
mod json;
mod plain;

use clap::ValueEnum;
use ingot_lifecycle::Events;
use std::io::IsTerminal;
use std::sync::Arc;

/// How to report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    Text,
    /// One JSON object a line, on standard output.
    Json,
}

/// The reporter of commands whose standard output is one answer: all talk on standard error.
pub fn aside() -> Arc<dyn Events> {
    reporter(Output::Text)
}

/// The reporter for this output and terminal.
pub fn reporter(output: Output) -> Arc<dyn Events> {
    match output {
        Output::Json => Arc::new(json::Json),
        Output::Text if std::io::stderr().is_terminal() => Arc::new(bars::Bars::new()),
        Output::Text => Arc::new(plain::Plain::new()),
    }
}
