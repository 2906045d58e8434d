//! A TCP connection to a server, by whichever of its addresses answers.

use super::SshTarget;
use crate::TransportError;
use std::io;
use std::net::SocketAddr;
use std::time::Instant;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// A connection to the port of `target`.
pub(super) async fn connect(target: &SshTarget) -> Result<TcpStream, TransportError> {
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

/// Nothing came from `address` for as long as `target` may take.
pub(super) fn no_answer(target: &SshTarget, address: String) -> TransportError {
    TransportError::Timeout {
        address,
        seconds: target.timeout.as_secs(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ssh::Sudo;
    use std::time::Duration;

    fn target(host: &str, port: u16) -> SshTarget {
        SshTarget {
            host: host.into(),
            port,
            user: "root".into(),
            host_key_alias: None,
            keys: crate::ssh::Keys::default(),
            sudo: Sudo::No,
            jump: None,
            timeout: Duration::from_secs(60),
            silence: Duration::from_secs(60),
        }
    }

    #[tokio::test]
    async fn a_name_is_reached_by_whichever_of_its_addresses_answers() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let there = listener.local_addr().unwrap();
        // Nothing listens on port 1.
        let (one, two) = (
            SocketAddr::from(([127, 0, 0, 1], 1)),
            SocketAddr::from(([127, 0, 0, 2], 1)),
        );
        let stream = first_that_answers(&target("127.0.0.1", there.port()), vec![one, two, there])
            .await
            .unwrap();
        assert_eq!(stream.peer_addr().unwrap(), there);
        let target = target("cp1", 22);
        let error = first_that_answers(&target, vec![one, two])
            .await
            .unwrap_err();
        let TransportError::Connect { address, source } = error else {
            panic!("{error}");
        };
        assert_eq!(address, "cp1:22");
        assert_eq!(
            source.to_string(),
            "127.0.0.1: Connection refused (os error 111); 127.0.0.2: Connection refused (os error 111)"
        );
        let error = first_that_answers(&target, Vec::new()).await.unwrap_err();
        assert!(matches!(error, TransportError::Resolve { .. }), "{error}");
    }
}
