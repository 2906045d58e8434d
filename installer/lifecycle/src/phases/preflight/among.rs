//! What hosts try among themselves and on themselves, before anything is changed: ports, packets of the full
//! size, the way of a pod's packets. Members are not disturbed: nothing listens on them for it.

use crate::agent::pod_path::{Blocked, PodPath};
use crate::agent::reach::Port;
use crate::driver::{Driver, Machine};
use crate::facts::Facts;
use crate::preflight::{FORWARDING, Finding, PATH_MTU, REACHABILITY, Severity};
use ingot_cluster::{Cidr, Cluster, Node};
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

/// A port of a host that others are to try.
struct Peer {
    name: String,
    address: IpAddr,
    port: Port,
    /// The MTU of the interface with that address.
    mtu: u32,
    /// Its host is a member, on which others of its cluster are not tried: it runs already.
    member: bool,
}

fn fresh(machine: &Machine) -> bool {
    machine.facts.membership.is_none()
}

fn mtu(node: &Node, facts: &Facts) -> u32 {
    facts
        .addresses
        .get(&node.address)
        .map_or(0, |interface| interface.mtu)
}

fn locked<T>(all: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    all.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What one host found out.
struct Tried {
    name: String,
    node: Node,
    facts: Facts,
    /// Of other hosts.
    unreached: Vec<(IpAddr, Port, String)>,
    /// On itself; the words of what kept it from trying.
    blocked: Result<Vec<Blocked>, String>,
}

/// Every fresh host listens on the ports the cluster will use, tries the way of a pod's packets, and every host
/// tries every other. Of what runs on members, fresh hosts try what others must reach.
pub(super) async fn tried(driver: &mut Driver) -> Vec<Finding> {
    if !driver.machines.values().any(fresh) {
        return Vec::new();
    }
    let peers = opened(driver).await;
    let tried = Mutex::new(Vec::new());
    let cluster = driver.cluster.clone();
    driver
        .each(
            "preflight",
            |_| true,
            async |machine| {
                let own = machine.node.name.to_string();
                let member = !fresh(machine);
                let own_mtu = mtu(&machine.node, &machine.facts);
                let blocked = match pod_path(&cluster, &machine.node).filter(|_| !member) {
                    None => Ok(Vec::new()),
                    Some(path) => match machine.session.blocked(path).await {
                        Ok(blocked) => Ok(blocked),
                        Err(failure) => Err(failure.to_string()),
                    },
                };
                let mut asked: Vec<(IpAddr, Port)> = Vec::new();
                for peer in &peers {
                    if peer.name == own || (peer.member && member) {
                        continue;
                    }
                    asked.push((peer.address, peer.port));
                    if let (Port::Udp(port), Ok(bytes)) =
                        (peer.port, u16::try_from(peer.mtu.min(own_mtu)))
                        && bytes > 0
                    {
                        asked.push((peer.address, Port::Full { port, bytes }));
                    }
                }
                let unreached = match asked.is_empty() {
                    true => Vec::new(),
                    false => machine.session.unreached(asked).await?,
                };
                locked(&tried).push(Tried {
                    name: own,
                    node: machine.node.clone(),
                    facts: machine.facts.clone(),
                    unreached,
                    blocked,
                });
                Ok(0)
            },
        )
        .await;
    driver
        .each(
            "preflight",
            |_| true,
            async |machine| machine.session.listen(Vec::new()).await.map(|_| 0),
        )
        .await;
    let tried = tried.into_inner().unwrap_or_else(PoisonError::into_inner);
    judged(&cluster, &tried)
}

/// A port that other nodes do not reach is closed to pods as well; that is one finding and not two.
fn judged(cluster: &Cluster, tried: &[Tried]) -> Vec<Finding> {
    let mut found = Vec::new();
    for host in tried {
        found.extend(findings(&host.name, &host.unreached));
        let closed = |port: u16| {
            let at = (host.node.address, Port::Tcp(port));
            let of = |one: &Tried| {
                one.unreached
                    .iter()
                    .any(|(address, port, _)| (*address, *port) == at)
            };
            tried.iter().any(of)
        };
        match &host.blocked {
            Ok(blocked) => {
                let blocked: Vec<&Blocked> = blocked
                    .iter()
                    .filter(|one| !one.port.is_some_and(closed))
                    .collect();
                if !blocked.is_empty() {
                    let text = blocked_words(cluster, &host.facts, &blocked);
                    found.push(FORWARDING.finding(&host.name, Severity::Error, text));
                }
            }
            Err(reason) => {
                let text = format!(
                    "whether its firewall lets packets of pods through cannot be tried ({reason}); if CoreDNS does not become ready, look at its rules for {}",
                    cluster.network.pod_cidr
                );
                found.push(FORWARDING.finding(&host.name, Severity::Warning, text));
            }
        }
    }
    found
}

async fn opened(driver: &mut Driver) -> Vec<Peer> {
    let cluster = driver.cluster.clone();
    let opened: Mutex<Vec<Peer>> = Mutex::default();
    driver
        .each(
            "preflight",
            |_| true,
            async |machine| {
                let ports = crate::preflight::peer_ports(&cluster, &machine.node);
                let member = !fresh(machine);
                let listening = &machine.facts.listening;
                let served =
                    |port: &Port| matches!(port, Port::Tcp(port) if listening.contains_key(port));
                let open = match member {
                    true => ports.into_iter().filter(served).collect(),
                    false => machine.session.listen(ports).await?,
                };
                let (name, address) = (machine.node.name.to_string(), machine.node.address);
                let mtu = mtu(&machine.node, &machine.facts);
                let peer = |port| Peer {
                    name: name.clone(),
                    address,
                    port,
                    mtu,
                    member,
                };
                locked(&opened).extend(open.into_iter().map(peer));
                Ok(0)
            },
        )
        .await;
    opened.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// What a host does not reach. Where nothing arrives at a port, the size of packets says nothing.
fn findings(own: &str, unreached: &[(IpAddr, Port, String)]) -> Vec<Finding> {
    let closed = |address: &IpAddr, port: u16| {
        unreached
            .iter()
            .any(|(other, tried, _)| other == address && *tried == Port::Udp(port))
    };
    let finding = |(address, port, reason): &(IpAddr, Port, String)| match port {
        Port::Full { port, bytes } if !closed(address, *port) => {
            let text = format!(
                "packets of {bytes} bytes do not reach {address} ({reason}), small ones do; give the interfaces of all nodes the MTU that the path between them carries, or mend what lies between"
            );
            Some(PATH_MTU.finding(own, Severity::Error, text))
        }
        Port::Full { .. } => None,
        Port::Tcp(_) | Port::Udp(_) => {
            let text = format!(
                "cannot reach {address} on {port} ({reason}); open the port between the nodes (see the list of ports in the guide)"
            );
            Some(REACHABILITY.finding(own, Severity::Error, text))
        }
    };
    unreached.iter().filter_map(finding).collect()
}

/// The last eight addresses of the pod range; no node has them before all others are given.
fn pod_path(cluster: &Cluster, node: &Node) -> Option<PodPath> {
    let range: Cidr = cluster.network.pod_cidr;
    let size = 1_u64 << (32 - u32::from(range.prefix().min(32)));
    let offset = u32::try_from(size.checked_sub(8)?).ok()?;
    let IpAddr::V4(first) = range.nth(offset)? else {
        return None;
    };
    let mut ports = vec![10250];
    if node.is_control_plane() {
        ports.push(crate::paths::API_PORT);
    }
    Some(PodPath {
        first,
        node: node.address,
        ports,
    })
}

fn blocked_words(cluster: &Cluster, facts: &Facts, blocked: &[&Blocked]) -> String {
    let range = cluster.network.pod_cidr;
    let ways: Vec<String> = blocked
        .iter()
        .map(|one| format!("{} ({})", one.way, one.reason))
        .collect();
    let remedy = match facts
        .firewalls
        .iter()
        .map(String::as_str)
        .find(|name| *name != "nftables")
    {
        Some("firewalld") => format!(
            "run `firewall-cmd --permanent --zone=trusted --add-source={range}` and `firewall-cmd --reload`"
        ),
        Some("ufw") => format!(
            "run `ufw route allow from {range}`, `ufw route allow to {range}` and `ufw allow from {range}`"
        ),
        _ => format!(
            "accept {range} as source and destination in its chain for forwarding, and as source in its chain for input (`nft list ruleset` shows them)"
        ),
    };
    format!(
        "its firewall drops packets of pods: {}; pods would reach neither DNS nor Services: {remedy}",
        ways.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A port that is closed to all is closed to pods: told once, with the port.
    #[test]
    fn a_port_that_nobody_reaches_is_not_told_again_for_pods() {
        let text = "apiVersion: ingot.dev/v1alpha1\nkind: Cluster\nmetadata: { name: site }\nspec:\n  ssh: { agent: true }\n  nodes:\n    - { name: cp1, address: 10.0.0.1, roles: [control-plane] }\n    - { name: w1, address: 10.0.0.2, roles: [worker] }\n";
        let cluster =
            ingot_cluster::load("cluster.yaml", text, &ingot_cluster::FakeFiles::default())
                .unwrap_or_else(|findings| panic!("{findings}"))
                .cluster;
        let to_port = |port: u16| Blocked {
            way: format!("from a pod to TCP port {port} of the node"),
            port: Some(port),
            reason: "no answer within 2 s".into(),
        };
        let host = |index: usize, unreached, blocked| Tried {
            name: cluster.nodes[index].name.to_string(),
            node: cluster.nodes[index].clone(),
            facts: Facts::default(),
            unreached,
            blocked,
        };
        let lost = |port| {
            (
                cluster.nodes[1].address,
                Port::Tcp(port),
                "no answer within 3 s".to_owned(),
            )
        };
        let checks = |tried: &[Tried]| {
            let found = judged(&cluster, tried);
            found
                .iter()
                .map(|finding| finding.check)
                .collect::<Vec<_>>()
        };
        let closed = [
            host(0, vec![lost(10250)], Ok(Vec::new())),
            host(1, Vec::new(), Ok(vec![to_port(10250)])),
        ];
        assert_eq!(checks(&closed), ["reachability"]);
        let closed_to_pods = [
            host(0, Vec::new(), Ok(Vec::new())),
            host(1, Vec::new(), Ok(vec![to_port(10250)])),
        ];
        assert_eq!(checks(&closed_to_pods), ["forwarding"]);
        let untried = [host(0, Vec::new(), Err("no `ip`".into()))];
        let found = judged(&cluster, &untried);
        assert_eq!(
            (found[0].check, found[0].severity),
            ("forwarding", Severity::Warning)
        );
    }

    #[test]
    fn the_size_of_packets_is_told_only_where_small_ones_arrive() {
        let address: IpAddr = "10.0.0.2".parse().unwrap();
        let full = Port::Full {
            port: 8472,
            bytes: 1500,
        };
        let lost = |port| (address, port, "no answer within 3 s".to_owned());
        let found = findings("w1", &[lost(full)]);
        assert_eq!(found[0].check, "path-mtu");
        let found = findings("w1", &[lost(Port::Udp(8472)), lost(full)]);
        let checks: Vec<_> = found.iter().map(|finding| finding.check).collect();
        assert_eq!(checks, ["reachability"]);
    }
}
