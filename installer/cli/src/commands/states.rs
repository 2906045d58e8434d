//! `ingot states`: the engine alone, on this machine.

use ingot_engine::system::NoBlobs;
use ingot_engine::{Catalog, Graph, Journal, System, apply, document, plan};
use ingot_lifecycle::error::chain;
use ingot_lifecycle::{Failure, FailureKind};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

/// Commands of the engine.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Apply states, or show what would change
    Apply(Arguments),
}

/// Arguments of `states apply`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The directory of the catalog
    #[arg(long, value_name = "DIR")]
    catalog: PathBuf,
    /// The states, in order
    #[arg(required = true)]
    states: Vec<String>,
    /// Settings for the templates, a JSON or YAML file
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,
    /// Where the journal is kept
    #[arg(
        long,
        value_name = "DIR",
        default_value = "/var/lib/ingot/states-journal"
    )]
    journal: PathBuf,
    /// Only show what would change
    #[arg(long)]
    plan: bool,
}

fn refuse<E: std::error::Error + 'static>(errors: &[E]) -> Failure {
    Failure::text(
        FailureKind::Input,
        errors
            .iter()
            .map(|error| chain(error))
            .collect::<Vec<_>>()
            .join("\n"),
    )
}

/// Runs the command.
///
/// # Errors
/// When a state is wrong or the machine refuses a change.
pub fn run(command: Command) -> Result<ExitCode, Failure> {
    let Command::Apply(arguments) = command;
    let input = |error: &(dyn std::error::Error + 'static)| Failure::new(FailureKind::Input, error);
    let catalog = Catalog::from_directory(&arguments.catalog).map_err(|error| input(&error))?;
    let settings = match &arguments.settings {
        None => serde_json::json!({}),
        Some(path) => {
            let text = std::fs::read_to_string(path).map_err(|error| {
                Failure::text(
                    FailureKind::Input,
                    format!("cannot read {}: {error}", path.display()),
                )
            })?;
            serde_yaml::from_str(&text).map_err(|error| input(&error))?
        }
    };
    let declared =
        document::load(&catalog, &arguments.states, &settings).map_err(|error| input(&error))?;
    let graph = Graph::resolve(declared).map_err(|errors| refuse(&errors))?;
    let system = System::this_host(Arc::new(NoBlobs));
    let journal = if arguments.plan && !arguments.journal.exists() {
        None
    } else {
        Some(
            Journal::open(&arguments.journal)
                .map_err(|error| Failure::new(FailureKind::Machine, &error))?,
        )
    };
    let found = plan(&system, &graph, journal.as_ref()).map_err(|errors| refuse(&errors))?;
    if arguments.plan {
        crate::report::plan(&found);
        return Ok(ExitCode::SUCCESS);
    }
    let Some(journal) = journal else {
        return Ok(ExitCode::SUCCESS);
    };
    let done = apply(&system, &graph, &found, &journal, &|_| {}).map_err(|error| input(&error))?;
    for (target, reason) in done.failures() {
        crate::talk!("error: {target}: {reason}");
    }
    crate::say!(
        "{} of {} resources changed",
        done.changed(),
        done.resources.len()
    );
    Ok(ExitCode::from(if done.failures().is_empty() {
        0
    } else {
        3
    }))
}
