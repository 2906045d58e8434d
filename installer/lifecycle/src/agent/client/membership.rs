//! What makes a host one of a cluster: authorities, certificates, and the word that it belongs there.

use super::{Session, unexpected};
use crate::agent::protocol::{AuthorityFile, AuthorityFiles, Reply, Request};
use crate::error::Failure;
use crate::facts::Membership;
use crate::pki::{CertificateRequest, Signed, SigningRequest};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

impl Session {
    /// The authorities the host keeps.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn read_authority(&mut self) -> Result<Option<AuthorityFiles>, Failure> {
        match self.ask(&Request::ReadAuthority).await? {
            Reply::Authority { authority } => Ok(authority),
            other => Err(unexpected(&other)),
        }
    }

    /// Gives the authorities to a control plane; returns how many files changed.
    ///
    /// # Errors
    /// When they cannot be written.
    pub async fn write_authority(&mut self, authority: AuthorityFiles) -> Result<usize, Failure> {
        self.done(&Request::WriteAuthority { authority }).await
    }

    /// The certificates that are due on the host, and how many files were put right there.
    ///
    /// # Errors
    /// When keys cannot be made there.
    pub async fn certificates_due(
        &mut self,
        wanted: Vec<CertificateRequest>,
        trust: Vec<AuthorityFile>,
    ) -> Result<(Vec<SigningRequest>, usize), Failure> {
        match self.ask(&Request::Certificates { wanted, trust }).await? {
            Reply::SigningRequests { requests, changed } => Ok((requests, changed)),
            other => Err(unexpected(&other)),
        }
    }

    /// Puts signed certificates in place.
    ///
    /// # Errors
    /// When they cannot be written.
    pub async fn install_certificates(&mut self, signed: Vec<Signed>) -> Result<usize, Failure> {
        self.done(&Request::InstallCertificates { signed }).await
    }

    /// Writes down which cluster the host belongs to.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn join(&mut self, membership: Membership) -> Result<usize, Failure> {
        self.done(&Request::Join { membership }).await
    }

    /// The members of etcd, by name, as the host knows them; none where it has none itself.
    ///
    /// # Errors
    /// When the connection breaks.
    pub async fn etcd_members(
        &mut self,
        control_planes: &BTreeMap<String, IpAddr>,
    ) -> Result<BTreeSet<String>, Failure> {
        let control_planes = control_planes.clone();
        match self.ask(&Request::EtcdMembers { control_planes }).await? {
            Reply::EtcdMembers { names } => Ok(names),
            other => Err(unexpected(&other)),
        }
    }
}
