//! The log-in at a server whose host key has been checked: one key after the other, until one is taken. A
//! refusal is told with what was offered, what the server accepts, and what it said.

use super::exchange::{Client, Heard};
use super::offers::{self, Offer, SignError, Signer};
use super::{SshTarget, algorithms};
use crate::TransportError;
use russh::client::{AuthResult, Handle};
use russh::keys::HashAlg;
use russh::keys::agent::AgentIdentity;
use russh::{MethodKind, MethodSet};

/// Logs in.
///
/// # Errors
/// Why the user is not let in, with the party that said so.
pub(super) async fn authenticate(
    handle: &mut Handle<Client>,
    target: &SshTarget,
    heard: &Heard,
) -> Result<(), TransportError> {
    let offers = offers::all(&target.keys, handle.agent_session_binding()).await?;
    let mut attempt = Attempt {
        target,
        heard,
        handle,
        rsa: None,
        offered: Vec::new(),
        certified: false,
        left: offers.list.len(),
        notes: offers.left_out,
        accepts: MethodSet::empty(),
    };
    for mut offer in offers.list {
        if attempt.offer(&mut offer).await? {
            return Ok(());
        }
        attempt.left -= 1;
    }
    Err(attempt.refusal())
}

/// A log-in under way.
struct Attempt<'a> {
    target: &'a SshTarget,
    heard: &'a Heard,
    handle: &'a mut Handle<Client>,
    /// The hash that RSA keys sign with, once the server was asked.
    rsa: Option<Option<HashAlg>>,
    /// What was offered.
    offered: Vec<String>,
    /// Whether a certificate was.
    certified: bool,
    /// How many keys are left.
    left: usize,
    /// Keys that were not offered or did not sign, and why.
    notes: Vec<String>,
    /// What else the server accepts, as it said last.
    accepts: MethodSet,
}

impl Attempt<'_> {
    /// Whether the server takes this key.
    async fn offer(&mut self, offer: &mut Offer) -> Result<bool, TransportError> {
        let hash = match is_rsa(&offer.identity) {
            true => self.rsa_hash().await,
            false => None,
        };
        self.offered.push(offer.name.clone());
        self.certified |= matches!(offer.identity, AgentIdentity::Certificate { .. });
        let user = &self.target.user;
        let (identity, signer): (_, &mut Signer) = (offer.identity.clone(), &mut offer.signer);
        let handle = &mut self.handle;
        let result = match identity {
            AgentIdentity::PublicKey { key, .. } => {
                let asked = handle.authenticate_publickey_with(user, key, hash, signer);
                asked.await
            }
            AgentIdentity::Certificate { certificate, .. } => {
                let asked = handle.authenticate_certificate_with(user, certificate, hash, signer);
                asked.await
            }
        };
        match result {
            Ok(AuthResult::Success) => Ok(true),
            Ok(AuthResult::Failure { .. }) if self.handle.is_closed() => Err(self.closed()),
            Ok(AuthResult::Failure {
                remaining_methods,
                partial_success,
            }) => {
                self.accepts = remaining_methods;
                match partial_success {
                    true => Err(self.more_is_wanted(&offer.name)),
                    false => Ok(false),
                }
            }
            Err(SignError::Gone) => Err(self.closed()),
            Err(SignError::Refused(reason)) => {
                self.notes.push(format!("{}: {reason}", offer.name));
                Ok(false)
            }
        }
    }

    async fn rsa_hash(&mut self) -> Option<HashAlg> {
        if self.rsa.is_none() {
            let said = self.handle.best_supported_rsa_hash().await;
            self.rsa = Some(algorithms::rsa_hash(said.unwrap_or_default()));
        }
        self.rsa.flatten()
    }

    fn address(&self) -> String {
        self.target.address()
    }

    /// The server has ended the connection.
    fn closed(&self) -> TransportError {
        let address = self.address();
        let said = self.heard.farewell().or_else(|| self.heard.banner());
        let too_many = said
            .as_deref()
            .is_some_and(|said| said.contains("Too many authentication failures"));
        // Whoever has refused a key already has not dropped us for being busy.
        if !too_many && self.offered.len() < 2 {
            return TransportError::Dropped { address, said };
        }
        TransportError::TooManyTries {
            address,
            user: self.target.user.clone(),
            offered: self.offered.len(),
            left: self.left.saturating_sub(1),
            said,
        }
    }

    /// The key is right, and not enough.
    fn more_is_wanted(&self, key: &str) -> TransportError {
        TransportError::Authentication {
            address: self.address(),
            user: self.target.user.clone(),
            offered: format!(
                "it takes {key} and wants {} as well",
                names(&self.accepts, " or ")
            ),
            remedy: format!(
                "let this user in with a key alone (`AuthenticationMethods publickey` for `Match User {}` in the host's sshd_config)",
                self.target.user
            ),
        }
    }

    fn refusal(&self) -> TransportError {
        let user = &self.target.user;
        let mut offered = match self.offered.as_slice() {
            [] => "no key could be offered".into(),
            [one] => one.clone(),
            many => {
                let shown = many.iter().take(8).map(String::as_str).collect::<Vec<_>>();
                let more = match many.len().saturating_sub(shown.len()) {
                    0 => String::new(),
                    more => format!(" and {more} more"),
                };
                format!("{} keys: {}{more}", many.len(), shown.join(", "))
            }
        };
        for note in &self.notes {
            offered.push_str(&format!("; not {note}"));
        }
        if let Some(said) = self.heard.banner() {
            offered.push_str(&format!("; it said: {said}"));
        }
        let keys = self.accepts.is_empty() || self.accepts.contains(&MethodKind::PublicKey);
        let authority = match self.certified {
            true => {
                "trust the authority of the certificate (`TrustedUserCAKeys` in its sshd_config), "
            }
            false => "",
        };
        let remedy = match keys {
            true => format!(
                "{authority}add the public key to ~{user}/.ssh/authorized_keys on the host, or see in its log (`journalctl -u ssh -u sshd`) what else keeps the user out"
            ),
            false => format!(
                "it takes no keys from this user, only {}: set `PubkeyAuthentication yes` in its sshd_config",
                names(&self.accepts, " or ")
            ),
        };
        TransportError::Authentication {
            address: self.address(),
            user: user.clone(),
            offered,
            remedy,
        }
    }
}

fn is_rsa(identity: &AgentIdentity) -> bool {
    identity.public_key().algorithm().is_rsa()
}

fn names(methods: &MethodSet, between: &str) -> String {
    let names: Vec<&str> = methods.iter().map(<&str>::from).collect();
    names.join(between)
}
