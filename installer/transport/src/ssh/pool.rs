//! What the connections of one run share: one connection to each jump host, which carries those to all hosts
//! behind it, and the number of log-ins that one server sees at once. sshd begins to drop connections that
//! are not logged in when there are ten (MaxStartups 10:30:100). It never decides whether to try again.

use super::exchange::{Client, Heard};
use super::known_hosts::KnownHosts;
use super::{SshTarget, session};
use crate::TransportError;
use futures::FutureExt;
use futures::future::BoxFuture;
use russh::client::{Handle, Msg};
use russh::{ChannelOpenFailure, ChannelStream};
use std::collections::HashMap;
use std::hash::Hash;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// Log-ins that one server sees at once.
const AT_ONCE: usize = 8;

/// A stream through a jump host, and the connection that carries it.
type Carried = (ChannelStream<Msg>, Arc<Carrier>);

/// Shared by the connections of one run.
#[derive(Clone, Default)]
pub struct Pool(Arc<Shared>);

#[derive(Default)]
struct Shared {
    jumps: Mutex<HashMap<String, Arc<Jump>>>,
    servers: Mutex<HashMap<String, Arc<Semaphore>>>,
}

/// The connections to one jump host.
#[derive(Default)]
struct Jump {
    carriers: tokio::sync::Mutex<Vec<Arc<Carrier>>>,
    /// How often a connection was tried, and how the last try failed: who has waited for it does not try
    /// once more, or a dead jump host would be waited for by one node after the other.
    tried: Mutex<(usize, Option<Arc<TransportError>>)>,
}

/// A connection to a jump host. It lives as long as the run and every connection that it carries.
pub(super) struct Carrier {
    handle: Handle<Client>,
    heard: Arc<Heard>,
    /// What carries this one, where jump hosts stand behind one another.
    _carrier: Option<Arc<Carrier>>,
}

fn entry<K: Hash + Eq, V: Clone>(map: &Mutex<HashMap<K, V>>, key: K, new: impl FnOnce() -> V) -> V {
    let mut map = map.lock().unwrap_or_else(PoisonError::into_inner);
    map.entry(key).or_insert_with(new).clone()
}

impl Pool {
    /// Waits for a place among the log-ins at the server of `target`.
    pub(super) async fn place(&self, target: &SshTarget) -> Option<OwnedSemaphorePermit> {
        // A name, whatever the port: ports of one address may all lead to the same sshd.
        let name = match &target.jump {
            Some(jump) => format!("{} through {}", target.host, jump.door()),
            None => target.host.clone(),
        };
        let places = || Arc::new(Semaphore::new(AT_ONCE));
        let places = entry(&self.0.servers, name, places);
        places.acquire_owned().await.ok()
    }

    /// A stream to `target` through `jump`, and the connection that carries it.
    pub(super) fn through<'a>(
        &'a self,
        jump: &'a SshTarget,
        target: &'a SshTarget,
        known_hosts: &'a KnownHosts,
    ) -> BoxFuture<'a, Result<Carried, TransportError>> {
        async move {
            let shared = entry(&self.0.jumps, jump.door(), Arc::default);
            let mut refused = 0;
            loop {
                let known = shared.alive().await;
                for carrier in known.iter().skip(refused) {
                    match carrier.open(jump, target).await {
                        Err(Unopened::Full) => refused += 1,
                        Err(Unopened::Failed(error)) => return Err(error),
                        Ok(stream) => return Ok((stream, Arc::clone(carrier))),
                    }
                }
                let carrier = shared
                    .one_more(jump, known_hosts, self, known.len())
                    .await?;
                let Some(carrier) = carrier else { continue };
                // One that carries nothing yet and has no place never will have one.
                return match carrier.open(jump, target).await {
                    Ok(stream) => Ok((stream, carrier)),
                    Err(Unopened::Failed(error)) => Err(error),
                    Err(Unopened::Full) => Err(TransportError::Forward {
                        address: target.address(),
                        jump: jump.address(),
                        said: "it has no resources for a connection".into(),
                    }),
                };
            }
        }
        .boxed()
    }
}

impl Jump {
    async fn alive(&self) -> Vec<Arc<Carrier>> {
        let mut carriers = self.carriers.lock().await;
        carriers.retain(|carrier| !carrier.handle.is_closed());
        carriers.clone()
    }

    fn tried(&self) -> (usize, Option<Arc<TransportError>>) {
        let tried = self.tried.lock().unwrap_or_else(PoisonError::into_inner);
        tried.clone()
    }

    /// Makes a connection more than the `known` ones; `None` when somebody else has done so meanwhile.
    async fn one_more(
        &self,
        jump: &SshTarget,
        known_hosts: &KnownHosts,
        pool: &Pool,
        known: usize,
    ) -> Result<Option<Arc<Carrier>>, TransportError> {
        let before = self.tried().0;
        let mut carriers = self.carriers.lock().await;
        if carriers.len() > known {
            return Ok(None);
        }
        if let (count, Some(failure)) = self.tried()
            && count > before
        {
            return Err(TransportError::Jump(failure));
        }
        let made = session::open(jump, known_hosts, pool).await;
        let mut tried = self.tried.lock().unwrap_or_else(PoisonError::into_inner);
        tried.0 += 1;
        match made {
            Ok(session) => {
                tried.1 = None;
                let carrier = Arc::new(Carrier {
                    handle: session.handle,
                    heard: session.heard,
                    _carrier: session.carrier,
                });
                carriers.push(Arc::clone(&carrier));
                Ok(Some(carrier))
            }
            Err(error) => {
                let error = Arc::new(error);
                tried.1 = Some(Arc::clone(&error));
                Err(TransportError::Jump(error))
            }
        }
    }
}

/// Why a jump host has not opened a channel.
enum Unopened {
    /// It has no place for another one on this connection.
    Full,
    /// The way ends here.
    Failed(TransportError),
}

impl Carrier {
    async fn open(
        &self,
        jump: &SshTarget,
        target: &SshTarget,
    ) -> Result<ChannelStream<Msg>, Unopened> {
        let before = self.heard.unopened();
        let (host, port) = (target.host.clone(), target.port.into());
        let open = self
            .handle
            .channel_open_direct_tcpip(host, port, "127.0.0.1", 0);
        let (address, through) = (target.address(), jump.address());
        // The jump host goes on trying for as long as its kernel does, minutes, where nothing answers.
        let opened = match timeout(target.timeout, open).await {
            Ok(opened) => opened,
            Err(_) => {
                return Err(Unopened::Failed(TransportError::Timeout {
                    address: format!("{address} through {through}"),
                    seconds: target.timeout.as_secs(),
                }));
            }
        };
        let reason = match opened {
            Ok(channel) => return Ok(channel.into_stream()),
            Err(russh::Error::ChannelOpenFailure(reason)) => reason,
            Err(error) => {
                let reason = self.heard.farewell().unwrap_or_else(|| error.to_string());
                return Err(Unopened::Failed(TransportError::Broken {
                    address: through,
                    reason,
                }));
            }
        };
        let said = self.heard.unopened_since(before);
        let said = said.unwrap_or_else(|| reason.description().to_lowercase());
        Err(match reason {
            ChannelOpenFailure::ResourceShortage => Unopened::Full,
            ChannelOpenFailure::ConnectFailed => Unopened::Failed(TransportError::Connect {
                address: format!("{address} through {through}"),
                source: io::Error::other(said),
            }),
            _ => Unopened::Failed(TransportError::Forward {
                address,
                jump: through,
                said,
            }),
        })
    }
}
