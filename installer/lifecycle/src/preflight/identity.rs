//! Hosts must be told apart: cloned images share machine ids and names.

use super::{AllFacts, Check, Finding, Weight};
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

pub(super) const MACHINE_ID: Check = Check {
    name: "machine-id",
    how: "/etc/machine-id of all hosts, as cloned images share it",
    consequence: "nodes and their leases are taken for one another; DHCP gives both one address",
    remedy: "on all but one: rm /etc/machine-id && systemd-machine-id-setup, and reboot",
    weight: Weight::Errors,
    judge: Some(machine_ids),
};

fn machine_ids(_: &Cluster, all: &AllFacts) -> Vec<Finding> {
    let mut found = Vec::new();
    for (id, nodes) in shared(all, |facts| &facts.machine_id) {
        let text = format!(
            "{} share the machine-id {id}; on all but one run: rm /etc/machine-id && systemd-machine-id-setup, and reboot",
            nodes.join(" and ")
        );
        found.extend(
            nodes
                .iter()
                .map(|node| MACHINE_ID.error(node, text.clone())),
        );
    }
    found
}

pub(super) const HOSTNAME: Check = Check {
    name: "hostname",
    how: "the host names of all hosts",
    consequence: "logs, metrics and leases of two hosts cannot be told apart",
    remedy: "rename with hostnamectl set-hostname",
    weight: Weight::Errors,
    judge: Some(hostnames),
};

fn hostnames(_: &Cluster, all: &AllFacts) -> Vec<Finding> {
    let mut found = Vec::new();
    for (name, nodes) in shared(all, |facts| &facts.hostname) {
        let text = format!(
            "{} share the host name `{name}`; rename with hostnamectl set-hostname",
            nodes.join(" and ")
        );
        found.extend(nodes.iter().map(|node| HOSTNAME.error(node, text.clone())));
    }
    found
}

pub(super) const NODE_NAME: Check = Check {
    name: "node-name",
    how: "the host name (its first label, whatever the case) beside the name of the node in cluster.yaml",
    consequence: "the cluster works, since nodes have the names of cluster.yaml; logs and prompts of the host show another, and a host whose cable or address was exchanged is taken for its neighbour",
    remedy: "give both the same name (hostnamectl set-hostname), or look whether the address in cluster.yaml is that of another host",
    weight: Weight::Warnings,
    judge: Some(node_names),
};

fn node_names(_: &Cluster, all: &AllFacts) -> Vec<Finding> {
    let first = |name: &str| name.split('.').next().unwrap_or_default().to_lowercase();
    let mut found = Vec::new();
    for (node, facts) in all {
        let known = !facts.hostname.is_empty();
        if known && first(&facts.hostname) != *node && facts.hostname != *node {
            let other = all.contains_key(&first(&facts.hostname));
            let text = match other {
                true => format!(
                    "the host calls itself `{}`, which is another node of cluster.yaml; look whether their addresses are exchanged",
                    facts.hostname
                ),
                false => format!(
                    "the host calls itself `{}`; its node is `{node}` in the cluster, its logs and prompts show the other name: hostnamectl set-hostname {node}",
                    facts.hostname
                ),
            };
            found.push(NODE_NAME.warning(node, text));
        }
    }
    found
}

pub(super) const OWN_NAME: Check = Check {
    name: "own-name",
    how: "whether the host's own name resolves on it",
    consequence: "sudo and logs wait for it",
    remedy: "add it to /etc/hosts",
    weight: Weight::Warnings,
    judge: Some(own_name),
};

fn own_name(_: &Cluster, all: &AllFacts) -> Vec<Finding> {
    let lost = |(node, facts): (&String, &Facts)| {
        let text = format!(
            "its own name `{}` does not resolve; add it to /etc/hosts (sudo and logs wait for it)",
            facts.hostname
        );
        (!facts.resolves_own_name).then(|| OWN_NAME.warning(node, text))
    };
    all.iter().filter_map(lost).collect()
}
