//! `spec.network`: ranges that do not overlap and are large enough, and the domain.

use super::dns;
use crate::finding::Report;
use crate::model::{Backend, Cidr, CidrError, Network};
use crate::spec;
use std::net::IpAddr;

const POD: &str = "spec.network.podCIDR";
const SERVICE: &str = "spec.network.serviceCIDR";
const PREFIX: &str = "spec.network.nodePrefix";
const DOMAIN: &str = "spec.network.clusterDomain";
const NAME_SERVERS: &str = "spec.network.nameServers";

/// The smallest part of the pod range a node can get: the platform's own pods must fit.
const LONGEST_NODE_PREFIX: u8 = 28;
/// kube-controller-manager's allocator keeps a bit for each part and takes at most 2^16 of them
/// (kubernetes pkg/controller/nodeipam/ipam/cidrset: `cidrSet` "new CIDR set failed").
const MOST_NODE_BITS: u8 = 16;
/// kube-apiserver refuses a Service range with more than 20 bits of hosts.
const SHORTEST_SERVICE_PREFIX: u8 = 12;
/// The DNS Service has the tenth address; below it is too little room for anything else.
const LONGEST_SERVICE_PREFIX: u8 = 27;
/// CoreDNS forwards to at most so many (coredns plugin/forward/setup.go, `max`).
const MOST_NAME_SERVERS: usize = 15;
/// Pods a kubelet takes unless told otherwise (KubeletConfiguration, `maxPods`).
const MAX_PODS: u64 = 110;

/// Checks the network of `nodes` nodes.
pub(super) fn check(
    network: Option<&spec::Network>,
    nodes: usize,
    kubelet: Option<&spec::Kubelet>,
    report: &mut Report,
) -> Option<Network> {
    let none = spec::Network::default();
    let given = network.unwrap_or(&none);
    let pod_cidr = cidr(
        POD,
        given.pod_cidr.as_deref().unwrap_or(spec::POD_CIDR),
        report,
    );
    let service_cidr = cidr(
        SERVICE,
        given.service_cidr.as_deref().unwrap_or(spec::SERVICE_CIDR),
        report,
    );
    let node_prefix = given.node_prefix.unwrap_or(spec::NODE_PREFIX);
    if let Some(pods) = &pod_cidr {
        prefix(pods, node_prefix, nodes, kubelet, report);
    }
    if let Some(services) = &service_cidr {
        service_size(services, report);
    }
    if let (Some(pods), Some(services)) = (&pod_cidr, &service_cidr)
        && pods.overlaps(services)
    {
        // Said where the user wrote something: the other may be a default.
        let place = if given.service_cidr.is_some() {
            SERVICE
        } else {
            POD
        };
        report.error(
            place,
            format!("the pod range {pods} and the Service range {services} overlap"),
            "choose ranges that share no address",
        );
    }
    let domain = given
        .cluster_domain
        .as_deref()
        .unwrap_or(spec::CLUSTER_DOMAIN);
    let domain_is_good =
        dns::is_name(domain) && domain == domain.to_lowercase() && !dns::looks_like_address(domain);
    if !domain_is_good {
        report.error(
            DOMAIN,
            format!("`{domain}` is not a DNS domain"),
            "use labels of lower-case letters, digits and hyphens, such as `cluster.local`",
        );
    }
    let backend = match given.backend {
        Some(spec::Backend::HostGw) => Backend::HostGw,
        Some(spec::Backend::Vxlan) | None => Backend::Vxlan,
    };
    let name_servers = match &given.name_servers {
        Some(given) => Some(name_servers(given, &[pod_cidr?, service_cidr?], report)?),
        None => None,
    };
    Some(Network {
        pod_cidr: pod_cidr?,
        node_prefix,
        service_cidr: service_cidr?,
        cluster_domain: domain_is_good.then(|| domain.to_owned())?,
        backend,
        name_servers,
    })
}

/// Addresses that pods can ask, outside of the cluster.
fn name_servers(given: &[String], ours: &[Cidr], report: &mut Report) -> Option<Vec<IpAddr>> {
    let mut servers = Vec::new();
    let mut all_good = true;
    let mut refuse = |place: &str, what: String, next: &str| {
        report.error(place, what, next);
        all_good = false;
    };
    for (number, text) in given.iter().enumerate() {
        let place = format!("{NAME_SERVERS}[{number}]");
        match text.parse::<IpAddr>() {
            Err(_) => refuse(
                &place,
                format!("`{text}` is not an address"),
                "write the address of a name server, without a port",
            ),
            Ok(server) if server.is_loopback() || server.is_unspecified() => refuse(
                &place,
                format!("{server} leads CoreDNS to itself: it runs in a pod"),
                "write an address of the server that pods can reach",
            ),
            Ok(server) if ours.iter().any(|range| range.contains(server)) => refuse(
                &place,
                format!(
                    "{server} lies in a range of the cluster, where no server of the site can be"
                ),
                "write the address of a server of the site, or change the ranges",
            ),
            Ok(server) if servers.contains(&server) => refuse(
                &place,
                format!("{server} is named twice"),
                "remove one of the two",
            ),
            Ok(server) => servers.push(server),
        }
    }
    if given.len() > MOST_NAME_SERVERS {
        refuse(
            NAME_SERVERS,
            format!(
                "{} name servers are more than the {MOST_NAME_SERVERS} that CoreDNS takes",
                given.len()
            ),
            "keep those that answer first",
        );
    }
    all_good.then_some(servers)
}

fn cidr(place: &str, text: &str, report: &mut Report) -> Option<Cidr> {
    if text.contains(',') {
        report.error(
            place,
            format!("`{text}` is more than one range: dual stack is not supported yet"),
            "keep the IPv4 range",
        );
        return None;
    }
    match Cidr::parse(text.trim()) {
        Ok(cidr) if cidr.is_ipv4() => Some(cidr),
        Ok(_) => {
            report.error(
                place,
                format!("`{text}` is an IPv6 range: the network of this version carries IPv4 only"),
                "use an IPv4 range, such as 10.233.0.0/16",
            );
            None
        }
        Err(CidrError::Syntax(_)) => {
            report.error(
                place,
                format!("`{text}` is not a range of addresses"),
                "write an address and a prefix length, such as 10.233.0.0/16",
            );
            None
        }
        Err(CidrError::HostBits { found, meant }) => {
            report.error(
                place,
                format!("`{found}` has bits set after its prefix"),
                format!("did you mean `{meant}`?"),
            );
            None
        }
    }
}

fn prefix(
    pods: &Cidr,
    prefix: u8,
    nodes: usize,
    kubelet: Option<&spec::Kubelet>,
    report: &mut Report,
) {
    let shortest = pods.prefix();
    if prefix < shortest || prefix > LONGEST_NODE_PREFIX {
        let next = if shortest > LONGEST_NODE_PREFIX {
            format!(
                "enlarge podCIDR to /{} or more addresses",
                spec::NODE_PREFIX
            )
        } else {
            format!("use a number from {shortest} to {LONGEST_NODE_PREFIX}, or change podCIDR")
        };
        report.error(
            PREFIX,
            format!("a node cannot get a /{prefix} of {pods}"),
            next,
        );
        return;
    }
    let bits = prefix - shortest;
    if bits > MOST_NODE_BITS {
        report.error(
            PREFIX,
            format!("/{prefix} parts of {pods} are more than the 65536 Kubernetes can count"),
            format!(
                "use a number up to {}, or a smaller podCIDR",
                shortest + MOST_NODE_BITS
            ),
        );
        return;
    }
    let parts = 1_usize << bits;
    if parts < nodes {
        let needed = nodes.next_power_of_two().trailing_zeros();
        report.error(
            PREFIX,
            format!("{pods} has {parts} parts of /{prefix}, and there are {nodes} nodes"),
            format!(
                "use at least {}, or enlarge podCIDR",
                u32::from(shortest) + needed
            ),
        );
        return;
    }
    let wanted = kubelet
        .and_then(|kubelet| kubelet.config.as_ref()?.get("maxPods")?.as_u64())
        .unwrap_or(MAX_PODS);
    // Network and broadcast address and the bridge take three.
    let room = (1_u64 << (32 - prefix)) - 3;
    if room < wanted {
        report.warn(
            PREFIX,
            format!("a /{prefix} has room for {room} pods, and a kubelet takes {wanted}"),
            "use a smaller nodePrefix, or set maxPods in spec.kubelet.config",
        );
    }
}

fn service_size(services: &Cidr, report: &mut Report) {
    let prefix = services.prefix();
    if prefix < SHORTEST_SERVICE_PREFIX {
        report.error(
            SERVICE,
            format!(
                "{services} is larger than the /{SHORTEST_SERVICE_PREFIX} the API server takes"
            ),
            format!(
                "use a prefix length from {SHORTEST_SERVICE_PREFIX} to {LONGEST_SERVICE_PREFIX}"
            ),
        );
    } else if prefix > LONGEST_SERVICE_PREFIX {
        report.error(
            SERVICE,
            format!("{services} has too few addresses for the Services of the platform"),
            format!(
                "use a prefix length from {SHORTEST_SERVICE_PREFIX} to {LONGEST_SERVICE_PREFIX}"
            ),
        );
    }
}

/// The range of the cluster `address` lies in, and its name.
pub(super) fn range_of(network: &Network, address: IpAddr) -> Option<(&'static str, Cidr)> {
    [
        ("the pod range", network.pod_cidr),
        ("the Service range", network.service_cidr),
    ]
    .into_iter()
    .find(|(_, cidr)| cidr.contains(address))
}
