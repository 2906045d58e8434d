//! Whether the cluster's ranges are free in the networks of the hosts: nothing compares them but us.

use super::{AllFacts, Check, Finding, Severity, Weight};
use crate::facts::{Facts, Route};
use ingot_cluster::{Cidr, Cluster};
use std::net::IpAddr;

pub(super) const RANGES: Check = Check {
    name: "ranges",
    how: "addresses, prefixes and routes (`ip route`) of all hosts, their name servers and the administrator's own address, beside podCIDR and serviceCIDR",
    consequence: "packets to that address go to a pod or a Service: the host, the name server or the administrator cannot be reached from nodes any more. A wider route that contains the range is a warning: what lies in the range cannot be reached from nodes",
    remedy: "choose spec.network.podCIDR and serviceCIDR that no network of the site uses",
    weight: Weight::Both,
    judge: Some(ranges),
};

/// Interfaces that the platform makes itself.
const OURS: [&str; 3] = ["cni0", "flannel.1", "lo"];

fn ours(device: &str) -> bool {
    OURS.contains(&device) || device.starts_with("veth")
}

fn ranges(cluster: &Cluster, all: &AllFacts) -> Vec<Finding> {
    let network = &cluster.network;
    let ranges = [
        ("podCIDR", network.pod_cidr),
        ("serviceCIDR", network.service_cidr),
    ];
    let mut found = Vec::new();
    for (node, facts) in all {
        // The ranges of a cluster that is there cannot change any more.
        let member = facts.membership.is_some();
        for (field, range) in ranges {
            for (text, severity) in overlaps(cluster, facts, range) {
                let severity = if member { Severity::Warning } else { severity };
                let next = match member {
                    true => "move that network; the ranges of a cluster cannot change",
                    false => "choose a range that no network of the site uses",
                };
                let text = format!("{text} {} {range}; {next}", phrase(field));
                found.push(RANGES.finding(node, severity, text));
            }
        }
    }
    found
}

fn phrase(field: &str) -> String {
    format!("spec.network.{field}")
}

/// What of a host lies in a range or contains it: what, and how much it weighs.
fn overlaps(cluster: &Cluster, facts: &Facts, range: Cidr) -> Vec<(String, Severity)> {
    let mut found = Vec::new();
    let mut told: Vec<String> = Vec::new();
    for (address, interface) in &facts.addresses {
        if !ours(&interface.name) && range.contains(*address) {
            found.push((
                format!(
                    "its address {address}/{} on {} lies in",
                    interface.prefix, interface.name
                ),
                Severity::Error,
            ));
            told.push(interface.name.clone());
        }
    }
    for route in &facts.routes {
        if ours(&route.device) || is_of_the_cluster(cluster, route) {
            continue;
        }
        if let Some(gateway) = route.gateway.filter(|gateway| range.contains(*gateway)) {
            found.push((
                format!(
                    "its router {gateway} (route {} on {}) lies in",
                    route.destination, route.device
                ),
                Severity::Error,
            ));
        }
        let Some(destination) = destination(route).filter(|other| range.overlaps(other)) else {
            continue;
        };
        // The network of an address that was named already.
        if told.contains(&route.device) && route.gateway.is_none() {
            continue;
        }
        let wider = destination.prefix() < range.prefix();
        let (word, severity) = match wider {
            true => ("contains", Severity::Warning),
            false => ("lies in", Severity::Error),
        };
        let through = route
            .gateway
            .map_or(String::new(), |gateway| format!(" through {gateway}"));
        found.push((
            format!(
                "its route {} on {}{through} {word}",
                route.destination, route.device
            ),
            severity,
        ));
    }
    for server in &facts.name_servers {
        let address = server
            .split('%')
            .next()
            .unwrap_or_default()
            .parse::<IpAddr>();
        if address.is_ok_and(|address| range.contains(address)) {
            found.push((format!("its name server {server} lies in"), Severity::Error));
        }
    }
    if let Some(address) = facts
        .administrator
        .filter(|address| range.contains(*address))
    {
        found.push((
            format!("the address {address}, from which this installation comes, lies in"),
            Severity::Error,
        ));
    }
    found
}

fn destination(route: &Route) -> Option<Cidr> {
    let text = match route.destination.as_str() {
        "default" => return None,
        range if range.contains('/') => range.to_owned(),
        address => format!("{address}/32"),
    };
    // A route to everything in two halves, as VPNs make it, says nothing of a range.
    Cidr::parse(&text).ok().filter(|range| range.prefix() > 1)
}

/// With the backend host-gw each node has a route to the pods of each other.
fn is_of_the_cluster(cluster: &Cluster, route: &Route) -> bool {
    let to_node = route
        .gateway
        .is_some_and(|gateway| cluster.nodes.iter().any(|node| node.address == gateway));
    let part = destination(route).is_some_and(|range| {
        range.prefix() == cluster.network.node_prefix && cluster.network.pod_cidr.overlaps(&range)
    });
    to_node && part
}
