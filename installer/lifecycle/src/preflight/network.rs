//! Addresses, names and MTU.

use super::{AllFacts, Finding, error, warning};
use ingot_cluster::Cluster;

pub(super) fn address(cluster: &Cluster, all: &AllFacts) -> Vec<Finding> {
    let mut found = Vec::new();
    for node in &cluster.nodes {
        let Some(facts) = all.get(node.name.as_str()) else {
            continue;
        };
        if !facts.addresses.is_empty() && !facts.addresses.contains_key(&node.address) {
            let have: Vec<String> = facts
                .addresses
                .keys()
                .filter(|a| !a.is_loopback())
                .map(ToString::to_string)
                .collect();
            let text = format!(
                "it does not have the address {} of cluster.yaml, it has {}",
                node.address,
                have.join(", ")
            );
            found.push(error("address", node.name.as_str(), text));
        }
    }
    found
}

pub(super) fn mtu(cluster: &Cluster, all: &AllFacts) -> Vec<Finding> {
    let mtus: Vec<(&str, u32)> = cluster
        .nodes
        .iter()
        .filter_map(|node| {
            let mtu = all
                .get(node.name.as_str())?
                .addresses
                .get(&node.address)?
                .mtu;
            Some((node.name.as_str(), mtu))
        })
        .collect();
    let Some(most) = mtus.iter().map(|(_, mtu)| *mtu).max() else {
        return Vec::new();
    };
    let small = mtus.into_iter().filter(|(_, mtu)| *mtu < most);
    small
        .map(|(node, mtu)| {
            warning("mtu", node, format!("its MTU is {mtu}, others have {most}; large packets between nodes may get lost: set them alike"))
        })
        .collect()
}

pub(super) fn own_name(_: &Cluster, all: &AllFacts) -> Vec<Finding> {
    let lost = |(node, facts): (&String, &crate::facts::Facts)| {
        let text = format!(
            "its own name `{}` does not resolve; add it to /etc/hosts (sudo and logs wait for it)",
            facts.hostname
        );
        (!facts.resolves_own_name).then(|| warning("own-name", node, text))
    };
    all.iter().filter_map(lost).collect()
}
