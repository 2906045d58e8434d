//! Takes hosts back to what they were before the first bootstrap: control planes one after the other, since each
//! leaves a cluster that must go on; all at once where the whole cluster is given up.

use crate::driver::{Driver, Machine, Progress};
use crate::error::Failure;
use crate::event::{Event, Events};

const PHASE: &str = "reset";

/// Runs the phase.
///
/// # Errors
/// Never by itself; hosts on which something is left drop out, with what is left.
pub async fn run(driver: &mut Driver) -> Result<(), Failure> {
    let work = Work {
        progress: driver.progress(PHASE),
        cluster: driver.cluster.name.to_string(),
        events: std::sync::Arc::clone(&driver.events),
        whole: driver
            .cluster
            .control_planes()
            .all(|node| driver.machines.contains_key(node.name.as_str())),
    };
    let control_planes: Vec<String> = driver
        .machines
        .values()
        .filter(|machine| machine.node.is_control_plane() && !work.whole)
        .map(|machine| machine.node.name.to_string())
        .collect();
    for name in &control_planes {
        let this = |node: &ingot_cluster::Node| node.name.as_str() == name;
        driver
            .each(PHASE, this, async |machine| work.one(machine).await)
            .await;
    }
    let others =
        |node: &ingot_cluster::Node| !control_planes.iter().any(|name| name == node.name.as_str());
    driver
        .each(PHASE, others, async |machine| work.one(machine).await)
        .await;
    Ok(())
}

/// What the work on all hosts shares.
struct Work {
    progress: Progress,
    cluster: String,
    events: std::sync::Arc<dyn Events>,
    /// Whether all control planes are reset.
    whole: bool,
}

impl Work {
    async fn one(&self, machine: &mut Machine) -> Result<usize, Failure> {
        let node = machine.node.name.to_string();
        self.progress
            .tell(&node, "stop workloads and undo the journal", None);
        let (problems, kept) = machine
            .session
            .reset(&self.cluster, &node, self.whole)
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
