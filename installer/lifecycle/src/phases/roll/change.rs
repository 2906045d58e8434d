//! The change of one node: its states applied, what they started judged; and the way back.

use super::{Context, judge, parts, state_groups};
use crate::agent::client::failures;
use crate::agent::health::Part;
use crate::driver::Machine;
use crate::error::Failure;
use ingot_engine::{Event, Outcome, Report};
use std::collections::BTreeSet;

/// The static pods of a control plane.
pub(super) const CONTROL_PLANE: [&str; 4] = [
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
];

/// What a change of a node did so far.
#[derive(Default)]
pub(super) struct Change {
    /// The number of changed resources.
    pub(super) count: usize,
    /// What it started.
    pub(super) parts: BTreeSet<Part>,
    /// Where its entries in the journal of the host begin.
    mark: Option<usize>,
    /// When the kubelet was started, seconds since 1970 by the clock of its host.
    pub(super) kubelet: Option<f64>,
}

impl Change {
    /// Whether the kubelet, or what it stands on, was started.
    pub(super) fn concerns_kubelet(&self) -> bool {
        self.parts.contains(&Part::Kubelet) || self.parts.contains(&Part::Containerd)
    }
}

/// The target of the file that makes a static pod.
pub(super) fn manifest(pod: &str) -> String {
    format!("file /etc/kubernetes/manifests/{pod}.yaml")
}

/// What an application of states started.
fn started(report: &Report, machine: &Machine) -> BTreeSet<Part> {
    let all = parts(&machine.node);
    let target = |part: &Part| match part {
        Part::Containerd => "service containerd.service".to_owned(),
        Part::Registry => "service ingot-registry.service".to_owned(),
        Part::Kubelet => "service kubelet.service".to_owned(),
        Part::StaticPod(name) => manifest(name),
    };
    let touched = |part: &Part| {
        let target = target(part);
        report.resources.iter().any(|(_, resource, outcome)| {
            *resource == target && matches!(outcome, Outcome::Changed | Outcome::Reacted)
        })
    };
    all.into_iter().filter(touched).collect()
}

/// Applies the states of runtime and node, and waits until what was started is well. Returns what is wrong.
///
/// # Errors
/// When the host is lost.
pub(super) async fn carry_out(
    machine: &mut Machine,
    context: &Context,
    change: &mut Change,
) -> Result<Option<String>, Failure> {
    let settings = context.settings(machine);
    let name = machine.node.name.to_string();
    let [_, runtime, node] = state_groups(&machine.node);
    for states in [runtime, node] {
        let progress = context.progress.clone();
        let told_name = name.clone();
        let mut told = move |event: Event| {
            if let Event::Started { target, .. } = event {
                progress.tell(&told_name, target, None);
            }
        };
        let applied = match machine
            .session
            .try_apply(&states, &settings, &mut told)
            .await
        {
            Ok(applied) => applied,
            Err(failure) => return lost_or(machine, failure),
        };
        change.mark.get_or_insert(applied.mark);
        change.count += applied.report.changed();
        let parts = started(&applied.report, machine);
        change.parts.extend(parts.iter().cloned());
        if let Some(failure) = failures(&applied.report) {
            return Ok(Some(failure.message));
        }
        let parts: Vec<Part> = parts.into_iter().collect();
        match judge::wait(machine, &parts, applied.begun, context).await? {
            Ok(kubelet) => change.kubelet = kubelet.or(change.kubelet),
            Err(wrong) => return Ok(Some(wrong)),
        }
    }
    // What was not started must not have suffered.
    let all = parts(&machine.node);
    match judge::wait(machine, &all, 0.0, context).await? {
        Ok(kubelet) => {
            change.kubelet = change.kubelet.or(kubelet);
            Ok(None)
        }
        Err(wrong) => Ok(Some(wrong)),
    }
}

fn lost_or(machine: &mut Machine, failure: Failure) -> Result<Option<String>, Failure> {
    match machine.session.lost() {
        Some(lost) => Err(lost),
        None => Ok(Some(failure.message)),
    }
}

/// Takes the change back and waits until the node is well as it was before.
///
/// # Errors
/// What could not be taken back, or what is not well.
pub(super) async fn put_back(
    machine: &mut Machine,
    context: &Context,
    change: &Change,
) -> Result<(), Failure> {
    let Some(mark) = change.mark else {
        return Ok(());
    };
    let name = machine.node.name.to_string();
    context.progress.tell(&name, "put back", None);
    let settings = context.settings(machine);
    let [_, runtime, node] = state_groups(&machine.node);
    let states = [runtime, node].concat();
    let (problems, _) = machine.session.put_back(&states, &settings, mark).await?;
    if !problems.is_empty() {
        return Err(Failure::machine(problems.join("; ")));
    }
    let back = Context {
        cluster: context.cluster.clone(),
        release: context.release.clone(),
        progress: context.progress.clone(),
        // The time that the change took is not taken from the way back.
        deadline: std::time::Instant::now() + std::time::Duration::from_secs(180),
    };
    let all = parts(&machine.node);
    match judge::wait(machine, &all, 0.0, &back).await? {
        Ok(_) => Ok(()),
        Err(wrong) => Err(Failure::machine(wrong)),
    }
}
