//! From a target to a session that is logged in: the way there, directly or through jump hosts, the key
//! exchange, the log-in. A server that drops the connection before anybody has logged in is asked again: it
//! has as many log-ins as it takes at once.

use super::exchange::{self, Client, Heard};
use super::known_hosts::KnownHosts;
use super::pool::{Carrier, Pool};
use super::{SshTarget, log_in, tcp};
use crate::TransportError;
use futures::FutureExt;
use futures::future::BoxFuture;
use russh::client::Handle;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

/// How often a server that drops connections is tried.
const TRIES: u32 = 10;
/// The shortest pause before the next try; it doubles up to the longest.
const PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// A connection that somebody is logged in with.
pub(super) struct Session {
    /// To the library.
    pub(super) handle: Handle<Client>,
    /// What the server said.
    pub(super) heard: Arc<Heard>,
    /// Kept alive for as long as the session that runs through it.
    pub(super) carrier: Option<Arc<Carrier>>,
}

/// Logs in to `target`.
pub(super) fn open<'a>(
    target: &'a SshTarget,
    known_hosts: &'a KnownHosts,
    pool: &'a Pool,
) -> BoxFuture<'a, Result<Session, TransportError>> {
    async move {
        let mut tries = 1;
        loop {
            let error = match once(target, known_hosts, pool).await {
                Ok(session) => return Ok(session),
                Err(error) => error,
            };
            if tries == TRIES || !error.may_pass() {
                return Err(error);
            }
            tokio::time::sleep(pause(&target.address(), tries)).await;
            tries += 1;
        }
    }
    .boxed()
}

async fn once(
    target: &SshTarget,
    known_hosts: &KnownHosts,
    pool: &Pool,
) -> Result<Session, TransportError> {
    let place = pool.place(target).await;
    let (mut handle, heard, carrier);
    match &target.jump {
        None => {
            let stream = tcp::connect(target).await?;
            (handle, heard) = exchange::keys(target, known_hosts, stream).await?;
            carrier = None;
        }
        Some(jump) => {
            let (stream, by) = pool.through(jump, target, known_hosts).await?;
            (handle, heard) = exchange::keys(target, known_hosts, stream).await?;
            carrier = Some(by);
        }
    }
    log_in::authenticate(&mut handle, target, &heard).await?;
    drop(place);
    Ok(Session {
        handle,
        heard,
        carrier,
    })
}

/// The time before the next try: longer each time, and not the same for all hosts, so that those that were
/// dropped together do not come back together.
fn pause(address: &str, tries: u32) -> Duration {
    let longest = LONGEST_PAUSE.min(PAUSE * 2u32.saturating_pow(tries));
    let mut hasher = DefaultHasher::new();
    (address, tries, std::process::id()).hash(&mut hasher);
    let part = u32::try_from(hasher.finish() % 1000).unwrap_or_default();
    longest / 2 + longest / 2 * part / 1000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_limit_and_differ_between_hosts() {
        for tries in 1..TRIES {
            let longest = LONGEST_PAUSE.min(PAUSE * 2u32.pow(tries));
            let pauses: Vec<Duration> = (0..50)
                .map(|host| pause(&format!("10.0.0.{host}:22"), tries))
                .collect();
            assert!(
                pauses
                    .iter()
                    .all(|pause| *pause >= longest / 2 && *pause <= longest)
            );
            let mut different = pauses.clone();
            different.sort();
            different.dedup();
            assert!(different.len() > 25, "{different:?}");
        }
    }
}
