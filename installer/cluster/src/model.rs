//! The validated cluster: what the rest of the installer works with. Every value here has been
//! checked; there is no way to make one but through validation.

mod access;
mod cidr;
mod name;

pub use access::{Access, Ssh, Sudo};
pub use cidr::{Cidr, CidrError};
pub use name::{Name, NameError};

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

/// What a node does in the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Runs etcd, the API server, the controller manager and the scheduler.
    ControlPlane,
    /// Runs workloads.
    Worker,
}

/// A whole cluster.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Cluster {
    /// Its name.
    pub name: Name,
    /// Host (name or address) and port under which users outside reach the API server.
    pub endpoint: Option<Endpoint>,
    /// Addresses and names inside the cluster.
    pub network: Network,
    /// Changes to the API server.
    pub api_server: ApiServer,
    /// Changes to all kubelets.
    pub kubelet: Kubelet,
    /// Registries of the site that containerd may pull from.
    pub registries: Vec<Registry>,
    /// Whether backup programs may ask which blocks of snapshots have changed.
    #[serde(default)]
    pub snapshot_metadata: bool,
    /// All nodes, sorted by name; at least one is a control plane.
    pub nodes: Vec<Node>,
}

impl Cluster {
    /// The control-plane nodes, sorted by name; never empty.
    pub fn control_planes(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter().filter(|node| node.is_control_plane())
    }

    /// Reads the CA certificates of registries, which servers are given.
    ///
    /// # Errors
    /// One text for each file that cannot be read or holds no certificate.
    pub fn read_authorities(&mut self) -> Result<(), Vec<String>> {
        let mut wrong = Vec::new();
        for registry in &mut self.registries {
            let Some(path) = &registry.ca_file else {
                continue;
            };
            let text = match std::fs::read(path) {
                Ok(bytes) => String::from_utf8(bytes).unwrap_or_default(),
                Err(error) => {
                    wrong.push(format!(
                        "cannot read {}, the CA certificates of the registry {}: {error}",
                        path.display(),
                        registry.host
                    ));
                    continue;
                }
            };
            if text.contains("-----BEGIN CERTIFICATE-----") {
                registry.ca = Some(text);
            } else {
                wrong.push(format!(
                    "{}, named for the registry {}, has no certificate in PEM; convert it with `openssl x509 -inform der`",
                    path.display(),
                    registry.host
                ));
            }
        }
        if wrong.is_empty() { Ok(()) } else { Err(wrong) }
    }

    /// Whether volumes are made on the disks of any node.
    pub fn has_storage(&self) -> bool {
        self.nodes.iter().any(|node| !node.pools.is_empty())
    }

    /// The address of the Service `kubernetes`: the first of the Service range.
    pub fn api_service_address(&self) -> Option<IpAddr> {
        self.network.service_cidr.nth(1)
    }

    /// The address of the cluster's DNS Service: the tenth of the Service range.
    pub fn dns_address(&self) -> Option<IpAddr> {
        self.network.service_cidr.nth(10)
    }
}

/// A host and a port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// DNS name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

/// Addresses and names inside the cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Network {
    /// Addresses of pods.
    pub pod_cidr: Cidr,
    /// Prefix length of the part of `pod_cidr` each node gets.
    pub node_prefix: u8,
    /// Addresses of Services.
    pub service_cidr: Cidr,
    /// DNS domain of Services.
    pub cluster_domain: String,
    /// How pod traffic travels between nodes.
    pub backend: Backend,
    /// Whom CoreDNS asks for names outside of the cluster: nobody when empty, the name servers of its node when
    /// not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name_servers: Option<Vec<IpAddr>>,
}

/// How pod traffic travels between nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Backend {
    /// Inside UDP (RFC 7348); works across routers.
    Vxlan,
    /// By routes; all nodes must share a network segment.
    HostGw,
}

/// Changes to the API server.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApiServer {
    /// More flags, without the leading dashes.
    pub extra_args: BTreeMap<String, String>,
    /// More names and addresses in its serving certificate.
    pub extra_sans: Vec<String>,
}

/// Changes to all kubelets.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Kubelet {
    /// Fields of KubeletConfiguration (kubelet.config.k8s.io/v1beta1) that replace ours.
    pub config: BTreeMap<String, serde_json::Value>,
}

/// A registry of the site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Registry {
    /// Host and port as images name it.
    pub host: String,
    /// URLs that serve it, tried in order.
    pub mirrors: Vec<String>,
    /// CA certificates to trust for them.
    pub ca_file: Option<PathBuf>,
    /// What is in that file (PEM), once [`Cluster::read_authorities`] has read it.
    #[serde(skip)]
    pub ca: Option<String>,
}

/// A server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Node {
    /// Its name in the cluster.
    pub name: Name,
    /// Its address on the control-plane network.
    pub address: IpAddr,
    /// What it does; never empty.
    pub roles: Vec<Role>,
    /// How it is reached.
    pub access: Access,
    /// Labels of its Node object.
    pub labels: BTreeMap<String, String>,
    /// Its disks that volumes are made on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pools: Vec<Pool>,
    /// Serial numbers of disks that may be emptied for a pool.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub wipe: Vec<String>,
}

/// Disks of a server in one LVM volume group, in the form of the StorageNode object.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Pool {
    /// The name by which storage classes ask for it.
    pub name: String,
    /// The volume group.
    pub volume_group: String,
    /// The disks, by lasting names.
    pub devices: Vec<String>,
    /// The disks, by serial number.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub serials: Vec<String>,
    /// Whether space is overwritten before it is used again; the driver's choice if nobody says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub erase: Option<bool>,
    /// The thin pool, if volumes are thin.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thin: Option<Thin>,
}

/// A thin pool.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Thin {
    /// Name of its logical volume.
    pub pool: String,
    /// Its size when it is made, with a binary unit.
    pub size: String,
    /// Space for its metadata when it is made, with a binary unit; the driver's choice if nobody says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<String>,
    /// What it may promise, when it grows and when it stops.
    pub guard: Guard,
}

/// What a thin pool may promise, when it grows and when it stops; what nobody says is the driver's choice.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Guard {
    /// Promised size over real size, at most.
    pub ratio: f64,
    /// Fill of data or metadata from which on nothing new is promised.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop: Option<f64>,
    /// Fill of data or metadata from which on that grows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extend: Option<f64>,
    /// By what part of its size it grows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<f64>,
}

impl Node {
    /// Whether it is a control plane.
    pub fn is_control_plane(&self) -> bool {
        self.roles.contains(&Role::ControlPlane)
    }

    /// Whether workloads may run on it.
    pub fn is_worker(&self) -> bool {
        self.roles.contains(&Role::Worker)
    }
}
