//! Reaches all hosts at once, checks who they are, and starts the agent on each.

use crate::agent::Session;
use crate::driver::{Driver, Machine};
use crate::error::{Failure, FailureKind};
use crate::event::Event;
use crate::facts::Facts;
use ingot_cluster::{Access, Node};
use ingot_transport::{Host, LocalHost, Pool, SshHost};
use std::sync::Arc;

mod target;

use target::Here;

const PHASE: &str = "connect";

/// Runs the phase.
///
/// # Errors
/// When no host can be reached.
pub async fn run(driver: &mut Driver) -> Result<(), Failure> {
    let chosen: Vec<Node> = driver
        .cluster
        .nodes
        .iter()
        .filter(|node| {
            driver.options.only.is_empty() || driver.options.only.contains(&node.name.to_string())
        })
        .cloned()
        .collect();
    for (node, session) in reach(driver, chosen).await {
        let name = node.name.to_string();
        match session {
            Ok(session) => {
                driver.tell(Event::NodeFinished {
                    node: name.clone(),
                    phase: PHASE.into(),
                    changed: 0,
                });
                driver.machines.insert(
                    name,
                    Machine {
                        node,
                        session,
                        facts: Facts::default(),
                    },
                );
            }
            Err(failure) => driver.fail(&name, PHASE, failure),
        }
    }
    if driver.machines.is_empty() {
        // Wrong keys or passwords on all hosts are a matter of the input, not of the machines.
        let input = driver
            .failed
            .values()
            .all(|failure| failure.kind == FailureKind::Input);
        let kind = if input {
            FailureKind::Input
        } else {
            FailureKind::Machine
        };
        return Err(Failure::text(kind, "no host can be reached"));
    }
    Ok(())
}

/// Reaches hosts at once and starts the agent on each; those of the run are in [`Driver::machines`] afterwards, by
/// the phase that asked for them.
///
/// # Errors
/// Never by itself; why a host could not be reached stands beside it.
pub(super) async fn reach(
    driver: &Driver,
    chosen: Vec<Node>,
) -> Vec<(Node, Result<Session, Failure>)> {
    let here = Arc::new(Here::of(&driver.options));
    let progress = driver.progress(PHASE);
    let pool = Pool::default();
    let reaching = chosen.into_iter().map(|node| {
        let (here, pool, progress) = (Arc::clone(&here), pool.clone(), progress.clone());
        let (program, digest) = (Arc::clone(&driver.program.0), driver.program.1.clone());
        async move {
            let session = async {
                let host: Box<dyn Host> = match &node.access {
                    Access::Local => Box::new(LocalHost),
                    Access::Ssh(ssh) => {
                        let way = here.way(ssh)?;
                        let name = node.name.as_str();
                        progress.tell(name, format!("log in as {}", way.target.user), None);
                        let host = SshHost::connect(way.target, &way.known_hosts, &pool).await;
                        Box::new(host.map_err(|error| way.notes.on(error))?)
                    }
                };
                progress.tell(node.name.as_str(), "start the agent", None);
                let session = Session::open(host.as_ref(), &program, &digest).await?;
                // The connection lives as long as the conversation that runs over it.
                Ok::<_, Failure>(session.keep(host))
            };
            (node.clone(), session.await)
        }
    });
    futures::future::join_all(reaching).await
}
