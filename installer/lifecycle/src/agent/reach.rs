//! Whether hosts reach each other: for the time of the check each listens where the cluster will, and
//! all try all.

use futures::future::join_all;
use nix::sys::socket::{Shutdown, shutdown};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsRawFd;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// How long a port may take to answer.
const PATIENCE: Duration = Duration::from_secs(3);
/// A datagram may go astray: it is sent again after this time.
const AGAIN: Duration = Duration::from_millis(700);
/// What is asked over UDP, and answered. Nothing else is, so nobody can use it to send to others.
const WORD: &[u8] = b"ingot reaches you?";

/// A port that other nodes must reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Port {
    /// Of TCP.
    Tcp(u16),
    /// Of UDP.
    Udp(u16),
    /// Of UDP, with a packet of this size, its headers included.
    Full {
        /// The port.
        port: u16,
        /// Bytes.
        bytes: u16,
    },
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(port) => write!(f, "TCP port {port}"),
            Self::Udp(port) => write!(f, "UDP port {port}"),
            Self::Full { port, bytes } => {
                write!(f, "UDP port {port} with packets of {bytes} bytes")
            }
        }
    }
}

/// The ports that are open for the check, until this is dropped.
#[derive(Debug, Default)]
pub(super) struct Listening {
    tcp: Vec<TcpListener>,
    udp: JoinSet<()>,
}

impl Listening {
    /// Opens ports; gives back those that will answer.
    pub(super) async fn open(&mut self, ports: Vec<Port>) -> Vec<Port> {
        let mut open = Vec::new();
        for port in ports {
            match port {
                Port::Tcp(number) => {
                    // One that is taken is reported by the facts; whoever has it answers here as well.
                    if let Ok(listener) = TcpListener::bind((Ipv4Addr::UNSPECIFIED, number)).await {
                        self.tcp.push(listener);
                    }
                    open.push(port);
                }
                // The kernel's own tunnel has it, where one is left; it would not answer.
                Port::Udp(number) => {
                    if let Ok(socket) = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, number)).await {
                        self.udp.spawn(answer(socket));
                        open.push(port);
                    }
                }
                // It is asked where another listens.
                Port::Full { .. } => {}
            }
        }
        open
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        for listener in &self.tcp {
            // Closing is not enough: a program that is being started right now has a copy of the socket.
            let _ = shutdown(listener.as_raw_fd(), Shutdown::Both);
        }
    }
}

async fn answer(socket: UdpSocket) {
    let mut word = vec![0; usize::from(u16::MAX)];
    loop {
        match socket.recv_from(&mut word).await {
            Ok((length, from)) if word.get(..length).is_some_and(is_word) => {
                // Who hears nothing asks again.
                let _ = socket.send_to(WORD, from).await;
            }
            Ok(_) => {}
            // What an earlier answer met; not for ever at full speed, should it be something else.
            Err(_) => sleep(Duration::from_millis(10)).await,
        }
    }
}

/// The word, or the word and nothing after it.
fn is_word(said: &[u8]) -> bool {
    said.strip_prefix(WORD)
        .is_some_and(|rest| rest.iter().all(|byte| *byte == 0))
}

/// Headers of IPv4 and UDP (RFC 791, RFC 768).
const HEADERS: u16 = 28;

/// The ports that do not answer, with the reason; all are asked at once.
pub(super) async fn unreached(peers: Vec<(IpAddr, Port)>) -> Vec<(IpAddr, Port, String)> {
    let asked = peers.into_iter().map(|(address, port)| async move {
        let asked = async {
            match port {
                Port::Tcp(port) => TcpStream::connect((address, port)).await.map(drop),
                Port::Udp(port) => echo(SocketAddr::new(address, port), WORD.len()).await,
                Port::Full { port, bytes } => {
                    let payload = usize::from(bytes.saturating_sub(HEADERS));
                    echo(SocketAddr::new(address, port), payload).await
                }
            }
        };
        match timeout(PATIENCE, asked).await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some((address, port, error.to_string())),
            Err(_) => Some((address, port, "no answer within 3 s".into())),
        }
    });
    join_all(asked).await.into_iter().flatten().collect()
}

async fn echo(address: SocketAddr, length: usize) -> std::io::Result<()> {
    let mut asked = WORD.to_vec();
    asked.resize(length.max(WORD.len()), 0);
    let any = match address {
        SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(address).await?;
    let mut word = [0; 64];
    loop {
        socket.send(&asked).await?;
        if let Ok(answered) = timeout(AGAIN, socket.recv(&mut word)).await {
            answered?;
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    /// Ports that the kernel gives nobody by chance, as it would to another test: they lie below its range
    /// (Linux, Documentation/networking/ip-sysctl.rst, ip_local_port_range).
    fn free() -> [Port; 2] {
        let number = 20_000 + u16::try_from(std::process::id() % 10_000).unwrap();
        [Port::Tcp(number), Port::Udp(number)]
    }

    #[tokio::test]
    async fn what_is_open_answers_and_what_is_not_is_told() {
        let ports = free();
        let asked = || ports.iter().map(|port| (HERE, *port)).collect();
        let mut listening = Listening::default();
        assert_eq!(listening.open(ports.to_vec()).await, ports);
        assert_eq!(unreached(asked()).await, []);
        drop(listening);
        let told = unreached(asked()).await;
        let refused = "Connection refused (os error 111)";
        assert_eq!(told, ports.map(|port| (HERE, port, refused.to_owned())));
    }

    #[tokio::test]
    async fn a_packet_of_any_size_is_answered_and_other_words_are_not() {
        let [_, Port::Udp(port)] = free() else {
            panic!("not a UDP port");
        };
        let port = port + 1;
        let mut listening = Listening::default();
        listening.open(vec![Port::Udp(port)]).await;
        for bytes in [1, 1500, 9000] {
            assert_eq!(
                unreached(vec![(HERE, Port::Full { port, bytes })]).await,
                []
            );
        }
        assert!(is_word(WORD));
        assert!(!is_word(b"who are you?"));
        let mut long = WORD.to_vec();
        long.push(1);
        assert!(!is_word(&long));
    }

    #[tokio::test]
    async fn a_udp_port_that_is_taken_is_not_asked() {
        let taken = std::net::UdpSocket::bind(("0.0.0.0", 0)).unwrap();
        let port = Port::Udp(taken.local_addr().unwrap().port());
        assert_eq!(Listening::default().open(vec![port]).await, []);
    }
}
