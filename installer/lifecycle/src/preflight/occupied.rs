//! What is on the host already: listeners, another Kubernetes, another cluster of ours.

use super::{AllFacts, Check, Finding, Weight};
use crate::agent::reach::Port;
use crate::facts::Fixed;
use crate::paths;
use ingot_cluster::{Backend, Cluster, Node};

/// Ports that other nodes must reach, and so are probed between nodes.
pub fn peer_ports(cluster: &Cluster, node: &Node) -> Vec<Port> {
    let mut all = vec![Port::Tcp(10250)];
    if node.is_control_plane() {
        let only = [paths::API_PORT, 2379, 2380, paths::REGISTRY_PORT];
        all.extend(only.map(Port::Tcp));
    }
    if tells_of_snapshots(cluster, node) {
        all.push(Port::Tcp(paths::SNAPSHOT_METADATA_PORT));
    }
    if cluster.network.backend == Backend::Vxlan {
        all.push(Port::Udp(VXLAN_PORT));
    }
    all
}

fn tells_of_snapshots(cluster: &Cluster, node: &Node) -> bool {
    cluster.snapshot_metadata && !node.pools.is_empty()
}

/// Where flannel's tunnels end, unless it is told otherwise (flannel's documentation, backends, VXLAN).
const VXLAN_PORT: u16 = 8472;

/// TCP ports that must be free on the node, with their user.
fn needed(cluster: &Cluster, node: &Node) -> Vec<(u16, &'static str)> {
    let mut all = vec![
        (10250, "the kubelet"),
        (10248, "the kubelet"),
        (10256, "kube-proxy"),
        (10249, "kube-proxy"),
        (paths::BALANCER_PORT, "the load balancer"),
    ];
    if !node.pools.is_empty() {
        all.push((paths::STORAGE_METRICS_PORT, "the storage agent"));
    }
    if tells_of_snapshots(cluster, node) {
        all.push((paths::SNAPSHOT_METADATA_PORT, "the storage agent"));
    }
    if node.is_control_plane() {
        all.extend([
            (paths::API_PORT, "the API server"),
            (2379, "etcd"),
            (2380, "etcd"),
            (2381, "etcd"),
            (10257, "the controller manager"),
            (10259, "the scheduler"),
            (paths::REGISTRY_PORT, "the registry"),
        ]);
    }
    all
}

/// Whether a program is one of ours that may hold our ports after an interrupted run.
fn ours(program: &str) -> bool {
    const OURS: [&str; 11] = [
        "ingot",
        "kubelet",
        "kube-proxy",
        "haproxy",
        "kube-apiserver",
        "etcd",
        "kube-controller",
        "kube-scheduler",
        "containerd",
        "flanneld",
        "lvm-csi-driver",
    ];
    // An agent is called by its digest, as far as the kernel keeps names.
    OURS.contains(&program) || program.starts_with("ingot-")
}

pub(super) const PORTS: Check = Check {
    name: "ports",
    how: "listening TCP ports of the host (/proc/net/tcp), with the program",
    consequence: "a program of the platform cannot listen and does not start",
    remedy: "stop that program, or move it to another port",
    weight: Weight::Errors,
    judge: Some(ports),
};

fn ports(cluster: &Cluster, all: &AllFacts) -> Vec<Finding> {
    let mut found = Vec::new();
    for node in &cluster.nodes {
        let Some(facts) = all.get(node.name.as_str()) else {
            continue;
        };
        let installed = facts.membership.is_some() || facts.foreign.is_empty();
        for (port, user) in needed(cluster, node) {
            let Some(program) = facts.listening.get(&port) else {
                continue;
            };
            if installed && ours(program) {
                continue;
            }
            let text = format!(
                "TCP port {port} is taken by `{program}`; {user} needs it: stop that program or move it"
            );
            found.push(PORTS.error(node.name.as_str(), text));
        }
    }
    found
}

pub(super) const FOREIGN: Check = Check {
    name: "foreign",
    how: "on hosts that are not ours yet: processes, directories, units, sockets, interfaces and network configurations of kubeadm, k3s, RKE2, k0s, MicroK8s, Docker, containerd, CRI-O and pod networks",
    consequence: "two container runtimes or pod networks change the same things; what lies in directories that become ours would be lost with a reset",
    remedy: "remove it with its own means (`kubeadm reset`, `k3s-uninstall.sh`, ...); it is not ours to touch",
    weight: Weight::Errors,
    judge: Some(foreign),
};

fn foreign(_: &Cluster, all: &AllFacts) -> Vec<Finding> {
    let other = |(node, facts): (&String, &crate::facts::Facts)| {
        let text = format!(
            "it runs or has run another Kubernetes or container runtime: {}; remove it first, it is not ours to touch",
            facts.foreign.join(", ")
        );
        (!facts.foreign.is_empty()).then(|| FOREIGN.error(node, text))
    };
    all.iter().filter_map(other).collect()
}

pub(super) const MEMBERSHIP: Check = Check {
    name: "membership",
    how: "the record of the host, which cluster and node it is and which ranges the cluster was made with",
    consequence: "a host of another cluster would be taken over; pods and certificates keep the former ranges",
    remedy: "use its own cluster.yaml, or take the host out with `ingot node reset`",
    weight: Weight::Errors,
    judge: Some(membership),
};

fn membership(cluster: &Cluster, all: &AllFacts) -> Vec<Finding> {
    let mut found = Vec::new();
    for (node, facts) in all {
        let Some(member) = &facts.membership else {
            continue;
        };
        if member.cluster != cluster.name.as_str() {
            let text = format!(
                "it belongs to the cluster `{}`, not to `{}`; use its own cluster.yaml, or take it out with `ingot node reset`",
                member.cluster, cluster.name
            );
            found.push(MEMBERSHIP.error(node, text));
        } else if member.node != *node {
            let text = format!(
                "it is the node `{}` of this cluster; a node cannot be renamed, reset it first",
                member.node
            );
            found.push(MEMBERSHIP.error(node, text));
        } else {
            let changed = changed(&member.network, &Fixed::from(&cluster.network));
            found.extend(changed.map(|text| MEMBERSHIP.error(node, text)));
        }
    }
    found
}

/// What of the network is not what the cluster was made with.
fn changed(made: &Fixed, wanted: &Fixed) -> impl Iterator<Item = String> + use<> {
    let prefix = |network: &Fixed| network.node_prefix.to_string();
    [
        ("podCIDR", made.pod_cidr.clone(), wanted.pod_cidr.clone()),
        ("nodePrefix", prefix(made), prefix(wanted)),
        ("serviceCIDR", made.service_cidr.clone(), wanted.service_cidr.clone()),
        ("clusterDomain", made.cluster_domain.clone(), wanted.cluster_domain.clone()),
    ]
    .into_iter()
    .filter(|(_, made, wanted)| made != wanted)
    .map(|(field, made, wanted)| {
        format!(
            "its cluster was made with spec.network.{field} {made}, cluster.yaml says {wanted}; this cannot change afterwards: put {made} back"
        )
    })
}
