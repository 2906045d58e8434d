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

fn lines<E: std::error::Error + 'static>(errors: Vec<E>) -> String {
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

/// Keeps no longer what those files, once ours, contained before they were replaced.
///
/// # Errors
/// When the journal cannot be used.
pub fn forget(which: impl Fn(&Path) -> bool) -> Result<(), String> {
    let forgotten = journal()?.forget(which);
    forgotten.map_err(|error| crate::error::chain(&error))
}

/// Writes secret files (absolute path, content, mode) below the directories they need, through the
/// journal; returns how many were changed.
///
/// # Errors
/// Everything that could not be written, one per line.
pub fn write_files(files: &[(String, String, u32)]) -> Result<usize, String> {
    use ingot_engine::Declared;
    use ingot_engine::document::Origin;
    use ingot_engine::resource::{Directory, File, Mode, Resource};
    let declare = |id: String, resource, require| Declared {
        id,
        origin: Origin {
            file: "(certificates)".into(),
            line: 0,
        },
        resource,
        require,
        watch: Vec::new(),
        onchanges: Vec::new(),
    };
    let mut declared: Vec<Declared> = Vec::new();
    for (path, content, mode) in files {
        let path = Path::new(path);
        let parent = path.parent().unwrap_or(path);
        let directory = format!("directory {}", parent.display());
        if !declared.iter().any(|d| d.id == directory) {
            // A parent directory is made before those below it.
            let require = parent
                .ancestors()
                .skip(1)
                .map(|above| format!("directory {}", above.display()))
                .filter(|id| declared.iter().any(|d| d.id == *id))
                .collect();
            let resource = Directory {
                path: parent.into(),
                mode: Mode(0o755),
                owner: "root".into(),
                group: "root".into(),
                exclusive: false,
                entries: None,
            };
            declared.push(declare(
                directory.clone(),
                Resource::Directory(resource),
                require,
            ));
        }
        let resource = File {
            path: path.into(),
            content: content.clone(),
            mode: Mode(*mode),
            owner: "root".into(),
            group: "root".into(),
            secret: true,
        };
        declared.push(declare(
            format!("file {}", path.display()),
            Resource::File(resource),
            vec![directory],
        ));
    }
    let graph = Graph::resolve(declared).map_err(lines)?;
    let (system, journal) = (system(), journal()?);
    let plan = plan(&system, &graph, Some(&journal)).map_err(lines)?;
    let report = apply(&system, &graph, &plan, &journal, &|_| {})
        .map_err(|error| crate::error::chain(&error))?;
    let failures = report.failures();
    if failures.is_empty() {
        return Ok(report.changed());
    }
    Err(failures
        .iter()
        .map(|(target, reason)| format!("{target}: {reason}"))
        .collect::<Vec<_>>()
        .join("\n"))
}
