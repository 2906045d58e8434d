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

/// Every fresh host listens on the ports the cluster will use, tries the way of a pod's packets, and every host
/// tries every other. Of what runs on members, fresh hosts try what others must reach.
pub(super) async fn tried(driver: &mut Driver) -> Vec<Finding> {
    if !driver.machines.values().any(fresh) {
        return Vec::new();
    }
    let peers = opened(driver).await;
    let found = Mutex::new(Vec::new());
    let cluster = driver.cluster.clone();
    driver
        .each(
            "preflight",
            |_| true,
            async |machine| {
                let own = machine.node.name.to_string();
                let member = !fresh(machine);
                let own_mtu = mtu(&machine.node, &machine.facts);
                if !member {
                    let finding = forwarding(&cluster, machine).await;
                    locked(&found).extend(finding);
                }
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
                if asked.is_empty() {
                    return Ok(0);
                }
                let unreached = machine.session.unreached(asked).await?;
                locked(&found).extend(findings(&own, &unreached));
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
    found.into_inner().unwrap_or_else(PoisonError::into_inner)
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

/// Whether packets of pods get through a host.
async fn forwarding(cluster: &Cluster, machine: &mut Machine) -> Option<Finding> {
    let path = pod_path(cluster, &machine.node)?;
    let name = machine.node.name.to_string();
    match machine.session.blocked(path).await {
        Ok(blocked) if blocked.is_empty() => None,
        Ok(blocked) => {
            let text = blocked_words(cluster, &machine.facts, &blocked);
            Some(FORWARDING.finding(&name, Severity::Error, text))
        }
        Err(failure) => {
            let text = format!(
                "whether its firewall lets packets of pods through cannot be tried ({failure}); if CoreDNS does not become ready, look at its rules for {}",
                cluster.network.pod_cidr
            );
            Some(FORWARDING.finding(&name, Severity::Warning, text))
        }
    }
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

fn blocked_words(cluster: &Cluster, facts: &Facts, blocked: &[Blocked]) -> String {
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
