//! The cluster's certificates: which there are, and signing them.
//!
//! Three authorities, as Kubernetes documents them ("PKI certificates and requirements"): the cluster's,
//! etcd's and the front proxy's. Keys of leaves are made on the host that uses them and stay there;
//! what travels is the public key and the signed certificate. No I/O here.

mod authority;
mod leaves;

pub use authority::{Authorities, PkiError};
pub use leaves::{host_certificates, trust_names};

use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// Which authority signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Authority {
    /// The cluster's own: API server, kubelets, users.
    Cluster,
    /// etcd's: only API servers and etcd members get certificates from it.
    Etcd,
    /// The front proxy's: for extension API servers.
    FrontProxy,
}

impl Authority {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Cluster, Self::Etcd, Self::FrontProxy];

    /// The path of its certificate below [`crate::paths::PKI`], without suffix.
    pub fn file(self) -> &'static str {
        match self {
            Self::Cluster => "ca",
            Self::Etcd => "etcd/ca",
            Self::FrontProxy => "front-proxy-ca",
        }
    }

    fn common_name(self) -> &'static str {
        match self {
            Self::Cluster => "kubernetes-ca",
            Self::Etcd => "etcd-ca",
            Self::FrontProxy => "kubernetes-front-proxy-ca",
        }
    }
}

/// What a certificate may be used for (RFC 5280, 4.2.1.12).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Usage {
    /// To serve TLS.
    Server,
    /// To be a TLS client.
    Client,
}

/// A certificate that a host shall have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateRequest {
    /// The absolute path of certificate and key, without `.crt` and `.key`.
    pub path: String,
    /// Who signs it.
    pub authority: Authority,
    /// Common name of the subject.
    pub common_name: String,
    /// Organization of the subject; Kubernetes reads it as a group.
    pub organization: Option<String>,
    /// Names it is valid for, sorted.
    pub dns_names: Vec<String>,
    /// Addresses it is valid for, sorted.
    pub addresses: Vec<IpAddr>,
    /// What it may be used for, sorted.
    pub usages: Vec<Usage>,
}

/// A certificate that is due on a host, with the public key it is to carry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SigningRequest {
    /// What is to be certified. The driver compares it with what it asked for.
    pub wanted: CertificateRequest,
    /// The public key, SubjectPublicKeyInfo in PEM.
    pub public_key: String,
    /// Why it is due.
    pub reason: String,
}

/// A signed certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signed {
    /// The path, as in [`CertificateRequest::path`].
    pub path: String,
    /// The certificate in PEM.
    pub certificate: String,
}
