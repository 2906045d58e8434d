//! Hosts must be told apart: cloned images share machine ids and names.

use super::{AllFacts, Finding, error};
use crate::facts::Facts;
use ingot_cluster::Cluster;
use std::collections::BTreeMap;

fn shared(all: &AllFacts, of: impl Fn(&Facts) -> &str) -> Vec<(String, Vec<String>)> {
    let mut holders: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (node, facts) in all {
        if !of(facts).is_empty() {
            holders
                .entry(of(facts).to_owned())
                .or_default()
                .push(node.clone());
        }
    }
    holders
        .into_iter()
        .filter(|(_, nodes)| nodes.len() > 1)
        .collect()
}

pub(super) fn machine_ids(_: &Cluster, all: &AllFacts) -> Vec<Finding> {
    let mut found = Vec::new();
    for (id, nodes) in shared(all, |facts| &facts.machine_id) {
        let text = format!(
            "{} share the machine-id {id}; on all but one run: rm /etc/machine-id && systemd-machine-id-setup, and reboot",
            nodes.join(" and ")
        );
        found.extend(
            nodes
                .iter()
                .map(|node| error("machine-id", node, text.clone())),
        );
    }
    found
}

pub(super) fn hostnames(_: &Cluster, all: &AllFacts) -> Vec<Finding> {
    let mut found = Vec::new();
    for (name, nodes) in shared(all, |facts| &facts.hostname) {
        let text = format!(
            "{} share the host name `{name}`; rename with hostnamectl set-hostname",
            nodes.join(" and ")
        );
        found.extend(
            nodes
                .iter()
                .map(|node| error("hostname", node, text.clone())),
        );
    }
    found
}
