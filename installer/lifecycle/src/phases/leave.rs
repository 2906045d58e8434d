//! Takes the Nodes of hosts that were reset out of the cluster, through a control plane that goes on: a worker's
//! own certificate may not delete its Node. Nothing is left undone on the hosts if that fails.

use super::connect;
use crate::agent::Session;
use crate::agent::belonging::{Verdict, judge};
use crate::driver::Driver;
use crate::error::Failure;
use crate::event::Event;
use ingot_cluster::Node;
use std::collections::BTreeSet;

const PHASE: &str = "leave";

/// Runs the phase.
///
/// # Errors
/// Never; a Node that is left is named with the command that removes it.
pub async fn run(driver: &mut Driver) -> Result<(), Failure> {
    let mut left: BTreeSet<String> = driver.machines.keys().cloned().collect();
    let others = others(driver);
    if others.is_empty() {
        // The whole cluster is given up.
        return Ok(());
    }
    let mut said = Vec::new();
    for control_plane in others {
        let name = control_plane.name.to_string();
        driver.progress(PHASE).tell(&name, "delete the Nodes", None);
        match through(driver, control_plane, &mut left).await {
            Ok(Through::Deleted) => return Ok(()),
            Ok(Through::NoMember) => {}
            Err(failure) => said.push(format!("{name}: {failure}")),
        }
    }
    if said.is_empty() {
        // All of them were reset before.
        return Ok(());
    }
    for node in left {
        let message = format!(
            "its Node is left in the cluster, since no control plane deletes it ({}); remove it with: kubectl delete node {node}",
            said.join("; ")
        );
        let node = Some(node);
        driver.tell(Event::Warning { node, message });
    }
    Ok(())
}

/// The control planes that are not reset.
fn others(driver: &Driver) -> Vec<Node> {
    let taken = |node: &&Node| {
        let name = node.name.as_str();
        driver.machines.contains_key(name) || driver.failed.contains_key(name)
    };
    let control_planes = driver.cluster.control_planes();
    control_planes
        .filter(|node| !taken(node))
        .cloned()
        .collect()
}

/// What became of an attempt through one control plane.
enum Through {
    /// All Nodes are gone.
    Deleted,
    /// The host is no node any more; there is nothing to ask.
    NoMember,
}

/// Deletes Nodes through one control plane; those that are gone are taken out of `left`.
async fn through(
    driver: &mut Driver,
    control_plane: Node,
    left: &mut BTreeSet<String>,
) -> Result<Through, Failure> {
    let (cluster, name) = (
        driver.cluster.name.to_string(),
        control_plane.name.to_string(),
    );
    let mut reached = connect::reach(driver, vec![control_plane]).await;
    let Some((_, session)) = reached.pop() else {
        return Ok(Through::NoMember);
    };
    let mut session: Session = session?;
    let belonging = session.belonging().await?;
    // Its address may be another cluster's by now, which has a Node of that name, too.
    if let Verdict::Refused(reason) = judge(&cluster, &name, &belonging) {
        return Err(Failure::machine(reason));
    }
    if belonging.node.is_none() {
        return Ok(Through::NoMember);
    }
    for node in left.clone() {
        driver.changed += usize::from(session.delete_node(&node).await?);
        left.remove(&node);
    }
    Ok(Through::Deleted)
}
