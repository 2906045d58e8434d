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
    /// What the installer's clock showed when it asked for the facts and when it had them, seconds since 1970.
    pub installer_clock: [f64; 2],
    /// Addresses -> interface, prefix and MTU.
    pub addresses: BTreeMap<IpAddr, Interface>,
    /// Routes of IPv4 in all tables, but for those of single addresses of the host itself.
    pub routes: Vec<Route>,
    /// Where the installation comes from: the other end of the SSH connection.
    pub administrator: Option<IpAddr>,
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
    /// Whether /etc/resolv.conf names a server of this host only, and no file with the real ones was found.
    pub only_local_dns: bool,
    /// Proxy variables that services are given -> who gives them.
    pub proxies: BTreeMap<String, String>,
    /// Lines of others that set kernel settings we need.
    pub sysctl_lines: Vec<SettingLine>,
    /// What turns swap on again at the next boot, beside /etc/fstab.
    pub swap_at_boot: Vec<String>,
    /// The file systems of the directories that are filled.
    pub volumes: BTreeMap<String, Volume>,
    /// Whether SELinux is enforcing.
    pub selinux_enforcing: bool,
    /// Whether AppArmor is on and its parser missing, which containerd loads profiles with.
    pub apparmor_without_parser: bool,
    /// Instances of inotify that root may have, and has.
    pub inotify: Inotify,
    /// Files beside our units that change them.
    pub drop_ins: Vec<String>,
    /// Firewall services that are active.
    pub firewalls: Vec<String>,
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
            installer_clock: [0.0; 2],
            addresses: BTreeMap::new(),
            routes: Vec::new(),
            administrator: None,
            filesystems: vec!["overlay".into()],
            features: ["overlay", "br_netfilter", "nf_tables", "vxlan"]
                .map(Into::into)
                .into(),
            resolves_own_name: true,
            resolv_conf: String::new(),
            name_servers: Vec::new(),
            only_local_dns: false,
            proxies: BTreeMap::new(),
            sysctl_lines: Vec::new(),
            swap_at_boot: Vec::new(),
            volumes: BTreeMap::new(),
            selinux_enforcing: false,
            apparmor_without_parser: false,
            inotify: Inotify::default(),
            drop_ins: Vec::new(),
            firewalls: Vec::new(),
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
    /// Length of the prefix of the network that is reached through it.
    #[serde(default)]
    pub prefix: u8,
}

/// A route.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Route {
    /// Where it leads: a range, or `default`.
    pub destination: String,
    /// Through which interface.
    pub device: String,
    /// Through whom, unless it is reached directly.
    pub gateway: Option<IpAddr>,
    /// Of two to the same destination, the lower wins.
    pub metric: u32,
}

/// A line of a file that sets a kernel setting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettingLine {
    /// The file.
    pub file: String,
    /// The line, from one.
    pub line: usize,
    /// The dotted name.
    pub key: String,
    /// The value.
    pub value: String,
}

/// The file system a directory is on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Volume {
    /// Where it is mounted.
    pub mounted_at: String,
    /// Free bytes.
    pub free: u64,
    /// Files that can still be made; none where the file system does not count them.
    pub inodes_free: Option<u64>,
    /// Whether programs on it may not be started.
    pub noexec: bool,
}

/// Instances of inotify.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Inotify {
    /// How many one user may have.
    pub limit: u64,
    /// How many root has.
    pub used: u64,
    /// Whether the limit can be raised.
    pub can_be_raised: bool,
}

impl Default for Inotify {
    fn default() -> Self {
        Self {
            limit: 128,
            used: 0,
            can_be_raised: true,
        }
    }
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
    /// The version of Kubernetes; absent in records of older programs, as is the next.
    #[serde(default)]
    pub kubernetes: Option<String>,
    /// What tells the bundle from others of its version.
    #[serde(default)]
    pub content: Option<String>,
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
