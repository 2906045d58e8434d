//! The document a user writes: `cluster.yaml`, version ingot.dev/v1alpha1.
//!
//! Only shapes, defaults and what each field means; the JSON schema, the reference and the check of
//! the shape are all made from here. No rule about values: those are in `check`.
//!
//! Every field is optional to the deserializer, so that a document with mistakes can still be
//! checked to its end; which fields are required is said by `#[schemars(required)]`. For the same
//! reason an item of a list is an `Option`: what did not fit keeps its place in the list.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// `spec.network.podCIDR` when not given.
pub const POD_CIDR: &str = "10.233.0.0/16";
/// `spec.network.nodePrefix` when not given.
pub const NODE_PREFIX: u8 = 24;
/// `spec.network.serviceCIDR` when not given.
pub const SERVICE_CIDR: &str = "10.96.0.0/16";
/// `spec.network.clusterDomain` when not given.
pub const CLUSTER_DOMAIN: &str = "cluster.local";
/// The SSH user when not given.
pub const SSH_USER: &str = "root";
/// The SSH port when not given.
pub const SSH_PORT: u16 = 22;

/// A cluster: its servers, its addresses and what differs from the defaults.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Document {
    /// The version of this format.
    #[schemars(required)]
    pub api_version: Option<ApiVersion>,
    /// The kind of this document.
    #[schemars(required)]
    pub kind: Option<Kind>,
    /// What identifies the cluster.
    #[schemars(required)]
    pub metadata: Option<Metadata>,
    /// What the cluster shall be.
    #[schemars(required)]
    pub spec: Option<Spec>,
}

/// The versions of this format that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ApiVersion {
    /// The first version.
    #[serde(rename = "ingot.dev/v1alpha1")]
    V1alpha1,
}

/// The kinds of documents that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Kind {
    /// A cluster.
    Cluster,
}

/// What identifies the cluster.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Metadata {
    /// The name of the cluster: 1 to 63 lower-case letters, digits and hyphens.
    #[schemars(required, extend("maxLength" = 63))]
    pub name: Option<String>,
}

/// What the cluster shall be.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Spec {
    /// Host and port, as `host:port`, under which users outside reach the API server: a virtual
    /// address, an outside load balancer or a DNS name. Without it, the kubeconfig names the first
    /// control plane. Nodes never depend on it; each has its own load balancer.
    pub control_plane_endpoint: Option<String>,
    /// Addresses and names inside the cluster.
    pub network: Option<Network>,
    /// How all servers are reached, unless a node says otherwise.
    pub ssh: Option<Ssh>,
    /// Changes to the API server.
    pub api_server: Option<ApiServer>,
    /// Changes to all kubelets.
    pub kubelet: Option<Kubelet>,
    /// Registries of the site that nodes may pull images from.
    pub registries: Option<Vec<Option<Registry>>>,
    /// What the storage of all nodes offers beside volumes.
    pub storage: Option<Offers>,
    /// The servers. At least one has the role `control-plane`.
    #[schemars(required, extend("minItems" = 1))]
    pub nodes: Option<Vec<Option<Node>>>,
}

/// Addresses and names inside the cluster.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Network {
    /// Addresses of pods (IPv4). It must not overlap any network the servers use.
    #[serde(rename = "podCIDR")]
    #[schemars(extend("default" = POD_CIDR))]
    pub pod_cidr: Option<String>,
    /// Prefix length of the part of `podCIDR` each node gets.
    #[schemars(extend("default" = NODE_PREFIX), range(min = 1, max = 28))]
    pub node_prefix: Option<u8>,
    /// Addresses of Services (IPv4). It must not overlap any network the servers use.
    #[serde(rename = "serviceCIDR")]
    #[schemars(extend("default" = SERVICE_CIDR))]
    pub service_cidr: Option<String>,
    /// DNS domain of Services.
    #[schemars(extend("default" = CLUSTER_DOMAIN))]
    pub cluster_domain: Option<String>,
    /// How pod traffic travels between nodes.
    #[schemars(extend("default" = "vxlan"))]
    pub backend: Option<Backend>,
    /// Name servers that CoreDNS forwards names outside of the cluster to. When not given, those of the node it
    /// runs on, if every node has some. An empty list turns forwarding off.
    pub name_servers: Option<Vec<String>>,
}

/// How pod traffic travels between nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Backend {
    /// Inside UDP; works across routers.
    Vxlan,
    /// By routes; all nodes must share a network segment.
    HostGw,
}

/// How servers are reached over SSH.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Ssh {
    /// User to log in as. Not given, it is the one that the SSH configuration of who runs the installer
    /// names for the server.
    #[schemars(extend("default" = SSH_USER))]
    pub user: Option<String>,
    /// TCP port of the SSH server; like `user` when not given.
    #[schemars(extend("default" = SSH_PORT), range(min = 1))]
    pub port: Option<u16>,
    /// Private key, readable by its owner only, in any format that OpenSSH reads. A certificate beside
    /// it (`KEY-cert.pub`) is used. The public half (`KEY.pub`) names a key that the SSH agent holds.
    /// Relative to this file; `~/` is the home directory. Not given, the keys are those that `ssh` would
    /// use: of its configuration, of the SSH agent, and `~/.ssh/id_rsa`, `id_ecdsa`, `id_ed25519`.
    pub key_file: Option<String>,
    /// Whether to use the keys of the running SSH agent and no others.
    pub agent: Option<bool>,
    /// How a user other than root becomes root.
    pub sudo: Option<Sudo>,
    /// The host to go through. Not given, it is the `ProxyJump` of the SSH configuration.
    pub jump: Option<Jump>,
}

/// How a user becomes root.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Sudo {
    /// A file, readable by its owner only, whose first line is the password of the user. Without
    /// one, sudo must not ask. Relative to this file; `~/` is the home directory.
    pub password_file: Option<String>,
}

/// A host to go through.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Jump {
    /// Name or address of the jump host. A node that is itself this host is reached directly.
    #[schemars(required)]
    pub host: Option<String>,
    /// User to log in as; like the `user` of the `ssh` this is written in when not given.
    pub user: Option<String>,
    /// TCP port of its SSH server.
    #[schemars(extend("default" = SSH_PORT), range(min = 1))]
    pub port: Option<u16>,
    /// Private key; the key of the `ssh` this is written in when not given.
    pub key_file: Option<String>,
}

/// Changes to the API server.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ApiServer {
    /// More flags of kube-apiserver, without the leading dashes. Flags that hold the cluster
    /// together (certificates, etcd, addresses, authorization) are refused, and so are values that
    /// undo its hardening: plugins and stable APIs that Kubernetes turns on by itself turned off,
    /// old versions of TLS, insecure cipher suites, any origin, profiling.
    pub extra_args: Option<BTreeMap<String, Flag>>,
    /// More DNS names and addresses in its serving certificate.
    #[serde(rename = "extraSANs")]
    pub extra_sans: Option<Vec<Option<String>>>,
}

/// The value of a flag: text, a whole number, or true or false.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline, extend("anyOf" = null, "type" = ["string", "integer", "boolean"]))]
pub enum Flag {
    /// Text.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// True or false.
    Bool(bool),
}

impl std::fmt::Display for Flag {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Integer(value) => write!(f, "{value}"),
            Self::Bool(value) => write!(f, "{value}"),
        }
    }
}

/// Changes to all kubelets.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Kubelet {
    /// Fields of KubeletConfiguration (kubelet.config.k8s.io/v1beta1) that replace ours. Fields that
    /// hold the cluster together (certificates, DNS, paths, the container runtime) are refused, and so
    /// are values that undo its hardening: no `seccompDefault`, old versions of TLS, insecure cipher suites.
    pub config: Option<BTreeMap<String, serde_json::Value>>,
}

/// A registry of the site.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Registry {
    /// Host and optional port, as image names begin with it.
    #[schemars(required)]
    pub host: Option<String>,
    /// URLs that serve it, tried in order; `https://<host>` when not given.
    pub mirrors: Option<Vec<Option<String>>>,
    /// CA certificates (PEM) to trust for them. Relative to this file; `~/` is the home directory.
    pub ca_file: Option<String>,
}

/// A server.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Node {
    /// Its name in the cluster: 1 to 63 lower-case letters, digits and hyphens.
    #[schemars(required, extend("maxLength" = 63))]
    pub name: Option<String>,
    /// Its address (IPv4) on the network the nodes share.
    #[schemars(required)]
    pub address: Option<String>,
    /// What it does.
    #[schemars(required, extend("minItems" = 1))]
    pub roles: Option<Vec<Option<Role>>>,
    /// Whether it is the machine the installer runs on; it is then not reached over SSH.
    #[schemars(extend("default" = false))]
    pub local: Option<bool>,
    /// How this server is reached; fields not given are those of `spec.ssh`.
    pub ssh: Option<NodeSsh>,
    /// Labels of its Node object.
    pub labels: Option<BTreeMap<String, String>>,
    /// Disks of this server that the cluster makes volumes on. The storage driver is installed when
    /// at least one node has some.
    pub storage: Option<Storage>,
}

/// What the storage of all nodes offers beside volumes.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Offers {
    /// Lets backup programs in pods ask which blocks of a snapshot are written, and which have changed since
    /// another (Kubernetes' SnapshotMetadata service). Nodes with pools then listen on port 9810.
    #[schemars(extend("default" = false))]
    pub snapshot_metadata: Option<bool>,
}

/// Disks of a server that are given to the cluster.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Storage {
    /// The pools that volumes are made in.
    #[schemars(required, extend("minItems" = 1))]
    pub pools: Option<Vec<Option<Pool>>>,
    /// Serial numbers of disks that may be emptied, whatever is on them, when a pool takes them. Take
    /// them out again afterwards.
    pub wipe: Option<Vec<Option<String>>>,
}

/// A pool: disks in one LVM volume group, and how volumes are made in it.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Pool {
    /// The name by which storage classes ask for it: 1 to 55 lower-case letters, digits and hyphens.
    #[schemars(required, extend("maxLength" = 55))]
    pub name: Option<String>,
    /// The volume group, of this pool alone; `ingot-` and the name of the pool when not given.
    pub volume_group: Option<String>,
    /// Its disks, by names that survive a reboot, below `/dev/disk/by-id`. They must be empty.
    pub devices: Option<Vec<Option<String>>>,
    /// Its disks, by serial number (`lsblk -dno NAME,SERIAL`), beside `devices` or instead of them.
    pub serials: Option<Vec<Option<String>>>,
    /// Overwrites a volume that is not thin with zeros before its space is used again.
    #[schemars(extend("default" = true))]
    pub erase: Option<bool>,
    /// Makes volumes that take space when they are written to; without it they take all at once.
    pub thin: Option<Thin>,
}

/// A thin pool.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Thin {
    /// Its size when it is made, such as `100GiB`; the guard lets it grow into the rest of the disks.
    #[schemars(required)]
    pub size: Option<String>,
    /// Space for its metadata when it is made; enough for all its chunks when not given.
    pub metadata: Option<String>,
    /// Promised size over real size, at most.
    #[schemars(extend("default" = 1), range(min = 0.1, max = 100))]
    pub ratio: Option<f64>,
    /// Fill of data or metadata from which on nothing new is promised: a part of one.
    #[schemars(extend("default" = 0.8), range(min = 0.01, max = 1))]
    pub stop: Option<f64>,
    /// Fill of data or metadata from which on that grows, if the disks have room: a part of one.
    #[schemars(extend("default" = 0.7), range(min = 0.01, max = 1))]
    pub extend: Option<f64>,
    /// By what part of its size it grows then.
    #[schemars(extend("default" = 0.2), range(min = 0.01, max = 10))]
    pub step: Option<f64>,
}

/// What a server does in the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Runs etcd, the API server, the controller manager and the scheduler.
    ControlPlane,
    /// Runs workloads.
    Worker,
}

/// How one server is reached over SSH.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NodeSsh {
    /// Name or address to connect to; the address of the node when not given.
    pub host: Option<String>,
    /// User to log in as.
    pub user: Option<String>,
    /// TCP port of the SSH server.
    #[schemars(range(min = 1))]
    pub port: Option<u16>,
    /// Private key, as in `spec.ssh`.
    pub key_file: Option<String>,
    /// Whether to use the keys of the running SSH agent and no others.
    pub agent: Option<bool>,
    /// How a user other than root becomes root.
    pub sudo: Option<Sudo>,
    /// The host to go through.
    pub jump: Option<Jump>,
}
