//! Which keys a user logs in with, in the order in which they are offered: those that are named first, each
//! with its certificate before it, then those of the SSH agent, then those that OpenSSH looks for by itself.
//! A server ends a connection after a few keys (MaxAuthTries), so the order decides who gets in.

use super::key_file::{self, KeyFile};
use crate::{Secret, TransportError};
use russh::keys::agent::client::AgentClient;
use russh::keys::agent::{AgentIdentity, AgentSessionBinding};
use russh::keys::{Certificate, HashAlg, PrivateKey, PublicKey};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::net::UnixStream;

/// What a user logs in with.
#[derive(Debug, Clone, Default)]
pub struct Keys {
    /// Private keys that must be usable, offered first; NAME-cert.pub beside one is its certificate. The
    /// public half of a key that the SSH agent holds is good, too.
    pub files: Vec<PathBuf>,
    /// Private keys that are offered next, where they are usable.
    pub perhaps: Vec<PathBuf>,
    /// Certificates that are not beside their keys.
    pub certificates: Vec<PathBuf>,
    /// Passphrase of the private keys.
    pub passphrase: Option<Secret>,
    /// Whether nothing else is offered.
    pub only_files: bool,
    /// The socket of the SSH agent (SSH_AUTH_SOCK).
    pub agent: Option<PathBuf>,
    /// Private keys that nobody has named, offered last.
    pub defaults: Vec<PathBuf>,
}

impl Keys {
    /// The keys that OpenSSH looks for in a home directory, in its order.
    pub fn defaults_in(home: &Path) -> Vec<PathBuf> {
        ["id_rsa", "id_ecdsa", "id_ed25519"]
            .map(|name| home.join(".ssh").join(name))
            .to_vec()
    }
}

/// A key that is offered.
pub(super) struct Offer {
    /// What it is called in a message.
    pub(super) name: String,
    /// What the server is shown.
    pub(super) identity: AgentIdentity,
    /// Who signs.
    pub(super) signer: Signer,
}

/// Who signs.
#[derive(Clone)]
pub(super) enum Signer {
    /// A key of a file.
    Key(Arc<PrivateKey>),
    /// The SSH agent.
    Agent(AgentDoor),
}

/// The way to an SSH agent.
#[derive(Clone)]
pub(super) struct AgentDoor {
    socket: PathBuf,
    /// What tells the agent which server asks: a key may be good for some servers only (`ssh-add -h`).
    binding: Option<AgentSessionBinding>,
}

impl AgentDoor {
    async fn open(&self) -> Result<AgentClient<UnixStream>, russh::keys::Error> {
        let mut agent = AgentClient::connect_uds(&self.socket).await?;
        if let Some(binding) = &self.binding {
            // Agents that do not know of this have no such keys.
            let _ = agent.bind_session(binding, false).await;
        }
        Ok(agent)
    }
}

/// Why a signature could not be made.
#[derive(Debug)]
pub(super) enum SignError {
    /// The session is over.
    Gone,
    /// Whoever has the key does not sign, for this reason.
    Refused(String),
}

impl From<russh::SendError> for SignError {
    fn from(_: russh::SendError) -> Self {
        Self::Gone
    }
}

impl russh::Signer for Signer {
    type Error = SignError;

    async fn auth_sign(
        &mut self,
        identity: &AgentIdentity,
        hash: Option<HashAlg>,
        mut data: Vec<u8>,
    ) -> Result<Vec<u8>, SignError> {
        let refused = |error: &dyn std::fmt::Display| SignError::Refused(error.to_string());
        match self {
            Self::Agent(door) => {
                let mut agent = door.open().await.map_err(|error| refused(&error))?;
                let signed = agent.sign_request(identity, hash, data).await;
                signed.map_err(|error| refused(&error))
            }
            Self::Key(key) => {
                let signature = sign(key, hash, &data).map_err(|error| refused(&error))?;
                // A string, as the agent appends it (RFC 4252, section 7).
                let length = u32::try_from(signature.len()).map_err(|error| refused(&error))?;
                data.extend_from_slice(&length.to_be_bytes());
                data.extend_from_slice(&signature);
                Ok(data)
            }
        }
    }
}

fn sign(
    key: &PrivateKey,
    hash: Option<HashAlg>,
    data: &[u8],
) -> Result<Vec<u8>, russh::keys::ssh_key::Error> {
    use russh::keys::signature::Signer;
    use russh::keys::ssh_encoding::Encode;
    use russh::keys::ssh_key::private::KeypairData;
    let signature = match key.key_data() {
        KeypairData::Rsa(pair) => (pair, hash).try_sign(data)?,
        pair => pair.try_sign(data)?,
    };
    let mut bytes = Vec::new();
    signature.encode(&mut bytes)?;
    Ok(bytes)
}

/// What the agent holds, or why that is not known.
struct Agent {
    door: Option<AgentDoor>,
    identities: Result<Vec<AgentIdentity>, String>,
}

impl Agent {
    async fn ask(socket: Option<&Path>, binding: Option<&AgentSessionBinding>) -> Self {
        let Some(socket) = socket else {
            let identities = Err("none is running (SSH_AUTH_SOCK is not set)".into());
            return Self {
                door: None,
                identities,
            };
        };
        let door = AgentDoor {
            socket: socket.to_owned(),
            binding: binding.cloned(),
        };
        let asked = async { door.open().await?.request_identities().await };
        let identities = asked.await.map_err(|error| match error {
            russh::keys::Error::IO(error) => format!("{}: {error}", socket.display()),
            other => other.to_string(),
        });
        Self {
            door: Some(door),
            identities,
        }
    }

    fn identities(&self) -> &[AgentIdentity] {
        self.identities.as_deref().unwrap_or_default()
    }

    /// Offers the identities that are wanted, certificates first.
    fn offers(&self, wanted: impl Fn(&PublicKey) -> bool) -> Vec<Offer> {
        let Some(door) = &self.door else {
            return Vec::new();
        };
        let found = self
            .identities()
            .iter()
            .filter(|id| wanted(&id.public_key()));
        let mut offers: Vec<Offer> = found
            .map(|identity| Offer {
                name: called(identity),
                identity: identity.clone(),
                signer: Signer::Agent(door.clone()),
            })
            .collect();
        offers.sort_by_key(|offer| matches!(offer.identity, AgentIdentity::PublicKey { .. }));
        offers
    }
}

fn called(identity: &AgentIdentity) -> String {
    let kind = match identity {
        AgentIdentity::PublicKey { .. } => "key",
        AgentIdentity::Certificate { .. } => "certificate",
    };
    match identity.comment() {
        "" => format!("a {kind} of the SSH agent"),
        comment => format!("{kind} `{comment}` of the SSH agent"),
    }
}

/// What is offered.
pub(super) struct Offers {
    /// In this order.
    pub(super) list: Vec<Offer>,
    /// Keys that are not offered, and why.
    pub(super) left_out: Vec<String>,
}

/// The keys to log in with, in a session that the SSH agent is told of.
///
/// # Errors
/// When a key that is named cannot be used, or there is none at all.
pub(super) async fn all(
    keys: &Keys,
    binding: Option<&AgentSessionBinding>,
) -> Result<Offers, TransportError> {
    let agent = Agent::ask(keys.agent.as_deref(), binding).await;
    let mut offers = Offers {
        list: Vec::new(),
        left_out: Vec::new(),
    };
    for path in &keys.files {
        offers.of_file(path, keys, &agent)?;
    }
    offers.of_those_there(&keys.perhaps, keys, &agent);
    if !keys.only_files {
        offers.add(agent.offers(|_| true));
        offers.of_those_there(&keys.defaults, keys, &agent);
    }
    if !offers.list.is_empty() {
        return Ok(offers);
    }
    if keys.only_files {
        let none = ["none is named".to_owned()];
        let left_out = match offers.left_out.as_slice() {
            [] => &none,
            left_out => left_out,
        };
        return Err(TransportError::NoKey {
            reason: left_out.join("; "),
        });
    }
    let reason = match &agent.identities {
        Ok(_) => "it holds no keys",
        Err(reason) => reason,
    };
    let others = match offers.left_out.as_slice() {
        [] => String::new(),
        left_out => format!(" ({})", left_out.join("; ")),
    };
    Err(TransportError::Agent {
        reason: format!("{reason}{others}"),
    })
}

impl Offers {
    /// Adds offers of keys and certificates that are not offered yet.
    fn add(&mut self, more: Vec<Offer>) {
        for offer in more {
            if !self.list.iter().any(|known| same(known, &offer)) {
                self.list.push(offer);
            }
        }
    }

    /// Offers of the files that are there. One that cannot be used is no reason to stop.
    fn of_those_there(&mut self, paths: &[PathBuf], keys: &Keys, agent: &Agent) {
        for path in paths.iter().filter(|path| path.exists()) {
            if let Err(error) = self.of_file(path, keys, agent) {
                self.left_out.push(error.to_string());
            }
        }
    }

    fn of_file(&mut self, path: &Path, keys: &Keys, agent: &Agent) -> Result<(), TransportError> {
        let (public, signer) = match key_file::read(path, keys.passphrase.as_ref())? {
            KeyFile::Private(key) => (key.public_key().clone(), Signer::Key(Arc::from(key))),
            KeyFile::Public(public, why) => {
                let held = agent.offers(|key| key.key_data() == public.key_data());
                let Some(door) = agent.door.as_ref().filter(|_| !held.is_empty()) else {
                    return Err(TransportError::Key {
                        path: path.display().to_string(),
                        reason: why,
                    });
                };
                let signer = Signer::Agent(door.clone());
                self.certificates(path, keys, &public, &signer);
                self.add(held);
                (public, signer)
            }
        };
        self.certificates(path, keys, &public, &signer);
        let name = format!("key {}", path.display());
        self.add(vec![Offer {
            name,
            identity: public.into(),
            signer,
        }]);
        Ok(())
    }

    /// Adds the certificates of a key: those that are named, and the one beside it.
    fn certificates(&mut self, path: &Path, keys: &Keys, public: &PublicKey, signer: &Signer) {
        let bare = match path.extension() {
            Some(ending) if ending == "pub" => path.with_extension(""),
            _ => path.to_owned(),
        };
        let mut beside = bare.into_os_string();
        beside.push("-cert.pub");
        let beside = PathBuf::from(beside);
        let named = keys.certificates.iter();
        for path in named.chain(beside.exists().then_some(&beside)) {
            let text = std::fs::read_to_string(path).map_err(|error| error.to_string());
            let read = text.and_then(|text| {
                Certificate::from_openssh(text.trim()).map_err(|error| error.to_string())
            });
            match read {
                Ok(certificate) if certificate.public_key() == public.key_data() => {
                    let name = format!("certificate {}", path.display());
                    self.add(vec![Offer {
                        name,
                        identity: certificate.into(),
                        signer: signer.clone(),
                    }]);
                }
                // It belongs to another key.
                Ok(_) => {}
                Err(error) => {
                    let left_out = format!("certificate {}: {error}", path.display());
                    if !self.left_out.contains(&left_out) {
                        self.left_out.push(left_out);
                    }
                }
            }
        }
    }
}

fn same(one: &Offer, other: &Offer) -> bool {
    match (&one.identity, &other.identity) {
        (
            AgentIdentity::PublicKey { key: one, .. },
            AgentIdentity::PublicKey { key: other, .. },
        ) => one.key_data() == other.key_data(),
        (
            AgentIdentity::Certificate {
                certificate: one, ..
            },
            AgentIdentity::Certificate {
                certificate: other, ..
            },
        ) => one.to_bytes().ok() == other.to_bytes().ok(),
        _ => false,
    }
}
