//! Plans and applies states on this host, with the catalog built into the program.

use super::blobs::BlobStore;
use super::health::instance;
use super::prepared::Prepared;
use super::protocol::{Applied, HostPlan};

use crate::paths;
use ingot_engine::undo::undo_since;
use ingot_engine::{Catalog, Event, Graph, Journal, System, apply, document, plan};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

include!(concat!(env!("OUT_DIR"), "/catalog.rs"));

/// The catalog of this program.
pub fn catalog() -> Catalog {
    Catalog::from_files(CATALOG.iter().copied())
}

/// The graph of the named states with these settings.
///
/// # Errors
/// Everything that is wrong, one per line.
pub fn graph(states: &[String], settings: &serde_json::Value) -> Result<Graph, String> {
    let declared = document::load(&catalog(), states, settings)
        .map_err(|error| crate::error::chain(&error))?;
    Graph::resolve(declared).map_err(lines)
}

pub(super) fn lines<E: std::error::Error + 'static>(errors: Vec<E>) -> String {
    errors
        .iter()
        .map(|error| crate::error::chain(error))
        .collect::<Vec<_>>()
        .join("\n")
}

fn system() -> System {
    System::this_host(Arc::new(BlobStore::of_host()))
}

fn journal() -> Result<Journal, String> {
    Journal::open(Path::new(paths::JOURNAL)).map_err(|error| crate::error::chain(&error))
}

/// What applying would change; nothing is changed, not even the journal's directory is made.
///
/// # Errors
/// Everything that stands in the way.
pub fn plan_states(states: &[String], settings: &serde_json::Value) -> Result<HostPlan, String> {
    let start = Instant::now();
    let graph = graph(states, settings)?;
    // Another installer may be writing to it.
    let journal =
        Journal::read(Path::new(paths::JOURNAL)).map_err(|error| crate::error::chain(&error))?;
    let plan = plan(&system(), &graph, journal.as_ref()).map_err(lines)?;
    let milliseconds = start.elapsed().as_secs_f64() * 1e3;
    Ok(HostPlan { plan, milliseconds })
}

/// Applies the states; `events` is told of each resource.
///
/// # Errors
/// Everything that stands in the way before the first change; failures of resources are in the report.
pub fn apply_states(
    states: &[String],
    settings: &serde_json::Value,
    events: &(dyn Fn(Event) + Sync),
) -> Result<Applied, String> {
    let begun = instance::uptime();
    let graph = graph(states, settings)?;
    let named = |what: &str| settings[what]["name"].as_str().unwrap_or_default();
    Prepared::record(named("cluster"), named("node"))?;
    let journal = journal()?;
    let system = system();
    let plan = plan(&system, &graph, Some(&journal)).map_err(lines)?;
    let mark = journal.entries().len();
    let report = apply(&system, &graph, &plan, &journal, events)
        .map_err(|error| crate::error::chain(&error))?;
    Ok(Applied {
        report,
        mark,
        begun,
    })
}

/// Takes back what an application of these states changed, from entry `mark` of the journal on, and restarts
/// the services that use what was put back. Returns what could not be taken back, and what the site keeps.
///
/// # Errors
/// When the states cannot be read or the journal cannot be used.
pub fn put_back(
    states: &[String],
    settings: &serde_json::Value,
    mark: usize,
) -> Result<(Vec<String>, Vec<String>), String> {
    let (graph, system, journal) = (graph(states, settings)?, system(), journal()?);
    let undone = undo_since(&system, &journal, mark, &|_| {})
        .map_err(|error| crate::error::chain(&error))?;
    let mut problems: Vec<String> = undone
        .failures
        .iter()
        .map(|failure| crate::error::chain(failure))
        .collect();
    for node in &graph.nodes {
        if undone.notify.contains(&node.declared.id)
            && let Err(error) = node.declared.resource.kind().react(&system)
        {
            problems.push(crate::error::chain(&error));
        }
    }
    Ok((
        problems,
        undone.kept.iter().map(ToString::to_string).collect(),
    ))
}
