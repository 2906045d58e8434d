//! The authorities: made once for a cluster, kept on its control planes, used to sign.

use super::{Authority, CertificateRequest, Signed, SigningRequest, Usage};
use crate::agent::protocol::{AuthorityFile, AuthorityFiles};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, SanType, SerialNumber, SubjectPublicKeyInfo,
};
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

/// How long an authority is valid.
const AUTHORITY_LIFE: Duration = Duration::from_secs(10 * 365 * 86400);
/// How long a leaf is valid.
const LEAF_LIFE: Duration = Duration::from_secs(365 * 86400);
/// Clocks of servers differ: certificates begin to be valid a little before they are made.
const CLOCK_SKEW: Duration = Duration::from_secs(15 * 60);

/// The authorities cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// A key or certificate could not be made.
    #[error("cannot make {what}")]
    Make {
        /// What.
        what: String,
        /// Why.
        source: rcgen::Error,
    },
    /// The host's set of authority files is not whole.
    #[error(
        "the authority file {name} is missing; restore /etc/kubernetes/pki from a backup or another control plane"
    )]
    Missing {
        /// Which.
        name: String,
    },
}

/// The cluster's authorities with their keys.
pub struct Authorities {
    files: BTreeMap<String, AuthorityFile>,
}

impl std::fmt::Debug for Authorities {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Authorities")
    }
}

fn made(what: &str) -> impl Fn(rcgen::Error) -> PkiError + '_ {
    move |source| PkiError::Make {
        what: what.into(),
        source,
    }
}

impl Authorities {
    /// Makes the authorities of a new cluster, the key that signs service account tokens, and the key
    /// that encrypts secrets at rest.
    ///
    /// # Errors
    /// [`PkiError::Make`] when the system has no randomness.
    pub fn generate() -> Result<Self, PkiError> {
        let mut files = BTreeMap::new();
        let mut keep = |name: &str, content: String| {
            let name = name.to_owned();
            files.insert(name.clone(), AuthorityFile { name, content });
        };
        for authority in Authority::ALL {
            let what = authority.common_name();
            let key = KeyPair::generate().map_err(made(what))?;
            let mut params = CertificateParams::default();
            params.distinguished_name = subject(what, None);
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.key_usages = vec![
                KeyUsagePurpose::KeyCertSign,
                KeyUsagePurpose::CrlSign,
                KeyUsagePurpose::DigitalSignature,
            ];
            valid_for(&mut params, AUTHORITY_LIFE);
            let certificate = params.self_signed(&key).map_err(made(what))?;
            keep(&format!("{}.crt", authority.file()), certificate.pem());
            keep(&format!("{}.key", authority.file()), key.serialize_pem());
        }
        let tokens = KeyPair::generate().map_err(made("the key for service account tokens"))?;
        keep("sa.key", tokens.serialize_pem());
        keep("sa.pub", tokens.public_key_pem());
        keep(
            "encryption.yaml",
            encryption_configuration(&rand::random::<[u8; 32]>()),
        );
        Ok(Self { files })
    }

    /// Authorities as a control plane keeps them.
    ///
    /// # Errors
    /// [`PkiError::Missing`].
    pub fn from_files(files: AuthorityFiles) -> Result<Self, PkiError> {
        let files: BTreeMap<_, _> = files
            .files
            .into_iter()
            .map(|file| (file.name.clone(), file))
            .collect();
        for name in Self::names() {
            if !files.contains_key(&name) {
                return Err(PkiError::Missing { name });
            }
        }
        Ok(Self { files })
    }

    /// The names of all files of the authorities, below [`crate::paths::PKI`].
    pub fn names() -> Vec<String> {
        let mut names: Vec<String> = Authority::ALL
            .iter()
            .flat_map(|a| [format!("{}.crt", a.file()), format!("{}.key", a.file())])
            .collect();
        names.extend(["sa.key", "sa.pub", "encryption.yaml"].map(String::from));
        names.sort();
        names
    }

    /// All files, for a control plane.
    pub fn files(&self) -> AuthorityFiles {
        AuthorityFiles {
            files: self.files.values().cloned().collect(),
        }
    }

    /// The named files that need no secrecy, for every host.
    pub fn public_files(&self, names: &[&str]) -> Vec<AuthorityFile> {
        names
            .iter()
            .filter(|name| !name.ends_with(".key"))
            .filter_map(|name| self.files.get(*name).cloned())
            .collect()
    }

    /// The certificate of an authority, PEM.
    pub fn certificate(&self, authority: Authority) -> &str {
        self.files
            .get(&format!("{}.crt", authority.file()))
            .map_or("", |file| &file.content)
    }

    /// Signs a certificate for the public key of `request`.
    ///
    /// # Errors
    /// When the key is malformed.
    pub fn sign(&self, request: &SigningRequest) -> Result<Signed, PkiError> {
        let wanted = &request.wanted;
        let public =
            SubjectPublicKeyInfo::from_pem(&request.public_key).map_err(made(&wanted.path))?;
        Ok(Signed {
            path: wanted.path.clone(),
            certificate: self.certify(wanted, &public, LEAF_LIFE)?,
        })
    }

    /// Makes a key and a certificate for a person.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn issue(
        &self,
        wanted: &CertificateRequest,
        life: Duration,
    ) -> Result<(String, String), PkiError> {
        let key = KeyPair::generate().map_err(made(&wanted.common_name))?;
        Ok((self.certify(wanted, &key, life)?, key.serialize_pem()))
    }

    fn certify(
        &self,
        wanted: &CertificateRequest,
        public: &impl rcgen::PublicKeyData,
        life: Duration,
    ) -> Result<String, PkiError> {
        let what = wanted.path.as_str();
        let name = format!("{}.key", wanted.authority.file());
        let key = self.files.get(&name).ok_or(PkiError::Missing { name })?;
        let key = KeyPair::from_pem(&key.content).map_err(made(what))?;
        let issuer = Issuer::from_ca_cert_pem(self.certificate(wanted.authority), key)
            .map_err(made(what))?;
        let mut params = CertificateParams::new(wanted.dns_names.clone()).map_err(made(what))?;
        params.subject_alt_names.extend(
            wanted
                .addresses
                .iter()
                .map(|address| SanType::IpAddress(*address)),
        );
        params.distinguished_name = subject(&wanted.common_name, wanted.organization.as_deref());
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = wanted
            .usages
            .iter()
            .map(|usage| match usage {
                Usage::Server => ExtendedKeyUsagePurpose::ServerAuth,
                Usage::Client => ExtendedKeyUsagePurpose::ClientAuth,
            })
            .collect();
        params.use_authority_key_identifier_extension = true;
        params.serial_number = Some(SerialNumber::from_slice(&rand::random::<[u8; 16]>()));
        valid_for(&mut params, life);
        Ok(params.signed_by(public, &issuer).map_err(made(what))?.pem())
    }
}

fn subject(common_name: &str, organization: Option<&str>) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    if let Some(organization) = organization {
        name.push(DnType::OrganizationName, organization);
    }
    name.push(DnType::CommonName, common_name);
    name
}

fn valid_for(params: &mut CertificateParams, life: Duration) {
    let now = SystemTime::now();
    params.not_before = (now - CLOCK_SKEW).into();
    params.not_after = (now + life).into();
}

/// EncryptionConfiguration (apiserver.config.k8s.io/v1) with one key; reading plain values stays
/// possible, so that a key can be exchanged later.
fn encryption_configuration(key: &[u8; 32]) -> String {
    use base64::Engine;
    let key = base64::engine::general_purpose::STANDARD.encode(key);
    format!(
        "apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources:\n  - resources: [secrets]\n    providers:\n      - secretbox:\n          keys:\n            - name: key1\n              secret: {key}\n      - identity: {{}}\n"
    )
}
