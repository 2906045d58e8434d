//! One phase a file; [`crate::sequence`] gives their order. Each may be repeated at any time: what is
//! done already is found to be done.

pub mod belonging;
pub mod certificates;
pub mod connect;
pub mod control_plane;
pub mod distribute;
pub mod facts;
pub mod join;
pub mod lease;
pub mod leave;
pub mod node;
pub mod objects;
pub mod preflight;
pub mod prepare;
pub mod ready;
pub mod record;
pub mod reset;
pub mod roll;
mod rolled_out;
pub mod runtime;

use crate::driver::Driver;
use crate::error::Failure;
use ingot_cluster::Node;
use ingot_engine::Event as EngineEvent;

/// The states of a node, in the three groups they are applied in.
pub fn state_groups(node: &Node) -> [Vec<String>; 3] {
    let names = |all: &[&str]| all.iter().map(|name| (*name).to_owned()).collect();
    let prepare = names(&["host", "binaries"]);
    if node.is_control_plane() {
        let node = names(&["load-balancer", "etcd", "control-plane", "cni", "kubelet"]);
        [prepare, names(&["registry", "containerd"]), node]
    } else {
        [
            prepare,
            names(&["containerd"]),
            names(&["load-balancer", "cni", "kubelet"]),
        ]
    }
}

/// All states of a node.
pub fn all_states(node: &Node) -> Vec<String> {
    state_groups(node).concat()
}

/// Control planes may have dropped out since preflight counted them.
///
/// # Errors
/// When those that are left are no majority.
fn require_majority(driver: &Driver) -> Result<(), Failure> {
    let all = driver.cluster.control_planes().count();
    let machines = driver.machines.values();
    let here = machines.filter(|machine| machine.node.is_control_plane());
    match crate::preflight::missing_majority(here.count(), all) {
        Some(message) => Err(Failure::machine(message).hint("then run the same command again")),
        None => Ok(()),
    }
}

/// The settings of a machine's states.
fn settings_of(
    cluster: &ingot_cluster::Cluster,
    release: &crate::settings::Release,
    machine: &crate::Machine,
) -> serde_json::Value {
    crate::settings::host_settings(cluster, &machine.node, &machine.facts, release)
}

/// Whether a machine is a finished member of the cluster: it is changed in waves ([`roll`]), not at once.
fn is_member(machine: &crate::Machine) -> bool {
    machine.facts.membership.is_some()
}

/// Applies one group of states on every machine that takes part.
async fn apply_group(
    driver: &mut Driver,
    phase: &'static str,
    group: usize,
    takes_part: impl Fn(&crate::Machine) -> bool,
) {
    let (cluster, release) = (driver.cluster.clone(), driver.release.clone());
    let progress = driver.progress(phase);
    driver
        .each(
            phase,
            |_| true,
            async |machine| {
                if !takes_part(machine) {
                    return Ok(0);
                }
                let states = state_groups(&machine.node)[group].clone();
                let settings = settings_of(&cluster, &release, machine);
                let name = machine.node.name.to_string();
                let progress = progress.clone();
                let mut told = move |event: EngineEvent| {
                    if let EngineEvent::Started { target, .. } = event {
                        progress.tell(&name, target, None);
                    }
                };
                Ok(machine
                    .session
                    .apply(&states, &settings, &mut told)
                    .await?
                    .changed())
            },
        )
        .await;
}
