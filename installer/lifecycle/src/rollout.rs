//! Whether the pods of the platform are there and ready, judged only by those that were made from what was
//! applied: pods of a former template say nothing about the present one. Pure.

use crate::agent::kube::{ClusterStatus, MadeBy, PodStatus, Wanted, Workload};
use std::collections::BTreeSet;

#[cfg(test)]
mod tests;

/// Something that is still missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// What, in words.
    pub what: String,
    /// The pod that can tell why, by its namespace and name.
    pub pod: Option<String>,
}

impl Missing {
    fn of(workload: &Workload, what: &str) -> Self {
        Self {
            what: format!("{}: {what}", workload.name),
            pod: None,
        }
    }

    fn pod(pod: &PodStatus) -> Self {
        Self {
            what: format!("pod {} is not ready: {}", pod.name, pod.state),
            pod: Some(pod.name.clone()),
        }
    }
}

/// What is missing of the static pods on the nodes `here`.
pub fn static_pods(status: &ClusterStatus, here: &BTreeSet<&str>) -> Vec<Missing> {
    let unready = |pod: &&PodStatus| {
        pod.made_by == MadeBy::Kubelet && !pod.ready && here.contains(pod.node.as_str())
    };
    status
        .pods
        .iter()
        .filter(unready)
        .map(Missing::pod)
        .collect()
}

/// How many pods of before a change are still there on the nodes `here`. Each that goes is a roll-out that goes on.
pub fn former(status: &ClusterStatus, here: &BTreeSet<&str>) -> usize {
    let former = |pod: &&PodStatus| match &pod.made_by {
        MadeBy::Workload { current, .. } => {
            !current && !pod.over && here.contains(pod.node.as_str())
        }
        MadeBy::Kubelet | MadeBy::Other => false,
    };
    status.pods.iter().filter(former).count()
}

/// What is missing of all workloads on all nodes but pods that are not ready by themselves.
pub fn unfinished(status: &ClusterStatus) -> Vec<Missing> {
    let here = status.nodes.iter().map(|node| node.name.as_str()).collect();
    let workloads = status.workloads.iter();
    let missing = workloads.flat_map(|one| workload(one, status, &here));
    missing.filter(|missing| missing.pod.is_none()).collect()
}

/// What is missing of a workload. Nodes other than `here` are down or left alone: what they should run is not
/// waited for.
pub fn workload(
    workload: &Workload,
    status: &ClusterStatus,
    here: &BTreeSet<&str>,
) -> Vec<Missing> {
    if !workload.observed {
        let what = "its controller has not taken note of what was applied yet";
        return vec![Missing::of(workload, what)];
    }
    let pods: Vec<(&PodStatus, bool)> = status
        .pods
        .iter()
        .filter_map(|pod| match &pod.made_by {
            MadeBy::Workload { name, current } if *name == workload.name => Some((pod, *current)),
            _ => None,
        })
        .collect();
    // One that has no node yet is to run on one of these.
    let is_here = |pod: &PodStatus| pod.node.is_empty() || here.contains(pod.node.as_str());
    let judged = || pods.iter().filter(|(pod, _)| is_here(pod) && !pod.over);
    let mut missing: Vec<Missing> = judged()
        .filter(|(pod, current)| *current && !pod.ready)
        .map(|(pod, _)| Missing::pod(pod))
        .collect();
    let former = judged().filter(|(_, current)| !current).map(|(pod, _)| {
        let what = format!("pod {} is still the one of before the change", pod.name);
        Missing::of(workload, &what)
    });
    missing.extend(former);
    match &workload.wanted {
        Wanted::Nodes(nodes) => {
            let bare = nodes.iter().filter(|node| {
                here.contains(node.as_str()) && !judged().any(|(pod, _)| pod.node == **node)
            });
            missing.extend(bare.map(|node| {
                let what = format!("node {node} has no pod of it yet");
                Missing::of(workload, &what)
            }));
        }
        Wanted::Replicas(replicas) => {
            let away = pods.iter().filter(|(pod, _)| !is_here(pod)).count();
            let wanted = replicas.saturating_sub(away);
            let ready = judged().filter(|(pod, current)| *current && pod.ready);
            let ready = ready.count();
            if ready < wanted && missing.is_empty() {
                let what = format!("{ready} of its {wanted} pods are there");
                missing.push(Missing::of(workload, &what));
            }
        }
    }
    missing
}
