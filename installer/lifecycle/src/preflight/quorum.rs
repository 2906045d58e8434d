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

pub(super) const MEMBERS: Check = Check {
    name: "etcd-members",
    how: "the members of etcd, as a control plane that runs has them, compared with the control planes of cluster.yaml",
    consequence: "a member that is left behind counts for the majority of etcd for ever",
    remedy: "take the control plane out with `ingot node reset` before it is taken out of cluster.yaml",
    weight: Weight::Errors,
    judge: Some(members),
};

/// Members of etcd that are no control planes of cluster.yaml.
fn members(cluster: &Cluster, all: &AllFacts) -> Vec<Finding> {
    let wanted = |name: &str| {
        cluster
            .control_planes()
            .any(|node| node.name.as_str() == name)
    };
    let known = all.values().find_map(|facts| {
        facts.membership.as_ref()?;
        facts.etcd.as_ref()?.members.as_ref()
    });
    known
        .into_iter()
        .flatten()
        .filter(|member| !member.name.is_empty() && !wanted(&member.name))
        .map(|member| Finding {
            check: MEMBERS.name,
            node: None,
            severity: Severity::Error,
            message: format!(
                "`{name}` is a member of etcd and no control plane of cluster.yaml: put it back, take it out with `ingot node reset {name}`, and then out of cluster.yaml",
                name = member.name
            ),
        })
        .collect()
}

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
