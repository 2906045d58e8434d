//! Whether what a change started is well: judged only from the instances that run now, by when they started
//! and what they answer themselves, never from what the API server remembers. Reads only.

use serde::{Deserialize, Serialize};

mod containerd;
pub mod instance;
mod pod;
pub mod words;

/// Something on a host that a change can start.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// The container runtime.
    Containerd,
    /// The read-only registry of a control plane.
    Registry,
    /// The kubelet.
    Kubelet,
    /// A static pod, by its name in the manifest.
    StaticPod(String),
}

impl std::fmt::Display for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Containerd => "containerd",
            Self::Registry => "registry",
            Self::Kubelet => "kubelet",
            Self::StaticPod(name) => name,
        })
    }
}

/// How a part is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Health {
    /// It was started when it had to be, has stayed up, and answers.
    Well {
        /// When it was started, seconds since 1970 by the clock of its host.
        started: f64,
    },
    /// It may still come.
    Waiting {
        /// For what.
        reason: String,
    },
    /// It ended again and again.
    Broken {
        /// With its own last words.
        reason: String,
    },
}

/// How each of `parts` is. Those that a change touched must have been started after `since`, seconds after the
/// boot of the host; 0 for any time.
///
/// # Errors
/// In words, when the host cannot be asked.
pub fn of(parts: &[Part], since: f64) -> Result<Vec<(Part, Health)>, String> {
    let judged = parts.iter().map(|part| {
        let health = match part {
            Part::Containerd => containerd::health(since)?,
            Part::Registry => {
                instance::of_unit("ingot-registry.service", since, instance::STAYS_UP)?
            }
            Part::Kubelet => kubelet(since)?,
            Part::StaticPod(name) => pod::health(name, since)?,
        };
        Ok((part.clone(), health))
    });
    judged.collect()
}

fn kubelet(since: f64) -> Result<Health, String> {
    let health = instance::of_unit("kubelet.service", since, instance::STAYS_UP)?;
    if !matches!(health, Health::Well { .. }) {
        return Ok(health);
    }
    Ok(match answers(10248, "/healthz") {
        Ok(()) => health,
        Err(reason) => Health::Waiting {
            reason: format!("its health endpoint says: {reason}"),
        },
    })
}

/// Asks an HTTP endpoint on the loopback of this host.
fn answers(port: u16, path: &str) -> Result<(), String> {
    use std::io::{Read, Write};
    let time = std::time::Duration::from_secs(5);
    let ask = || -> std::io::Result<String> {
        let address = std::net::SocketAddr::from(([127, 0, 0, 1], port));
        let mut stream = std::net::TcpStream::connect_timeout(&address, time)?;
        stream.set_read_timeout(Some(time))?;
        write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n")?;
        let mut answer = Vec::new();
        stream.take(64 << 10).read_to_end(&mut answer)?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    };
    let answer = ask().map_err(|error| error.to_string())?;
    let status = answer.split_whitespace().nth(1).unwrap_or_default();
    match status {
        "200" => Ok(()),
        _ => Err(answer.lines().last().unwrap_or("nothing").to_owned()),
    }
}
