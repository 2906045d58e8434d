//! Addresses, MTU, routes out, name servers.

use super::{AllFacts, Check, Finding, Weight};
use crate::facts::Facts;
use ingot_cluster::Cluster;

pub(super) const ADDRESS: Check = Check {
    name: "address",
    how: "whether the host has the address that cluster.yaml gives it",
    consequence: "etcd and the API server cannot listen; certificates are made for another host",
    remedy: "put the right address into cluster.yaml, or on the host",
    weight: Weight::Errors,
    judge: Some(address),
};

fn address(cluster: &Cluster, all: &AllFacts) -> Vec<Finding> {
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
            found.push(ADDRESS.error(node.name.as_str(), text));
        }
    }
    found
}

pub(super) const MTU: Check = Check {
    name: "mtu",
    how: "the MTU of the interfaces with the nodes' addresses, beside each other; whether the path carries it is the check `path-mtu`",
    consequence: "large packets between nodes may get lost; pods of nodes with different MTUs do not understand each other",
    remedy: "set them alike",
    weight: Weight::Warnings,
    judge: Some(mtu),
};

fn mtu(cluster: &Cluster, all: &AllFacts) -> Vec<Finding> {
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
    let mut found = Vec::new();
    for (node, mtu) in mtus {
        if mtu < most {
            found.push(MTU.warning(node, format!("its MTU is {mtu}, others have {most}; large packets between nodes may get lost: set them alike")));
        }
        // 50 bytes of each packet are the tunnel's (RFC 7348, section 5), and IPv6 needs 1280 (RFC 8200).
        let pods = mtu.saturating_sub(50);
        if mtu > 0 && pods < 1280 {
            found.push(MTU.warning(node, format!("its MTU of {mtu} leaves {pods} bytes for packets of pods; programs that count on 1280 lose theirs: use an MTU of 1330 or more")));
        }
    }
    found
}

pub(super) const DEFAULT_ROUTE: Check = Check {
    name: "default-route",
    how: "default routes of the host with the same metric, by `ip route`",
    consequence: "the platform uses the address of cluster.yaml only, whatever the routes; but which way packets to other networks leave changes with each boot, and answers may leave by the other interface",
    remedy: "give one of them a higher metric, or remove it",
    weight: Weight::Warnings,
    judge: Some(default_route),
};

fn default_route(_: &Cluster, all: &AllFacts) -> Vec<Finding> {
    let mut found = Vec::new();
    for (node, facts) in all {
        let defaults: Vec<_> = facts
            .routes
            .iter()
            .filter(|route| route.destination == "default")
            .collect();
        let least = defaults.iter().map(|route| route.metric).min();
        let best: Vec<String> = defaults
            .iter()
            .filter(|route| Some(route.metric) == least)
            .map(|route| match route.gateway {
                Some(gateway) => format!("{gateway} on {}", route.device),
                None => route.device.clone(),
            })
            .collect();
        if best.len() > 1 {
            let text = format!(
                "it has {} default routes of the same metric ({}); which one is taken is chance: give one a higher metric, or remove it",
                best.len(),
                best.join(", ")
            );
            found.push(DEFAULT_ROUTE.warning(node, text));
        }
    }
    found
}

pub(super) const NAME_SERVERS: Check = Check {
    name: "name-servers",
    how: "/etc/resolv.conf and /run/systemd/resolve/resolv.conf: whether any names a server that pods can reach. Where the former names a stub of the host (127.0.0.53), the latter is used",
    consequence: "pods resolve names of the cluster and none of the site",
    remedy: "write the name servers of the site into /etc/resolv.conf, then run `ingot apply`; or name them in `spec.network.nameServers`",
    weight: Weight::Warnings,
    judge: Some(name_servers),
};

fn name_servers(cluster: &Cluster, all: &AllFacts) -> Vec<Finding> {
    if cluster.network.name_servers.is_some() {
        return Vec::new();
    }
    let local = |(node, facts): (&String, &Facts)| {
        let text = "/etc/resolv.conf names a server on the loopback only, which is none for pods, and no file says which servers it asks; pods resolve no names of the site until that file names them";
        facts
            .only_local_dns
            .then(|| NAME_SERVERS.warning(node, text))
    };
    all.iter().filter_map(local).collect()
}
