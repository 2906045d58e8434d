//! Whether enough control planes take part. A run without them could not start etcd, and would make
//! a second authority for a cluster whose own is on the machines that are away.

use super::{AllFacts, Check, Finding, Severity, Weight};
use ingot_cluster::Cluster;

/// What is wrong when `here` of `all` control planes take part; `None` when they are a majority.
pub fn missing_majority(here: usize, all: usize) -> Option<String> {
    (here * 2 <= all).then(|| {
        format!(
            "only {here} of {all} control planes can be worked on; etcd needs a majority of them: bring the missing hosts back, or change cluster.yaml"
        )
    })
}

pub(super) const QUORUM: Check = Check {
    name: "quorum",
    how: "how many control planes of cluster.yaml take part in the run",
    consequence: "etcd does not start, or a second authority is made for a cluster that has one",
    remedy: "bring the missing hosts back, or change cluster.yaml",
    weight: Weight::Errors,
    judge: Some(majority),
};

fn majority(cluster: &Cluster, all: &AllFacts) -> Vec<Finding> {
    let planes = cluster.control_planes();
    let here = planes.filter(|node| all.contains_key(node.name.as_str()));
    missing_majority(here.count(), cluster.control_planes().count())
        .map(|message| Finding {
            check: QUORUM.name,
            node: None,
            severity: Severity::Error,
            message,
        })
        .into_iter()
        .collect()
}
