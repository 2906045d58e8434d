//! Whether packets of pods get through this host: tried with packets, since what a firewall does with them is
//! decided by all of its rules together.
//!
//! Two network namespaces stand in for a pod and for the pods of other nodes. Their cables end in interfaces
//! with the names that the pod network will have, so that rules about interfaces and rules about addresses both
//! count. Only these two interfaces forward. Everything is gone with the threads that hold the namespaces, also
//! where the agent is killed. Never runs where the pod network is there already.

use crate::paths;
use nix::sched::{CloneFlags, unshare};
use serde::{Deserialize, Serialize};
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::Duration;

/// How long a packet may take on one host.
const PATIENCE: Duration = Duration::from_secs(2);
/// Where those who stand in listen.
const TCP: u16 = 8080;
/// As a name server does.
const UDP: u16 = 53;
/// The interfaces of the pod network: of the pods of this node, and of the tunnel to others.
const INTERFACES: [&str; 2] = ["cni0", "flannel.1"];

/// What is tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PodPath {
    /// Eight addresses of the pod range that nobody has yet; the first is given.
    pub first: Ipv4Addr,
    /// The address of the node.
    pub node: IpAddr,
    /// Ports of the node that pods must reach; something listens on them now.
    pub ports: Vec<u16>,
}

/// A way on which a packet does not get through.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blocked {
    /// From where to where.
    pub way: String,
    /// The port of the node, where the way leads to one.
    pub port: Option<u16>,
    /// What happened.
    pub reason: String,
}

impl PodPath {
    fn address(&self, offset: u32) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.first.to_bits().wrapping_add(offset))
    }
}

/// The ways that are blocked; none where the pod network is there already, or an installation has begun.
///
/// # Errors
/// When it cannot be tried.
pub fn blocked(path: &PodPath) -> Result<Vec<Blocked>, String> {
    // Where an installation was interrupted, flannel and containerd may be about to make the real ones.
    let begun = Path::new(paths::JOURNAL).exists();
    let there = |name: &&str| Path::new("/sys/class/net").join(name).exists();
    if begun || INTERFACES.iter().any(there) {
        return Ok(Vec::new());
    }
    let pod = Room::open(INTERFACES[0], path.address(1), path.address(2))?;
    let others = Room::open(INTERFACES[1], path.address(5), path.address(6))?;
    let over = Arc::new(AtomicBool::new(false));
    for room in [&pod, &others] {
        let (address, over) = (room.address, Arc::clone(&over));
        room.run(move || listen(address, over))?
            .map_err(|error| format!("cannot listen in a network namespace: {error}"))?;
    }
    let (far, node) = (IpAddr::V4(others.address), path.node);
    let near = IpAddr::V4(pod.address);
    let mut tried = vec![
        pod.start("from a pod to pods of other nodes", move || {
            connect(far, TCP)
        }),
        pod.start("from a pod to pods of other nodes, by UDP", move || {
            echo(far)
        }),
        others.start("from pods of other nodes to a pod", move || {
            connect(near, TCP)
        }),
        others.start("from pods of other nodes to a pod, by UDP", move || {
            echo(near)
        }),
    ];
    let mut of_the_node = Vec::new();
    for port in path.ports.clone() {
        let way = format!("from a pod to TCP port {port} of the node");
        of_the_node.push((port, pod.start(way, move || connect(node, port))));
    }
    let (done, result) = channel();
    thread::spawn(move || done.send(connect(near, TCP)));
    tried.push(("from the node to a pod".into(), result));
    let tried = tried.into_iter().map(|one| (None, one));
    let of_the_node = of_the_node.into_iter().map(|(port, one)| (Some(port), one));
    let mut found = Vec::new();
    for (port, (way, result)) in tried.chain(of_the_node) {
        if let Ok(Err(error)) = result.recv() {
            let reason = words(&error);
            found.push(Blocked { way, port, reason });
        }
    }
    over.store(true, Ordering::Relaxed);
    Ok(found)
}

fn words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => {
            format!("no answer within {} s", PATIENCE.as_secs())
        }
        _ => error.to_string(),
    }
}

type Work = Box<dyn FnOnce() + Send>;
type Tried = (String, std::sync::mpsc::Receiver<io::Result<()>>);

/// A network namespace with a cable to this host; it lasts as long as its thread.
struct Room {
    interface: &'static str,
    address: Ipv4Addr,
    work: Sender<Work>,
}

impl Room {
    fn open(interface: &'static str, here: Ipv4Addr, there: Ipv4Addr) -> Result<Self, String> {
        let (told, namespace) = channel();
        let (work, asked) = channel::<Work>();
        thread::spawn(move || {
            let unshared = unshare(CloneFlags::CLONE_NEWNET).map_err(|error| {
                format!(
                    "cannot make a network namespace: {}",
                    io::Error::from(error)
                )
            });
            let thread = nix::unistd::gettid();
            let at = format!("/proc/{}/task/{thread}/ns/net", std::process::id());
            if told.send(unshared.map(|()| at)).is_ok() {
                asked.into_iter().for_each(|work| work());
            }
        });
        let namespace = namespace
            .recv()
            .map_err(|error| format!("cannot make a network namespace: {error}"))??;
        let room = Self {
            interface,
            address: there,
            work,
        };
        ip(&format!(
            "link add {interface} type veth peer name eth0 netns {namespace}"
        ))?;
        ip(&format!("address add {here}/30 dev {interface}"))?;
        ip(&format!("link set {interface} up"))?;
        let forwarding = format!("/proc/sys/net/ipv4/conf/{interface}/forwarding");
        std::fs::write(&forwarding, "1")
            .map_err(|error| format!("cannot write {forwarding}: {error}"))?;
        room.run(move || {
            ip("link set lo up")?;
            ip(&format!("address add {there}/30 dev eth0"))?;
            ip("link set eth0 up")?;
            ip(&format!("route add default via {here}"))
        })??;
        Ok(room)
    }

    /// Does `work` inside, and waits for it.
    fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, String> {
        let (done, result) = channel();
        let work: Work = Box::new(move || {
            let _ = done.send(work());
        });
        let gone = |error: &dyn std::fmt::Display| format!("a network namespace is gone: {error}");
        self.work.send(work).map_err(|error| gone(&error))?;
        result.recv().map_err(|error| gone(&error))
    }

    /// Begins `work` inside, on a thread of its own.
    fn start(
        &self,
        way: impl Into<String>,
        work: impl FnOnce() -> io::Result<()> + Send + 'static,
    ) -> Tried {
        let (done, result) = channel();
        // A thread begins in the namespace of the one that makes it.
        let _ = self.run(move || drop(thread::spawn(move || done.send(work()))));
        (way.into(), result)
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        // It would go with the namespace, but a moment later; a cable that never was is none to take away.
        let _ = ip(&format!("link delete {}", self.interface));
    }
}

/// Who stands in answers until it is over; a thread that stayed would keep the namespace.
fn listen(address: Ipv4Addr, over: Arc<AtomicBool>) -> io::Result<()> {
    const PAUSE: Duration = Duration::from_millis(5);
    let tcp = TcpListener::bind((address, TCP))?;
    let udp = UdpSocket::bind((address, UDP))?;
    tcp.set_nonblocking(true)?;
    udp.set_nonblocking(true)?;
    thread::spawn(move || {
        let mut word = [0; 64];
        while !over.load(Ordering::Relaxed) {
            let mut idle = true;
            if let Ok((length, from)) = udp.recv_from(&mut word) {
                let _ = udp.send_to(&word[..length], from);
                idle = false;
            }
            if let Ok((mut connection, _)) = tcp.accept() {
                let _ = connection.write_all(b"pod");
                idle = false;
            }
            if idle {
                thread::sleep(PAUSE);
            }
        }
    });
    Ok(())
}

fn connect(address: IpAddr, port: u16) -> io::Result<()> {
    let stream = TcpStream::connect_timeout(&SocketAddr::new(address, port), PATIENCE)?;
    if port == TCP {
        stream.set_read_timeout(Some(PATIENCE))?;
        (&stream).read_exact(&mut [0; 3])?;
    }
    Ok(())
}

fn echo(address: IpAddr) -> io::Result<()> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    socket.connect((address, UDP))?;
    socket.set_read_timeout(Some(PATIENCE / 2))?;
    let mut word = [0; 8];
    // One may go astray.
    for _ in 0..2 {
        socket.send(b"pod")?;
        match socket.recv(&mut word) {
            Ok(_) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::ErrorKind::TimedOut.into())
}

fn ip(words: &str) -> Result<(), String> {
    let output = Command::new("ip")
        .args(words.split(' '))
        .output()
        .map_err(|error| format!("cannot start `ip` of iproute2: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("`ip {words}`: {}", said.trim()))
}
