//! Takes hosts back to what they were before the first bootstrap: control planes one after the other, since each
//! leaves a cluster that must go on; all at once where the whole cluster is given up.

use crate::agent::etcd::leaving::Extent;
use crate::driver::{Driver, Machine, Progress};
use crate::error::Failure;
use crate::event::{Event, Events};
use ingot_cluster::Node;
use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

const PHASE: &str = "reset";

/// Runs the phase.
///
/// # Errors
/// Never by itself; hosts on which something is left drop out, with what is left.
pub async fn run(driver: &mut Driver) -> Result<(), Failure> {
    let extent = extent(driver);
    let whole = members(driver, &extent).await.is_subset(&extent.reset);
    let work = Work {
        progress: driver.progress(PHASE),
        cluster: driver.cluster.name.to_string(),
        events: std::sync::Arc::clone(&driver.events),
        extent,
    };
    let control_planes: Vec<String> = driver
        .machines
        .values()
        .filter(|machine| machine.node.is_control_plane() && !whole)
        .map(|machine| machine.node.name.to_string())
        .collect();
    for name in &control_planes {
        let this = |node: &Node| node.name.as_str() == name;
        driver
            .each(PHASE, this, async |machine| work.one(machine).await)
            .await;
    }
    let others = |node: &Node| !control_planes.iter().any(|name| name == node.name.as_str());
    driver
        .each(PHASE, others, async |machine| work.one(machine).await)
        .await;
    Ok(())
}

/// What is reset, and what cluster.yaml says there is. A control plane that was named and does not answer counts:
/// whoever names all of them gives up the cluster, and there is no other way to do so once most of them are lost.
fn extent(driver: &Driver) -> Extent {
    let named = |node: &&Node| {
        let name = node.name.as_str();
        driver.machines.contains_key(name) || driver.failed.contains_key(name)
    };
    let all = || driver.cluster.control_planes();
    Extent {
        reset: all()
            .filter(named)
            .map(|node| node.name.to_string())
            .collect(),
        control_planes: all()
            .map(|node| (node.name.to_string(), node.address))
            .collect(),
    }
}

/// The members of etcd that any of the hosts knows: cluster.yaml may be older than the cluster.
async fn members(driver: &mut Driver, extent: &Extent) -> BTreeSet<String> {
    let found: Mutex<BTreeSet<String>> = Mutex::default();
    driver
        .each(
            PHASE,
            |node| node.is_control_plane(),
            async |machine| {
                let known = machine.session.etcd_members(&extent.control_planes).await?;
                let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
                found.extend(known);
                Ok(0)
            },
        )
        .await;
    found.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// What the work on all hosts shares.
struct Work {
    progress: Progress,
    cluster: String,
    events: std::sync::Arc<dyn Events>,
    extent: Extent,
}

impl Work {
    async fn one(&self, machine: &mut Machine) -> Result<usize, Failure> {
        let node = machine.node.name.to_string();
        self.progress
            .tell(&node, "stop workloads and undo the journal", None);
        let (problems, kept) = machine
            .session
            .reset(&self.cluster, &node, &self.extent)
            .await?;
        for message in kept {
            let node = Some(node.clone());
            self.events.tell(Event::Warning { node, message });
        }
        if problems.is_empty() {
            return Ok(1);
        }
        Err(Failure::machine(format!(
            "not everything could be taken back:\n  {}",
            problems.join("\n  ")
        ))
        .hint(
            "everything else was taken back. Unmount or move what is named, or reboot the host, and run the same command again",
        ))
    }
}
