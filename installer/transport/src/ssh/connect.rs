//! From a target to an authenticated session: TCP (directly or through a jump host), key exchange
//! with a check of the host key, log-in.

use super::known_hosts::Record;
use super::{KnownHosts, SshTarget};
use crate::TransportError;
use russh::client::{self, AuthResult, Handle};
use russh::keys::{PrivateKeyWithHashAlg, PublicKeyOrCertificate, agent, load_secret_key};
use russh::{Preferred, cipher};
use std::borrow::Cow;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Questions asked of a silent host, evenly spread, before it counts as lost: one may go astray.
const KEEPALIVES: u32 = 6;

/// Authenticated ciphers (RFC 8439, RFC 5647 as OpenSSH has it), then what old servers have. AES first:
/// processors of servers have it built in, and a release is hundreds of megabytes for every host.
const CIPHERS: [cipher::Name; 4] = [
    cipher::AES_256_GCM,
    cipher::CHACHA20_POLY1305,
    cipher::AES_256_CTR,
    cipher::AES_128_CTR,
];

/// Checks the host key; russh asks it during the key exchange.
pub(super) struct Client {
    address: String,
    known_hosts: KnownHosts,
    record: Record,
    /// Why the key was refused: russh's own error does not say.
    refusal: Arc<Mutex<Option<TransportError>>>,
}

impl client::Handler for Client {
    type Error = russh::Error;

    async fn check_server_key(
        &mut self,
        key: &PublicKeyOrCertificate,
    ) -> Result<bool, Self::Error> {
        let key = key.public_key();
        let Err(refusal) = self.known_hosts.check(&self.record, &self.address, &key) else {
            return Ok(true);
        };
        *self.refusal.lock().unwrap_or_else(PoisonError::into_inner) = Some(refusal);
        Ok(false)
    }
}

/// The session to `target`, and the one to its jump host that carries it.
pub(super) async fn session(
    target: &SshTarget,
    known_hosts: &KnownHosts,
) -> Result<(Handle<Client>, Option<Handle<Client>>), TransportError> {
    let Some(jump) = &target.jump else {
        let stream = tcp(target).await?;
        return Ok((log_in(target, known_hosts, stream).await?, None));
    };
    let stream = tcp(jump).await?;
    let carrier = log_in(jump, known_hosts, stream).await?;
    let address = format!("{} through {}", target.address(), jump.address());
    let open =
        carrier.channel_open_direct_tcpip(target.host.clone(), target.port.into(), "127.0.0.1", 0);
    // The jump host goes on trying for as long as its kernel does, minutes, where nothing answers.
    let channel = match timeout(target.timeout, open).await {
        Err(_) => return Err(no_answer(target, address)),
        Ok(opened) => opened.map_err(|error| TransportError::Connect {
            address,
            source: io::Error::other(error),
        })?,
    };
    let session = log_in(target, known_hosts, channel.into_stream()).await?;
    Ok((session, Some(carrier)))
}

async fn tcp(target: &SshTarget) -> Result<TcpStream, TransportError> {
    let named = |source| TransportError::Resolve {
        name: target.host.clone(),
        source,
    };
    // Where no name server answers, the resolver of the machine takes half a minute to say so.
    let asked = tokio::net::lookup_host((target.host.as_str(), target.port));
    let asked = timeout(target.timeout, asked).await;
    let late = |_| io::Error::new(io::ErrorKind::TimedOut, "no name server answers");
    let found = asked.map_err(late).and_then(|found| found).map_err(named)?;
    let stream = first_that_answers(target, found.collect()).await?;
    let _ = stream.set_nodelay(true);
    Ok(stream)
}

/// Tries one address of the name after the other: an old one, or one of the other family, leads nowhere.
/// All of them together may take as long as one would.
async fn first_that_answers(
    target: &SshTarget,
    mut addresses: Vec<SocketAddr>,
) -> Result<TcpStream, TransportError> {
    addresses.dedup();
    let start = Instant::now();
    let mut refused = Vec::new();
    let mut left = u32::try_from(addresses.len()).unwrap_or(u32::MAX);
    for address in &addresses {
        let share = target.timeout.saturating_sub(start.elapsed()) / left;
        left -= 1;
        match timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Err(_) => {}
            // No route and no neighbour come after the kernel's own time-out: the same thing to the reader.
            Ok(Err(error))
                if matches!(
                    error.kind(),
                    io::ErrorKind::HostUnreachable | io::ErrorKind::TimedOut
                ) => {}
            Ok(Err(error)) => refused.push((address.ip(), error)),
        }
    }
    let source = match refused.len() {
        0 if addresses.is_empty() => {
            return Err(TransportError::Resolve {
                name: target.host.clone(),
                source: io::ErrorKind::NotFound.into(),
            });
        }
        0 => return Err(no_answer(target, target.address())),
        1 if addresses.len() == 1 => refused.remove(0).1,
        _ => {
            let said = refused.iter().map(|(ip, error)| format!("{ip}: {error}"));
            io::Error::other(said.collect::<Vec<_>>().join("; "))
        }
    };
    Err(TransportError::Connect {
        address: target.address(),
        source,
    })
}

fn no_answer(target: &SshTarget, address: String) -> TransportError {
    TransportError::Timeout {
        address,
        seconds: target.timeout.as_secs(),
    }
}

async fn log_in<S>(
    target: &SshTarget,
    known_hosts: &KnownHosts,
    stream: S,
) -> Result<Handle<Client>, TransportError>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let record = known_hosts.record(&target.host, target.port)?;
    let config = client::Config {
        // A dead host is noticed also in the middle of a long unpacking, when nothing is to be sent.
        keepalive_interval: Some(target.silence / KEEPALIVES),
        keepalive_max: KEEPALIVES as usize,
        window_size: 16 << 20,
        maximum_packet_size: 64 << 10,
        nodelay: true,
        preferred: Preferred {
            cipher: Cow::Borrowed(&CIPHERS),
            key: Cow::Owned(record.preferred(&Preferred::DEFAULT.key)),
            ..Preferred::DEFAULT
        },
        ..client::Config::default()
    };
    let refusal = Arc::new(Mutex::new(None));
    let client = Client {
        address: target.address(),
        known_hosts: known_hosts.clone(),
        record,
        refusal: Arc::clone(&refusal),
    };
    // Loaded first: a key that cannot be read is the reader's mistake whatever the host says.
    let key = match &target.key_file {
        Some(path) => Some(Arc::new(
            load_secret_key(path, target.passphrase.as_ref().map(crate::Secret::expose)).map_err(
                |error| TransportError::Key {
                    path: path.display().to_string(),
                    reason: reason(&error),
                },
            )?,
        )),
        None => None,
    };
    let connecting = client::connect_stream(Arc::new(config), stream, client);
    let mut session = match timeout(target.timeout, connecting).await {
        Err(_) => return Err(no_answer(target, target.address())),
        Ok(Ok(session)) => session,
        Ok(Err(error)) => {
            let told = refusal
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take();
            return Err(told.unwrap_or_else(|| TransportError::Connect {
                address: target.address(),
                source: io::Error::other(error),
            }));
        }
    };
    let broken = |error: russh::Error| TransportError::Broken {
        address: target.address(),
        reason: error.to_string(),
    };
    let hash = session
        .best_supported_rsa_hash()
        .await
        .map_err(broken)?
        .flatten();
    let (result, offered) = match key {
        Some(key) => {
            let offered = format!(
                "key {}",
                target.key_file.as_deref().unwrap_or("".as_ref()).display()
            );
            let key = PrivateKeyWithHashAlg::new(key, hash);
            (
                session
                    .authenticate_publickey(&target.user, key)
                    .await
                    .map_err(broken)?,
                offered,
            )
        }
        None => with_agent(&mut session, target, hash).await?,
    };
    if result.success() {
        return Ok(session);
    }
    // A host that goes down in between refuses nobody.
    if session.is_closed() {
        return Err(TransportError::Broken {
            address: target.address(),
            reason: "it ended during the log-in".into(),
        });
    }
    Err(TransportError::Authentication {
        address: target.address(),
        user: target.user.clone(),
        offered,
    })
}

fn reason(error: &russh::keys::Error) -> String {
    match error {
        russh::keys::Error::KeyIsEncrypted => {
            "it has a passphrase; set INGOT_SSH_PASSPHRASE, or add it to an SSH agent and leave out `keyFile`".into()
        }
        other => other.to_string(),
    }
}

/// Offers every key of the agent in turn.
async fn with_agent(
    session: &mut Handle<Client>,
    target: &SshTarget,
    hash: Option<russh::keys::HashAlg>,
) -> Result<(AuthResult, String), TransportError> {
    let agent_error = |error: &dyn std::fmt::Display| TransportError::Agent {
        reason: error.to_string(),
    };
    let mut agent = agent::client::AgentClient::connect_env()
        .await
        .map_err(|e| agent_error(&e))?;
    let identities = agent
        .request_identities()
        .await
        .map_err(|e| agent_error(&e))?;
    let count = identities.len();
    let mut last = None;
    for identity in identities {
        let key = identity.public_key().into_owned();
        let hash = if key.algorithm().is_rsa() { hash } else { None };
        let result = session
            .authenticate_publickey_with(&target.user, key, hash, &mut agent)
            .await
            .map_err(|e| agent_error(&e))?;
        if result.success() {
            return Ok((result, String::new()));
        }
        last = Some(result);
    }
    match last {
        Some(result) => {
            let offered = match count {
                1 => "the key of the SSH agent".into(),
                _ => format!("{count} keys of the SSH agent"),
            };
            Ok((result, offered))
        }
        None => Err(agent_error(&"it holds no keys")),
    }
}

#[cfg(test)]
mod tests;
