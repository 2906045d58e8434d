//! `spec.nodes`: who they are, what they do, and how many of each.

use super::paths::Paths;
use super::{access, dns, dns_label, labels, network, storage};
use crate::finding::Report;
use crate::model::{Access, Name, Network, Node, Role};
use crate::shape::{field, item};
use crate::spec;
use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv4Addr};

const NODES: &str = "spec.nodes";

/// Checks all nodes; gives back those that could be made.
pub(super) fn check(
    spec: &spec::Spec,
    network: Option<&Network>,
    paths: &Paths<'_>,
    report: &mut Report,
) -> Option<Vec<Node>> {
    let given = spec.nodes.as_ref()?;
    if given.is_empty() {
        report.error(
            NODES,
            "there is no node",
            "list at least one with the role `control-plane`",
        );
        return None;
    }
    let access = access::Defaults::check(spec.ssh.as_ref(), paths, report);
    let mut nodes = Vec::new();
    for (index, given) in given.iter().enumerate() {
        let Some(given) = given else { continue };
        let place = item(NODES, index);
        nodes.push(Draft {
            name: given
                .name
                .as_deref()
                .and_then(|text| dns_label(&field(&place, "name"), text, report)),
            address: address(
                &field(&place, "address"),
                given.address.as_deref(),
                network,
                report,
            ),
            roles: roles(&field(&place, "roles"), given.roles.as_deref(), report),
            access: access.of(&place, given, paths, report),
            labels: labels::check(&field(&place, "labels"), given.labels.as_ref(), report),
            disks: storage::check(&field(&place, "storage"), given.storage.as_ref(), report),
            place,
        });
    }
    once(&nodes, "name", "name", |node| node.name.clone(), report);
    once(&nodes, "address", "address", |node| node.address, report);
    access::across(&nodes, report);
    counts(&nodes, report);
    nodes.into_iter().map(Draft::finish).collect()
}

/// A node of which parts may be wrong.
pub(super) struct Draft {
    pub(super) place: String,
    pub(super) name: Option<Name>,
    pub(super) address: Option<IpAddr>,
    pub(super) roles: Option<Vec<Role>>,
    pub(super) access: Option<Access>,
    labels: std::collections::BTreeMap<String, String>,
    disks: storage::Disks,
}

impl Draft {
    /// How messages call it.
    pub(super) fn called(&self) -> String {
        match &self.name {
            Some(name) => format!("`{name}`"),
            None => format!("`{}`", self.place),
        }
    }

    fn has(&self, role: Role) -> bool {
        self.roles
            .as_ref()
            .is_some_and(|roles| roles.contains(&role))
    }

    fn finish(self) -> Option<Node> {
        Some(Node {
            name: self.name?,
            address: self.address?,
            roles: self.roles?,
            access: self.access?,
            labels: self.labels,
            pools: self.disks.pools,
            wipe: self.disks.wipe,
        })
    }
}

fn address(
    place: &str,
    text: Option<&str>,
    network: Option<&Network>,
    report: &mut Report,
) -> Option<IpAddr> {
    let text = text?;
    let next = "write the IPv4 address of the server, such as 192.168.1.10";
    let Ok(address) = text.parse::<IpAddr>() else {
        if text.contains('/') {
            let bare = text.split('/').next().unwrap_or_default();
            report.error(
                place,
                format!("`{text}` is a range or has a prefix length"),
                format!("write `{bare}`"),
            );
        } else if dns::is_name(text) && !dns::looks_like_address(text) {
            report.error(
                place,
                format!("`{text}` is a name, and certificates and etcd need an address"),
                "write the address here; the name may go to `ssh.host`",
            );
        } else {
            report.error(place, format!("`{text}` is not an address"), next);
        }
        return None;
    };
    let IpAddr::V4(v4) = address else {
        report.error(
            place,
            format!("`{text}` is an IPv6 address: the network of this version carries IPv4 only"),
            next,
        );
        return None;
    };
    if let Some(kind) = unusable(v4) {
        report.error(
            place,
            format!("{v4} is {kind} and cannot be the address of a server"),
            next,
        );
        return None;
    }
    if let Some((range, cidr)) = network.and_then(|network| network::range_of(network, address)) {
        report.error(
            place,
            format!("{address} lies in {range} ({cidr}): the node would not be reached"),
            "choose ranges in `spec.network` that the servers do not use",
        );
        return None;
    }
    Some(address)
}

fn unusable(address: Ipv4Addr) -> Option<&'static str> {
    if address.is_loopback() {
        Some("a loopback address")
    } else if address.is_unspecified() {
        Some("the unspecified address")
    } else if address.is_multicast() {
        Some("a multicast address")
    } else if address.is_broadcast() {
        Some("the broadcast address")
    } else if address.is_link_local() {
        Some("a link-local address")
    } else {
        None
    }
}

fn roles(
    place: &str,
    given: Option<&[Option<spec::Role>]>,
    report: &mut Report,
) -> Option<Vec<Role>> {
    let given = given?;
    if given.is_empty() {
        report.error(
            place,
            "the node has no role",
            "list `control-plane`, `worker` or both",
        );
        return None;
    }
    let mut roles = Vec::new();
    for (index, role) in given.iter().enumerate() {
        let role = match role {
            Some(spec::Role::ControlPlane) => Role::ControlPlane,
            Some(spec::Role::Worker) => Role::Worker,
            None => continue,
        };
        if roles.contains(&role) {
            report.error(
                &item(place, index),
                "the role is listed a second time",
                "remove it",
            );
        } else {
            roles.push(role);
        }
    }
    roles.sort();
    Some(roles)
}

/// Reports every value that an earlier node has already.
fn once<K: Eq + Hash + std::fmt::Display>(
    nodes: &[Draft],
    key: &str,
    what: &str,
    value: impl Fn(&Draft) -> Option<K>,
    report: &mut Report,
) {
    let mut seen: HashMap<K, &Draft> = HashMap::new();
    for node in nodes {
        let Some(value) = value(node) else { continue };
        match seen.get(&value) {
            Some(first) => {
                let line = report.value_mark(&field(&first.place, key)).line;
                report.error(
                    &field(&node.place, key),
                    format!("the {what} `{value}` belongs to another node already (line {line})"),
                    format!("give each node its own {what}"),
                );
            }
            None => {
                seen.insert(value, node);
            }
        }
    }
}

/// What the numbers of nodes mean for the cluster.
fn counts(nodes: &[Draft], report: &mut Report) {
    // A node or role that could not be read may have been the missing one.
    let unsure = report.is_broken(NODES);
    let control_planes = nodes
        .iter()
        .filter(|node| node.has(Role::ControlPlane))
        .count();
    match control_planes {
        _ if unsure => {}
        0 => report.error(
            NODES,
            "no node has the role `control-plane`",
            "give it to at least one node; three survive the loss of any one",
        ),
        2 | 4 | 6 => report.warn(
            NODES,
            format!(
                "{control_planes} control planes survive no more losses than {}",
                control_planes - 1
            ),
            format!("use {} or {}", control_planes - 1, control_planes + 1),
        ),
        8.. => report.warn(
            NODES,
            format!("{control_planes} control planes make every write to etcd slow"),
            "use 3 or 5, and make the others workers",
        ),
        _ => {}
    }
    if !unsure && control_planes > 0 && !nodes.iter().any(|node| node.has(Role::Worker)) {
        report.warn(
            NODES,
            "no node has the role `worker`: no workload will be scheduled",
            "add `worker` to the roles of at least one node",
        );
    }
    let mut local = nodes
        .iter()
        .filter(|node| node.access == Some(Access::Local));
    if let Some(first) = local.next() {
        for other in local {
            report.error(
                &field(&other.place, "local"),
                format!("{} is this machine already", first.called()),
                "keep `local: true` on one node",
            );
        }
    }
}
