//! What a host is like, as data. Gathered by the agent ([`crate::agent::gather`]), judged by
//! [`crate::preflight`], and an input of the plan.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// What a host is like.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Facts {
    /// `PRETTY_NAME` of os-release(5).
    pub os: String,
    /// Release of the kernel.
    pub kernel: String,
    /// CPU architecture in Go spelling.
    pub architecture: String,
    /// What runs as process 1.
    pub init: String,
    /// Host name.
    pub hostname: String,
    /// /etc/machine-id.
    pub machine_id: String,
    /// 1 or 2.
    pub cgroup_version: u8,
    /// Controllers that can be used.
    pub cgroup_controllers: Vec<String>,
    /// Whether a process may lower its OOM score (CAP_SYS_RESOURCE).
    pub may_lower_oom_score: bool,
    /// Processors.
    pub cpus: u32,
    /// Memory, bytes.
    pub memory: u64,
    /// Free bytes below /var/lib.
    pub disk_free: u64,
    /// All bytes of the file system below /var/lib.
    pub disk_size: u64,
    /// Directories we must write to that refuse, with the reason.
    pub unwritable: BTreeMap<String, String>,
    /// Swap devices and files in use.
    pub swap: Vec<String>,
    /// Listening TCP ports -> the program, where it can be told.
    pub listening: BTreeMap<u16, String>,
    /// Seconds since 1970 when the facts were gathered.
    pub clock: f64,
    /// Addresses -> interface and MTU.
    pub addresses: BTreeMap<IpAddr, Interface>,
    /// File systems the kernel knows.
    pub filesystems: Vec<String>,
    /// Kernel features found: `overlay`, `br_netfilter`, `nf_tables`, `vxlan`.
    pub features: Vec<String>,
    /// Whether the host's own name resolves.
    pub resolves_own_name: bool,
    /// The resolv.conf(5) that pods can use; empty where there is none.
    pub resolv_conf: String,
    /// Its name servers.
    pub name_servers: Vec<String>,
    /// Signs of a foreign Kubernetes or container runtime.
    pub foreign: Vec<String>,
    /// The cluster this host belongs to, if it was installed before.
    pub membership: Option<Membership>,
    /// The member of etcd on this host, if it has one.
    pub etcd: Option<crate::agent::etcd::Etcd>,
    /// 99th percentile of write+fdatasync of 2 KiB below /var/lib, milliseconds.
    pub fsync_p99_ms: Option<f64>,
}

impl Default for Facts {
    /// A server without anything on it that satisfies every check; tests change what they are about.
    fn default() -> Self {
        Self {
            os: "Debian GNU/Linux 12 (bookworm)".into(),
            kernel: "6.1.0".into(),
            architecture: "amd64".into(),
            init: "systemd".into(),
            hostname: "host".into(),
            machine_id: String::new(),
            cgroup_version: 2,
            cgroup_controllers: ["cpu", "cpuset", "io", "memory", "pids"]
                .map(Into::into)
                .into(),
            may_lower_oom_score: true,
            cpus: 4,
            memory: 8 << 30,
            disk_free: 80 << 30,
            disk_size: 100 << 30,
            unwritable: BTreeMap::new(),
            swap: Vec::new(),
            listening: BTreeMap::new(),
            clock: 0.0,
            addresses: BTreeMap::new(),
            filesystems: vec!["overlay".into()],
            features: ["overlay", "br_netfilter", "nf_tables", "vxlan"]
                .map(Into::into)
                .into(),
            resolves_own_name: true,
            resolv_conf: String::new(),
            name_servers: Vec::new(),
            foreign: Vec::new(),
            membership: None,
            etcd: None,
            fsync_p99_ms: None,
        }
    }
}

/// A network interface.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// Its MTU, bytes.
    pub mtu: u32,
}

/// Which cluster a host belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Membership {
    /// Version of this record.
    pub format_version: u32,
    /// The name of the cluster.
    pub cluster: String,
    /// The name of the node.
    pub node: String,
    /// The version of the product.
    pub version: String,
    /// What the cluster was made with and cannot change.
    pub network: Fixed,
}

/// Settings of a cluster's network that stand in certificates, addresses and every pod, and so cannot
/// change after the cluster was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Fixed {
    /// Addresses of pods.
    pub pod_cidr: String,
    /// Prefix length of each node's part of them.
    pub node_prefix: u8,
    /// Addresses of Services.
    pub service_cidr: String,
    /// DNS domain of Services.
    pub cluster_domain: String,
}

impl From<&ingot_cluster::Network> for Fixed {
    fn from(network: &ingot_cluster::Network) -> Self {
        Self {
            pod_cidr: network.pod_cidr.to_string(),
            node_prefix: network.node_prefix,
            service_cidr: network.service_cidr.to_string(),
            cluster_domain: network.cluster_domain.clone(),
        }
    }
}
