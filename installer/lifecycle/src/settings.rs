//! The settings states and manifests are rendered with: a pure function of cluster, release and facts.

use crate::facts::Facts;
use crate::paths;
use ingot_bundle::{Kind, Manifest};
use ingot_cluster::{Backend, Cluster, Node};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// What a bundle gives to hosts.
#[derive(Debug, Clone)]
pub struct Release {
    /// Version of the product.
    pub version: String,
    /// Version of Kubernetes, where the bundle has it.
    pub kubernetes: Option<String>,
    /// SHA-256, hexadecimal, of the digests of what hosts are given: tells it from others of its version.
    pub content: String,
    /// Name of the program bundle -> digest of its layer.
    pub binaries: BTreeMap<String, String>,
    /// Name of the image -> reference by digest.
    pub images: BTreeMap<String, String>,
}

impl Release {
    /// What the bundle with this manifest gives.
    pub fn of(manifest: &Manifest) -> Self {
        let mut release = Self {
            version: manifest.version.clone(),
            kubernetes: manifest
                .components
                .iter()
                .find(|component| component.name == "kubelet")
                .map(|component| component.version.clone()),
            content: content(manifest),
            binaries: BTreeMap::new(),
            images: BTreeMap::new(),
        };
        for component in &manifest.components {
            let name = component.name.clone();
            match component.kind {
                Kind::Image => {
                    let reference =
                        format!("{}/{name}@{}", paths::REGISTRY, component.manifest.digest);
                    release.images.insert(name, reference);
                }
                Kind::HostBinaries => {
                    if let Some(layer) = component.layers().first() {
                        release.binaries.insert(name, layer.digest.to_string());
                    }
                }
                Kind::OsPackage | Kind::Installer => {}
            }
        }
        release
    }

    /// Where its programs lie on a host.
    pub fn directory(&self) -> String {
        format!("{}/{}", paths::RELEASES, self.version)
    }
}

/// Variables that no service of ours takes from the host. A manager of services hands its own environment to
/// each of them (systemd-system.conf(5), `DefaultEnvironment=`), and a unit's drop-ins add to it: a proxy of the
/// site would be asked for what stays between nodes, and the others change how a program runs or whom it trusts.
pub const UNSET_ENVIRONMENT: [&str; 21] = [
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "FTP_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "ftp_proxy",
    "all_proxy",
    "no_proxy",
    "GODEBUG",
    "GOGC",
    "GOMAXPROCS",
    "GOMEMLIMIT",
    "KUBECONFIG",
    "KUBERNETES_SERVICE_HOST",
    "KUBERNETES_SERVICE_PORT",
    "LD_LIBRARY_PATH",
    "LD_PRELOAD",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
];

fn content(manifest: &Manifest) -> String {
    use sha2::{Digest, Sha256};
    let mut names: Vec<String> = manifest
        .components
        .iter()
        .map(|component| format!("{} {}\n", component.name, component.manifest.digest))
        .collect();
    names.sort();
    let digest = Sha256::digest(names.concat());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The components a bundle must have for a cluster.
pub const REQUIRED: [&str; 16] = [
    "cni-plugins",
    "containerd",
    "coredns",
    "etcd",
    "flannel",
    "haproxy",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-proxy",
    "kube-scheduler",
    "kubectl",
    "kubelet",
    "metrics-server",
    "nftables",
    "pause",
    "runc",
];

/// The components of storage, for clusters that have some.
pub const STORAGE: [&str; 5] = [
    "csi-provisioner",
    "csi-resizer",
    "csi-snapshotter",
    "lvm-csi-driver",
    "snapshot-controller",
];

/// The components a bundle must have for that cluster.
pub fn required(cluster: &Cluster) -> Vec<&'static str> {
    let storage = cluster.has_storage().then_some(STORAGE);
    REQUIRED
        .into_iter()
        .chain(storage.into_iter().flatten())
        .collect()
}

/// The programs a node needs on its host.
pub fn programs(node: &Node) -> &'static [&'static str] {
    if node.is_control_plane() {
        &[
            "cni-plugins",
            "containerd",
            "kubectl",
            "kubelet",
            "nftables",
            "runc",
        ]
    } else {
        &["cni-plugins", "containerd", "kubelet", "nftables", "runc"]
    }
}

/// An address as it stands in a URL.
fn in_url(address: IpAddr) -> String {
    match address {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => format!("[{v6}]"),
    }
}

fn cluster_settings(cluster: &Cluster, release: &Release) -> Value {
    let servers: Vec<Value> = cluster
        .control_planes()
        .map(|node| json!({ "name": node.name, "address": node.address, "address_in_url": in_url(node.address) }))
        .collect();
    json!({
        "version": release.version,
        "release": release.directory(),
        "program": paths::PROGRAM,
        "registry": paths::REGISTRY,
        "images": release.images,
        "ports": { "api": paths::API_PORT, "balancer": paths::BALANCER_PORT, "registry": paths::REGISTRY_PORT, "storage_metrics": paths::STORAGE_METRICS_PORT, "snapshot_metadata": paths::SNAPSHOT_METADATA_PORT },
        "control_planes": servers,
        "cluster": {
            "name": cluster.name,
            "pod_cidr": cluster.network.pod_cidr,
            "node_prefix": cluster.network.node_prefix,
            "service_cidr": cluster.network.service_cidr,
            "domain": cluster.network.cluster_domain,
            "dns_address": cluster.dns_address(),
            "backend": match cluster.network.backend { Backend::Vxlan => "vxlan", Backend::HostGw => "host-gw" },
        },
    })
}

/// The settings of the cluster's manifests.
pub fn manifest_settings(
    cluster: &Cluster,
    release: &Release,
    cluster_ca: &str,
    hosts_have_dns: bool,
) -> Value {
    let mut settings = cluster_settings(cluster, release);
    settings["cluster_ca"] = cluster_ca.into();
    settings["forward_to"] = forward_to(cluster, hosts_have_dns).into();
    settings["storage_nodes"] = cluster
        .nodes
        .iter()
        .filter(|node| !node.pools.is_empty())
        .map(|node| json!({ "name": node.name, "spec": storage(node) }))
        .collect();
    settings["snapshot_metadata"] = cluster.snapshot_metadata.into();
    settings["replicas"] = if cluster.nodes.len() > 1 { 2 } else { 1 }.into();
    settings
}

/// What CoreDNS forwards names outside of the cluster to (coredns plugin/forward, `TO...`).
fn forward_to(cluster: &Cluster, hosts_have_dns: bool) -> Vec<String> {
    match &cluster.network.name_servers {
        Some(servers) => servers.iter().map(ToString::to_string).collect(),
        None if hosts_have_dns => vec!["/etc/resolv.conf".to_owned()],
        None => Vec::new(),
    }
}

/// A node's disks, in the form of its StorageNode object.
fn storage(node: &Node) -> Value {
    let mut spec = json!({
        "pools": node.pools,
        "metrics": format!("127.0.0.1:{}", paths::STORAGE_METRICS_PORT),
    });
    if !node.wipe.is_empty() {
        spec["wipe"] = json!(node.wipe);
    }
    spec
}

/// Bytes of the disk that pods may not fill. The kubelet's own defaults are percentages, which keep
/// hundreds of gigabytes of a large disk and break a small one from the start. Only the size of the
/// disk may matter: a setting that depends on what is free would change by itself.
fn eviction(disk_size: u64) -> u64 {
    const LEAST: u64 = 500 << 20;
    const MOST: u64 = 5 << 30;
    (disk_size / 20).clamp(LEAST, MOST)
}

/// The settings of one host's states.
pub fn host_settings(cluster: &Cluster, node: &Node, facts: &Facts, release: &Release) -> Value {
    let mut settings = cluster_settings(cluster, release);
    settings["node"] = json!({
        "name": node.name,
        "address": node.address,
        "address_in_url": in_url(node.address),
        "control_plane": node.is_control_plane(),
        "worker": node.is_worker(),
    });
    settings["host"] = json!({
        "cgroup_version": facts.cgroup_version,
        "may_lower_oom_score": facts.may_lower_oom_score,
        "eviction_mebibytes": eviction(facts.disk_size) >> 20,
        "resolv_conf": if facts.resolv_conf.is_empty() { "\"\"" } else { &facts.resolv_conf },
    });
    settings["unset_environment"] = UNSET_ENVIRONMENT.join(" ").into();
    // This node first: what is here need not travel.
    let mut mirrors: Vec<&Node> = cluster.control_planes().collect();
    mirrors.sort_by_key(|server| server.name != node.name);
    settings["mirrors"] = mirrors
        .iter()
        .map(|s| format!("{}:{}", in_url(s.address), paths::REGISTRY_PORT))
        .collect();
    settings["binaries"] = programs(node)
        .iter()
        .filter_map(|name| Some(json!({ "name": name, "digest": release.binaries.get(*name)? })))
        .collect();
    settings["directories"] = directories(node);
    settings["sysctls"] = sysctls(facts)
        .iter()
        .map(|one| json!({ "key": one.key, "value": one.value, "optional": one.optional }))
        .collect();
    settings["registries"] = cluster
        .registries
        .iter()
        .map(|registry| json!({ "host": registry.host, "mirrors": registry.mirrors, "ca": registry.ca }))
        .collect();
    settings["kubelet"] = json!({ "overrides": cluster.kubelet.config });
    settings["etcd"] = etcd(cluster, facts);
    settings["api_server"] = json!({ "arguments": api_server_arguments(cluster, node) });
    settings
}

/// How the member of etcd on a control plane is started for the first time. One that has data keeps what it was
/// started with: these flags count no more, and a change of them would restart it for nothing.
fn etcd(cluster: &Cluster, facts: &Facts) -> Value {
    match &facts.etcd {
        Some(found) if found.data && !found.initial_cluster.is_empty() => {
            json!({ "cluster": found.initial_cluster, "state": found.initial_state })
        }
        _ => {
            let peers: Vec<String> = cluster
                .control_planes()
                .map(|peer| format!("{}={}", peer.name, peer_url(peer)))
                .collect();
            json!({ "cluster": peers.join(","), "state": "new" })
        }
    }
}

/// Where other members of etcd reach that of a node.
pub fn peer_url(node: &Node) -> String {
    format!("https://{}:2380", in_url(node.address))
}

/// Directories that are ours alone: a reset removes them with their content.
fn directories(node: &Node) -> Value {
    let mut all = vec![
        ("/etc/kubernetes", "0755"),
        ("/etc/kubernetes/manifests", "0700"),
        ("/etc/cni", "0755"),
        ("/etc/containerd", "0755"),
        ("/var/lib/kubelet", "0750"),
        ("/var/lib/containerd", "0700"),
        ("/var/log/pods", "0750"),
        ("/var/log/containers", "0755"),
    ];
    if node.is_control_plane() {
        all.push(("/var/lib/etcd", "0700"));
    }
    all.into_iter()
        .map(|(path, mode)| json!({ "path": path, "mode": mode }))
        .collect()
}

/// The files of our kernel settings below /etc/sysctl.d: the present one, which sorts after all others, and the
/// one that former releases wrote.
pub const SYSCTL_FILES: [&str; 2] = ["zz-ingot.conf", "90-ingot.conf"];

/// A kernel setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sysctl {
    /// Its dotted name.
    pub key: &'static str,
    /// Its value.
    pub value: String,
    /// Where the kernel lacks it, or refuses the value, the host will do without.
    pub optional: bool,
}

/// The kernel settings of a host. The cluster has IPv4 only: forwarding of IPv6 is left alone, since a host
/// that takes its IPv6 routes from router advertisements would lose them (Linux, ip-sysctl.rst, `accept_ra`).
pub fn sysctls(facts: &Facts) -> Vec<Sysctl> {
    let conntrack = (facts.cpus * 32768).max(131_072).to_string();
    let all: [(&str, &str, bool); 9] = [
        ("net.ipv4.ip_forward", "1", false),
        ("net.bridge.bridge-nf-call-iptables", "1", false),
        ("net.bridge.bridge-nf-call-ip6tables", "1", true),
        ("net.netfilter.nf_conntrack_max", &conntrack, false),
        ("vm.overcommit_memory", "1", false),
        ("vm.panic_on_oom", "0", false),
        ("kernel.panic", "10", false),
        ("kernel.panic_on_oops", "1", false),
        ("fs.inotify.max_user_instances", "8192", true),
    ];
    all.iter()
        .map(|&(key, value, optional)| Sysctl {
            key,
            value: value.into(),
            optional,
        })
        .collect()
}

/// The flags of the API server; those of cluster.yaml win. Validation refused the ones that are ours.
fn api_server_arguments(cluster: &Cluster, node: &Node) -> Vec<String> {
    let mut flags = api_server_flags(cluster, node);
    flags.extend(cluster.api_server.extra_args.clone());
    flags
        .into_iter()
        .map(|(name, value)| format!("--{name}={value}"))
        .collect()
}

/// The flags that the API server is given in any case.
pub fn api_server_flags(cluster: &Cluster, node: &Node) -> BTreeMap<String, String> {
    let address = node.address.to_string();
    let network = &cluster.network;
    let service_cidr = network.service_cidr.to_string();
    let issuer = format!("https://kubernetes.default.svc.{}", network.cluster_domain);
    let port = paths::API_PORT.to_string();
    let pki = |name: &str| format!("{}/{name}", paths::PKI);
    let own: Vec<(&str, String)> = vec![
        ("advertise-address", address),
        ("secure-port", port),
        ("allow-privileged", "true".into()),
        ("authorization-mode", "Node,RBAC".into()),
        (
            "authentication-config",
            "/etc/kubernetes/control-plane/authentication.yaml".into(),
        ),
        (
            "admission-control-config-file",
            "/etc/kubernetes/control-plane/admission.yaml".into(),
        ),
        ("enable-admission-plugins", "NodeRestriction".into()),
        (
            "audit-policy-file",
            "/etc/kubernetes/control-plane/audit-policy.yaml".into(),
        ),
        ("audit-log-path", "/var/log/kubernetes/audit.log".into()),
        ("audit-log-maxage", "30".into()),
        ("audit-log-maxbackup", "10".into()),
        ("audit-log-maxsize", "100".into()),
        ("client-ca-file", pki("ca.crt")),
        ("encryption-provider-config", pki("encryption.yaml")),
        ("encryption-provider-config-automatic-reload", "true".into()),
        ("etcd-servers", "https://127.0.0.1:2379".into()),
        ("etcd-cafile", pki("etcd/ca.crt")),
        ("etcd-certfile", pki("apiserver-etcd-client.crt")),
        ("etcd-keyfile", pki("apiserver-etcd-client.key")),
        ("kubelet-certificate-authority", pki("ca.crt")),
        (
            "kubelet-client-certificate",
            pki("apiserver-kubelet-client.crt"),
        ),
        ("kubelet-client-key", pki("apiserver-kubelet-client.key")),
        (
            "kubelet-preferred-address-types",
            "InternalIP,Hostname".into(),
        ),
        ("profiling", "false".into()),
        ("proxy-client-cert-file", pki("front-proxy-client.crt")),
        ("proxy-client-key-file", pki("front-proxy-client.key")),
        ("requestheader-client-ca-file", pki("front-proxy-ca.crt")),
        ("requestheader-allowed-names", "front-proxy-client".into()),
        (
            "requestheader-extra-headers-prefix",
            "X-Remote-Extra-".into(),
        ),
        ("requestheader-group-headers", "X-Remote-Group".into()),
        ("requestheader-username-headers", "X-Remote-User".into()),
        ("service-account-issuer", issuer),
        ("service-account-key-file", pki("sa.pub")),
        ("service-account-signing-key-file", pki("sa.key")),
        ("service-cluster-ip-range", service_cidr),
        ("tls-cert-file", pki("apiserver.crt")),
        ("tls-private-key-file", pki("apiserver.key")),
        // A load balancer notices within 2.5 s that the server is not ready any more; until then it serves.
        ("shutdown-delay-duration", "5s".into()),
        // Watches end two seconds later, instead of holding up the end for a minute.
        ("shutdown-send-retry-after", "true".into()),
        ("tls-min-version", "VersionTLS12".into()),
    ];
    own.into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}
