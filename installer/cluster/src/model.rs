//! The validated cluster: what the rest of the installer works with. Every value here has been
//! checked; there is no way to make one but through validation.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

/// A name that is a DNS label (RFC 1123): of the cluster, or of a node.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

/// A name that is not a DNS label.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "`{0}` is not a valid name: use 1 to 63 lower-case letters, digits and hyphens, beginning and ending with a letter or digit"
)]
pub struct NameError(pub String);

impl Name {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Name {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let good = (1..=63).contains(&text.len())
            && text.chars().all(inner)
            && !text.starts_with('-')
            && !text.ends_with('-');
        if good {
            Ok(Self(text))
        } else {
            Err(NameError(text))
        }
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&self.0)
    }
}

/// A range of addresses in CIDR notation (RFC 4632, RFC 4291), without host bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Cidr {
    address: IpAddr,
    prefix: u8,
}

/// A text that is not a range of addresses.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum CidrError {
    /// Not `<address>/<prefix>`.
    #[error("`{0}` is not a CIDR; write an address and a prefix length, such as 10.233.0.0/16")]
    Syntax(String),
    /// Bits after the prefix are set.
    #[error("`{found}` has bits set after its prefix; did you mean {meant}?")]
    HostBits {
        /// As written.
        found: String,
        /// With the bits cleared.
        meant: String,
    },
}

impl Cidr {
    fn bits(address: IpAddr) -> (u128, u8) {
        match address {
            IpAddr::V4(v4) => (u128::from(u32::from(v4)) << 96, 32),
            IpAddr::V6(v6) => (u128::from(v6), 128),
        }
    }

    fn mask(prefix: u8) -> u128 {
        if prefix == 0 {
            0
        } else {
            u128::MAX << (128 - u32::from(prefix))
        }
    }

    /// Reads `<address>/<prefix>`.
    ///
    /// # Errors
    /// [`CidrError`].
    pub fn parse(text: &str) -> Result<Self, CidrError> {
        let syntax = || CidrError::Syntax(text.into());
        let (address, prefix) = text.split_once('/').ok_or_else(syntax)?;
        let address: IpAddr = address.parse().map_err(|_| syntax())?;
        let prefix: u8 = prefix.parse().map_err(|_| syntax())?;
        let (bits, width) = Self::bits(address);
        if prefix > width {
            return Err(syntax());
        }
        let cleared = bits & Self::mask(prefix);
        if cleared != bits {
            let meant = Self {
                address: Self::address_of(cleared, width),
                prefix,
            };
            return Err(CidrError::HostBits {
                found: text.into(),
                meant: meant.to_string(),
            });
        }
        Ok(Self { address, prefix })
    }

    fn address_of(bits: u128, width: u8) -> IpAddr {
        match width {
            32 => IpAddr::V4(((bits >> 96) as u32).into()),
            _ => IpAddr::V6(bits.into()),
        }
    }

    /// The prefix length.
    pub fn prefix(&self) -> u8 {
        self.prefix
    }

    /// Whether it is a range of IPv4 addresses.
    pub fn is_ipv4(&self) -> bool {
        self.address.is_ipv4()
    }

    /// Whether `address` lies in the range.
    pub fn contains(&self, address: IpAddr) -> bool {
        let ((own, width), (other, other_width)) = (Self::bits(self.address), Self::bits(address));
        width == other_width && (own ^ other) & Self::mask(self.prefix) == 0
    }

    /// Whether the ranges share an address.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.contains(other.address) || other.contains(self.address)
    }

    /// The `index`-th address, counted from the network address; `None` past the end.
    pub fn nth(&self, index: u32) -> Option<IpAddr> {
        let (bits, width) = Self::bits(self.address);
        let step = if width == 32 {
            u128::from(index) << 96
        } else {
            u128::from(index)
        };
        let address = Self::address_of(bits.checked_add(step)?, width);
        self.contains(address).then_some(address)
    }
}

impl TryFrom<String> for Cidr {
    type Error = CidrError;

    fn try_from(text: String) -> Result<Self, CidrError> {
        Self::parse(&text)
    }
}

impl From<Cidr> for String {
    fn from(cidr: Cidr) -> Self {
        cidr.to_string()
    }
}

impl std::fmt::Display for Cidr {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

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
    /// All nodes, sorted by name; at least one is a control plane.
    pub nodes: Vec<Node>,
}

impl Cluster {
    /// The control-plane nodes, sorted by name; never empty.
    pub fn control_planes(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter().filter(|node| node.is_control_plane())
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
}

/// Disks of a server in one LVM volume group, in the form of the StorageNode object.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Pool {
    /// The name by which storage classes ask for it.
    pub name: String,
    /// The volume group.
    pub volume_group: String,
    /// The disks.
    pub devices: Vec<String>,
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
    /// What it may promise.
    pub guard: Guard,
}

/// What a thin pool may promise.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Guard {
    /// Promised size over real size, at most.
    pub ratio: f64,
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

/// How a server is reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Access {
    /// It is the machine the installer runs on.
    Local,
    /// Over SSH.
    Ssh(Ssh),
}

/// An SSH log-in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ssh {
    /// Name or address to connect to.
    pub host: String,
    /// Port.
    pub port: u16,
    /// User.
    pub user: String,
    /// Private key; without one the SSH agent is asked.
    pub key_file: Option<PathBuf>,
    /// How the user becomes root; `None` for root.
    pub sudo: Option<Sudo>,
    /// The host to go through.
    pub jump: Option<Box<Ssh>>,
}

/// How a user becomes root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Sudo {
    /// A file (mode 0600 or stricter) whose first line is the password; without one sudo must not ask.
    pub password_file: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_dns_labels() {
        assert!(Name::try_from("node-1".to_owned()).is_ok());
        for bad in ["", "-a", "a-", "A", "a.b", "a_b", &"x".repeat(64)] {
            assert!(Name::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }

    #[test]
    fn ranges_contain_overlap_and_count() {
        let cidr = Cidr::parse("10.96.0.0/16").unwrap();
        assert_eq!(cidr.nth(10), Some("10.96.0.10".parse().unwrap()));
        assert_eq!(cidr.nth(70000), None);
        assert!(cidr.overlaps(&Cidr::parse("10.0.0.0/8").unwrap()));
        assert!(!cidr.overlaps(&Cidr::parse("10.97.0.0/16").unwrap()));
        assert!(!cidr.overlaps(&Cidr::parse("fd00::/64").unwrap()));
        assert_eq!(
            Cidr::parse("fd00::/64").unwrap().nth(1),
            Some("fd00::1".parse().unwrap())
        );
        assert_eq!(
            Cidr::parse("10.1.2.3/16").unwrap_err().to_string(),
            "`10.1.2.3/16` has bits set after its prefix; did you mean 10.1.0.0/16?"
        );
        assert!(Cidr::parse("10.0.0.0/33").is_err());
    }
}
