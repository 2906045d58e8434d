//! How a static pod is: by the process of its program, and by what that answers on this host.

use super::{Health, answers, instance, words};
use crate::paths;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How often a container may be started again before it is called broken: the kubelet waits ten seconds after
/// the second time.
const ATTEMPTS: u32 = 2;

/// The program of a static pod, and the port on the loopback that tells whether it serves.
fn program(pod: &str) -> (&str, Endpoint) {
    match pod {
        "load-balancer" => ("haproxy", Endpoint::Listens(paths::BALANCER_PORT)),
        "etcd" => ("etcd", Endpoint::Http(2381, "/readyz")),
        "kube-apiserver" => ("kube-apiserver", Endpoint::ApiServer),
        "kube-controller-manager" => (pod, Endpoint::Listens(10257)),
        "kube-scheduler" => (pod, Endpoint::Listens(10259)),
        other => (other, Endpoint::None),
    }
}

enum Endpoint {
    Http(u16, &'static str),
    Listens(u16),
    /// Asked with the agent's certificate.
    ApiServer,
    None,
}

/// How the pod is.
///
/// # Errors
/// Never today; the list of processes is read as far as it can be.
pub(super) fn health(pod: &str, since: f64) -> Result<Health, String> {
    let (name, endpoint) = program(pod);
    let running = instance::of_program(name);
    let log = words::of_pod(
        pod,
        if since > 0.0 {
            instance::wall_clock(since)
        } else {
            0.0
        },
    );
    // One that runs now may stay: the attempts before it met the port of its predecessor, say.
    let ended = log.filter(|log| since > 0.0 && running.is_empty() && log.attempts >= ATTEMPTS);
    if let Some(log) = ended {
        let what = format!("its container ended {} times", log.attempts);
        return Ok(Health::Broken {
            reason: match log.last_words() {
                Some(last) => format!("{what}; it said: {last}"),
                None => what,
            },
        });
    }
    let waiting = |reason: String| Ok(Health::Waiting { reason });
    let (Some(first), Some(last)) = (running.first(), running.last()) else {
        return waiting(format!("{name} does not run"));
    };
    if *first < since {
        return waiting(format!("the {name} of before still runs"));
    }
    let up = instance::uptime() - last;
    if up < instance::STAYS_UP {
        return waiting(format!("{name} runs for {up:.0} s"));
    }
    let answer = match endpoint {
        Endpoint::Http(port, path) => answers(port, path),
        Endpoint::Listens(port) => listens(port),
        Endpoint::ApiServer => match tokio::runtime::Handle::try_current() {
            Ok(runtime) => runtime.block_on(crate::agent::kube::ready()),
            Err(error) => Err(error.to_string()),
        },
        Endpoint::None => Ok(()),
    };
    match answer {
        Ok(()) => Ok(Health::Well {
            started: instance::wall_clock(*last),
        }),
        Err(reason) => waiting(format!("{name}: {reason}")),
    }
}

fn listens(port: u16) -> Result<(), String> {
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    TcpStream::connect_timeout(&address, Duration::from_secs(2))
        .map(drop)
        .map_err(|error| format!("port {port}: {error}"))
}
