//! Brings the members of a cluster that exists to the wanted state in waves: control planes one by one, then one
//! worker, then a tenth of the workers at a time. Each is judged by what was just started on it before the next
//! is touched. A node that was well before and is not afterwards is put back, and the rest is left alone.
//!
//! It decides nothing about single hosts that are not members yet: a fresh cluster is made all at once.

use super::{settings_of, state_groups};
use crate::agent::health::{Health, Part};
use crate::driver::{Driver, Machine, Progress};
use crate::error::Failure;
use ingot_cluster::{Cluster, Node};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

mod change;
mod judge;
mod waves;

use change::Change;

const PHASE: &str = "roll";

/// Runs the phase.
///
/// # Errors
/// When a node is not well after its change, or would cost etcd its majority: which, why in the words of its
/// programs, and what was done. Nodes of later waves were not touched then.
pub async fn run(driver: &mut Driver) -> Result<(), Failure> {
    let looked = look(driver).await;
    if looked.is_empty() {
        return Ok(());
    }
    etcd_keeps_its_majority(driver, &looked)?;
    let unwell: BTreeSet<String> = looked
        .iter()
        .filter(|(_, found)| found.unwell.is_some())
        .map(|(name, _)| name.clone())
        .collect();
    let changed: BTreeSet<String> = looked.keys().cloned().collect();
    let waves = waves::of(&driver.cluster, &changed, &unwell);
    let mut left: BTreeSet<String> = changed;
    for wave in waves {
        for name in &wave {
            left.remove(name);
        }
        let failures = one(driver, &wave, &looked).await;
        if failures.is_empty() {
            continue;
        }
        let untouched = match left.is_empty() {
            true => String::new(),
            false => {
                let names: Vec<&str> = left.iter().map(String::as_str).collect();
                format!("\nnot touched: {}", names.join(", "))
            }
        };
        return Err(Failure::machine(format!("{}{untouched}", failures.join("\n")))
            .hint("mend what is named, in cluster.yaml or on the host, and run the same command again"));
    }
    Ok(())
}

/// What was found of a member that is to be changed.
struct Found {
    /// What on it is not well now, if anything.
    unwell: Option<String>,
    /// Whether its member of etcd will be restarted.
    etcd: bool,
}

/// Members whose runtime or node states would change, with how they are now.
async fn look(driver: &mut Driver) -> BTreeMap<String, Found> {
    let found: Mutex<BTreeMap<String, Found>> = Mutex::default();
    let (cluster, release) = (driver.cluster.clone(), driver.release.clone());
    driver
        .each(
            PHASE,
            |_| true,
            async |machine| {
                if !super::is_member(machine) {
                    return Ok(0);
                }
                let [_, runtime, node] = state_groups(&machine.node);
                let settings = settings_of(&cluster, &release, machine);
                let plan = machine
                    .session
                    .plan(&[runtime, node].concat(), &settings)
                    .await?;
                if plan.plan.is_empty() {
                    return Ok(0);
                }
                let etcd = plan
                    .plan
                    .work()
                    .any(|planned| planned.target == change::manifest("etcd"));
                let health = machine.session.health(&parts(&machine.node), 0.0).await?;
                let unwell = health.iter().find_map(|(part, health)| match health {
                    Health::Well { .. } => None,
                    Health::Waiting { reason } | Health::Broken { reason } => {
                        Some(format!("{part}: {reason}"))
                    }
                });
                found
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .insert(machine.node.name.to_string(), Found { unwell, etcd });
                Ok(0)
            },
        )
        .await;
    found.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// Everything of ours that runs on a node of its own accord.
fn parts(node: &Node) -> Vec<Part> {
    let pod = |name: &str| Part::StaticPod(name.into());
    let mut all = vec![Part::Containerd, Part::Kubelet, pod("load-balancer")];
    if node.is_control_plane() {
        all.push(Part::Registry);
        all.extend(change::CONTROL_PLANE.map(pod));
    }
    all
}

/// A member of etcd must not be restarted while another is away, where there are enough to survive that.
fn etcd_keeps_its_majority(
    driver: &Driver,
    looked: &BTreeMap<String, Found>,
) -> Result<(), Failure> {
    let members: Vec<String> = driver
        .cluster
        .control_planes()
        .map(|node| node.name.to_string())
        .collect();
    let away: Vec<&str> = members
        .iter()
        .filter(|name| {
            !driver.machines.contains_key(*name)
                || looked
                    .get(*name)
                    .is_some_and(|found| found.unwell.is_some())
        })
        .map(String::as_str)
        .collect();
    let restarts: Vec<&str> = looked
        .iter()
        .filter(|(_, found)| found.etcd && found.unwell.is_none())
        .map(|(name, _)| name.as_str())
        .collect();
    let majority = members.len() / 2 + 1;
    if members.len() < 3 || restarts.is_empty() || members.len() - away.len() > majority {
        return Ok(());
    }
    Err(Failure::machine(format!(
        "the members of etcd on {} would be restarted, and {} is not well: etcd would lose its majority. Nothing was touched",
        restarts.join(", "),
        away.join(", ")
    ))
    .hint("bring back the control planes that are not well first"))
}

/// Changes the nodes of one wave; returns what is wrong, a line for each node.
async fn one(
    driver: &mut Driver,
    wave: &[String],
    looked: &BTreeMap<String, Found>,
) -> Vec<String> {
    let deadline = Instant::now() + driver.options.ready_timeout;
    let context = Context {
        cluster: driver.cluster.clone(),
        release: driver.release.clone(),
        progress: driver.progress(PHASE),
        deadline,
    };
    let changes: Mutex<BTreeMap<String, (Change, Option<String>)>> = Mutex::default();
    driver
        .each(
            PHASE,
            |node| wave.iter().any(|name| name == node.name.as_str()),
            async |machine| {
                let name = machine.node.name.to_string();
                let mut change = Change::default();
                let wrong = change::carry_out(machine, &context, &mut change).await?;
                let count = change.count;
                changes
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .insert(name, (change, wrong));
                Ok(count)
            },
        )
        .await;
    let mut changes = changes.into_inner().unwrap_or_else(PoisonError::into_inner);
    for (name, (change, wrong)) in &mut changes {
        if wrong.is_none() && change.concerns_kubelet() {
            *wrong = judge::heartbeat(driver, name, change, deadline).await.err();
        }
    }
    let mut failures = Vec::new();
    for name in wave {
        let Some((change, wrong)) = changes.remove(name) else {
            let reason = driver
                .failed
                .get(name)
                .map_or("it did not answer", |failure| failure.message.as_str());
            failures.push(format!("{name} was lost while it was changed: {reason}"));
            continue;
        };
        let Some(wrong) = wrong else { continue };
        let before = looked.get(name).and_then(|found| found.unwell.as_ref());
        let ended = match before {
            None => put_back(driver, name, &change, &context).await,
            Some(before) => {
                format!("it was not well before either ({before}), and was left as it is now")
            }
        };
        failures.push(format!("{name}: {wrong}\n{name}: {ended}"));
    }
    failures
}

/// What the work on all nodes of a wave shares.
struct Context {
    cluster: Cluster,
    release: crate::settings::Release,
    progress: Progress,
    deadline: Instant,
}

/// Puts a node back into its former state; says how that ended.
async fn put_back(driver: &mut Driver, name: &str, change: &Change, context: &Context) -> String {
    let Some(machine) = driver.machines.get_mut(name) else {
        return "it is lost and could not be put back".into();
    };
    match change::put_back(machine, context, change).await {
        Ok(()) => "it was put back into its former state, in which it is well".into(),
        Err(failure) => format!("it could not be put back: {}", failure.message),
    }
}

impl Context {
    fn settings(&self, machine: &Machine) -> serde_json::Value {
        settings_of(&self.cluster, &self.release, machine)
    }
}
