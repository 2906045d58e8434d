//! The key exchange over a stream that leads to a server: the host key is checked, and whatever the server
//! says for people is kept for who must explain a failure. Nobody is logged in here.

use super::greeting::{Greeting, Overheard};
use super::known_hosts::{KnownHosts, Record};
use super::{SshTarget, algorithms, tcp};
use crate::{TransportError, words};
use russh::client::{self, DisconnectReason, Handle};
use russh::keys::PublicKeyOrCertificate;
use russh::{ChannelId, ChannelOpenFailure};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

/// Questions asked of a silent host, evenly spread, before it counts as lost: one may go astray.
const KEEPALIVES: u32 = 6;

/// Messages of one channel that wait to be read. A jump host carries the connections of many nodes over
/// one of ours, and one that is slow must not hold up the others.
const WAITING: usize = 1024;

/// What the server said for people, and why it was refused by us: the library's errors do not say.
#[derive(Debug, Default)]
pub(super) struct Heard {
    /// Before the protocol began.
    pub(super) greeting: Greeting,
    said: Mutex<Said>,
}

#[derive(Debug, Default)]
struct Said {
    refusal: Option<TransportError>,
    banner: String,
    farewell: Option<String>,
    lost: Option<String>,
    unopened: Vec<String>,
}

impl Heard {
    fn said(&self) -> MutexGuard<'_, Said> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the server said on closing the connection.
    pub(super) fn farewell(&self) -> Option<String> {
        self.said().farewell.clone()
    }

    /// Why the connection is over, where it is known: in the words of the server, or as it was seen here.
    pub(super) fn end(&self) -> Option<String> {
        let said = self.said();
        said.farewell.clone().or_else(|| said.lost.clone())
    }

    /// What the server said during the log-in. PAM says there why an account may not be used.
    pub(super) fn banner(&self) -> Option<String> {
        words::said(self.said().banner.as_bytes())
    }

    /// How many channels the server has not opened.
    pub(super) fn unopened(&self) -> usize {
        self.said().unopened.len()
    }

    /// Why the server has not opened channels since there were so many of them: channels are opened at the
    /// same time, and the library does not say which reason is whose.
    pub(super) fn unopened_since(&self, count: usize) -> Option<String> {
        let mut reasons = self.said().unopened.get(count..)?.to_vec();
        reasons.sort();
        reasons.dedup();
        (!reasons.is_empty()).then(|| reasons.join(", or "))
    }
}

/// Checks the host key, and listens; the library asks it during the key exchange and later.
pub(super) struct Client {
    address: String,
    known_hosts: KnownHosts,
    record: Record,
    heard: Arc<Heard>,
}

impl client::Handler for Client {
    type Error = russh::Error;

    async fn check_server_key(
        &mut self,
        key: &PublicKeyOrCertificate,
    ) -> Result<bool, Self::Error> {
        let checked = match key.certificate() {
            Some(certificate) => {
                self.known_hosts
                    .check_certificate(&self.record, &self.address, certificate)
            }
            None => {
                let key = key.public_key();
                self.known_hosts.check(&self.record, &self.address, &key)
            }
        };
        let Err(refusal) = checked else {
            return Ok(true);
        };
        self.heard.said().refusal = Some(refusal);
        Ok(false)
    }

    async fn auth_banner(
        &mut self,
        banner: &str,
        _session: &mut client::Session,
    ) -> Result<(), Self::Error> {
        let mut said = self.heard.said();
        if said.banner.len() < 4096 {
            said.banner.push_str(banner);
            said.banner.push('\n');
        }
        Ok(())
    }

    async fn channel_open_failure(
        &mut self,
        _channel: ChannelId,
        reason: ChannelOpenFailure,
        description: &str,
        _language: &str,
        _session: &mut client::Session,
    ) -> Result<(), Self::Error> {
        let told = words::said(description.as_bytes());
        let told = told.unwrap_or_else(|| reason.description().to_lowercase());
        self.heard.said().unopened.push(told);
        Ok(())
    }

    async fn disconnected(
        &mut self,
        reason: DisconnectReason<Self::Error>,
    ) -> Result<(), Self::Error> {
        match reason {
            DisconnectReason::ReceivedDisconnect(info) => {
                self.heard.said().farewell = words::said(info.message.as_bytes());
                Ok(())
            }
            DisconnectReason::Error(error) => {
                self.heard.said().lost = match &error {
                    russh::Error::KeepaliveTimeout => {
                        Some("it has not answered for a long time".into())
                    }
                    // The other end has closed it; it may have said why, or not.
                    russh::Error::Disconnect | russh::Error::HUP => None,
                    russh::Error::IO(error) if is_gone(error.kind()) => None,
                    other => Some(other.to_string()),
                };
                Err(error)
            }
        }
    }
}

/// Agrees with the server at the other end of `stream` on keys, and checks that it is `target`.
pub(super) async fn keys<S>(
    target: &SshTarget,
    known_hosts: &KnownHosts,
    stream: S,
) -> Result<(Handle<Client>, Arc<Heard>), TransportError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let record = match &target.host_key_alias {
        Some(alias) => known_hosts.named(alias.to_ascii_lowercase())?,
        None => known_hosts.record(&target.host, target.port)?,
    };
    let config = client::Config {
        // A dead host is noticed also in the middle of a long unpacking, when nothing is to be sent.
        keepalive_interval: Some(target.silence / KEEPALIVES),
        keepalive_max: KEEPALIVES as usize,
        window_size: 16 << 20,
        maximum_packet_size: 64 << 10,
        channel_buffer_size: WAITING,
        nodelay: true,
        preferred: algorithms::preferred(record.preferred(), record.certified()),
        ..client::Config::default()
    };
    let heard = Arc::new(Heard::default());
    let client = Client {
        address: target.address(),
        known_hosts: known_hosts.clone(),
        record,
        heard: Arc::clone(&heard),
    };
    let stream = Overheard::new(stream, &heard.greeting);
    let connecting = client::connect_stream(Arc::new(config), stream, client);
    match timeout(target.timeout, connecting).await {
        Err(_) => Err(silent(target, &heard)),
        Ok(Ok(handle)) => Ok((handle, heard)),
        Ok(Err(error)) => Err(failed(target, &heard, error)),
    }
}

/// The port is open and nothing, or not enough, comes out of it.
fn silent(target: &SshTarget, heard: &Heard) -> TransportError {
    let (address, said) = (target.address(), heard.greeting.words());
    match said {
        Some(said) if !heard.greeting.is_ssh() => TransportError::NotSsh { address, said },
        _ => tcp::no_answer(target, address),
    }
}

fn failed(target: &SshTarget, heard: &Heard, error: russh::Error) -> TransportError {
    if let Some(refusal) = heard.said().refusal.take() {
        return refusal;
    }
    let address = target.address();
    let (greeting, farewell) = (heard.greeting.words(), heard.farewell());
    let gone = match &error {
        russh::Error::NoCommonAlgo { kind, ours, theirs } => {
            return algorithms::none_in_common(&address, kind, ours, theirs);
        }
        russh::Error::Disconnect | russh::Error::HUP | russh::Error::SendError => true,
        russh::Error::IO(error) => is_gone(error.kind()),
        _ => false,
    };
    match greeting {
        Some(said) if !heard.greeting.is_ssh() && !is_sshd(&said) => {
            TransportError::NotSsh { address, said }
        }
        // An sshd that has no more to say than its name speaks of keys that it cannot read, or the like.
        greeting if gone => TransportError::Dropped {
            address,
            said: farewell.or(greeting),
        },
        _ => TransportError::Connect {
            address,
            source: io::Error::other(error),
        },
    }
}

/// What sshd itself says before the protocol begins, when it has no place or wants no more of us.
fn is_sshd(said: &str) -> bool {
    said.starts_with("Exceeded MaxStartups") || said.starts_with("Not allowed at this time")
}

/// The other end has closed the connection.
pub(super) fn is_gone(kind: io::ErrorKind) -> bool {
    matches!(
        kind,
        io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::UnexpectedEof
    )
}
