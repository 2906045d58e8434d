//! A steady stream of API requests from a node, as its own programs send them.

use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ingot_harness::Host;

/// How many requests are sent in a second, each over a connection of its own.
pub const PER_SECOND: u32 = 10;

/// A stream that goes on until it is stopped.
#[derive(Debug)]
pub struct Probe {
    stop: Arc<AtomicBool>,
    failed: Arc<Mutex<Vec<String>>>,
    thread: JoinHandle<u32>,
}

impl Probe {
    /// Begins to ask for the Node of `host`, with the certificate of its kubelet, at `server`.
    pub fn begin(host: &Host, server: &str) -> Probe {
        let stop = Arc::new(AtomicBool::new(false));
        let failed: Arc<Mutex<Vec<String>>> = Arc::default();
        let (ends, said, host, server) = (
            Arc::clone(&stop),
            Arc::clone(&failed),
            host.clone(),
            server.to_owned(),
        );
        let thread = std::thread::spawn(move || {
            let begin = Instant::now();
            let mut running = Vec::new();
            let mut sent = 0;
            while !ends.load(Ordering::Relaxed) {
                let (host, url, said) = (
                    host.clone(),
                    format!("{server}/api/v1/nodes/{}", host.name()),
                    Arc::clone(&said),
                );
                // One that waits does not hold up the next.
                running.push(std::thread::spawn(move || {
                    let at = begin.elapsed().as_secs_f64();
                    if let Err(reason) = ask(&host, &url) {
                        said.lock()
                            .unwrap_or_else(PoisonError::into_inner)
                            .push(format!("after {at:.1} s: {reason}"));
                    }
                }));
                sent += 1;
                let due = begin + Duration::from_secs(1) / PER_SECOND * sent;
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
                running.retain(|one| !one.is_finished());
            }
            for one in running {
                let _ = one.join();
            }
            sent
        });
        Probe {
            stop,
            failed,
            thread,
        }
    }

    /// Ends the stream; how many requests were sent, and what those that failed said.
    ///
    /// # Panics
    /// When the stream broke.
    pub fn end(self) -> (u32, Vec<String>) {
        self.stop.store(true, Ordering::Relaxed);
        let sent = self.thread.join().expect("the stream");
        let failed = self
            .failed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        (sent, failed)
    }
}

/// Asks a URL from inside the network of a host, with the machine's curl, since a bare host has none: what it
/// answers, and the status. `pki` are the names of authority, certificate and key below /etc/kubernetes/pki.
///
/// # Errors
/// What curl says.
pub fn get(host: &Host, pki: [&str; 3], words: &[&str]) -> Result<(String, String), String> {
    let root = host.root_dir().map_err(|error| error.to_string())?;
    let process = root.parent().ok_or("no process")?;
    let file = |name: &str| root.join("etc/kubernetes/pki").join(name);
    let [authority, certificate, key] = pki.map(file);
    let output = Command::new("nsenter")
        .arg(format!("--net={}", process.join("ns/net").display()))
        .args(["--", "curl", "--silent", "--show-error", "--max-time", "20"])
        .args(["--write-out", "\n%{http_code}", "--cacert"])
        .arg(authority)
        .arg("--cert")
        .arg(certificate)
        .arg("--key")
        .arg(key)
        .args(words)
        .output()
        .map_err(|error| error.to_string())?;
    let answer = String::from_utf8_lossy(&output.stdout).into_owned();
    let (body, status) = answer.rsplit_once('\n').unwrap_or_default();
    match output.status.success() {
        true => Ok((body.to_owned(), status.to_owned())),
        false => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
    }
}

fn ask(host: &Host, url: &str) -> Result<(), String> {
    let pki = ["ca.crt", "kubelet-client.crt", "kubelet-client.key"];
    match get(host, pki, &[url])? {
        (_, status) if status == "200" => Ok(()),
        (body, status) => Err(format!("{status} {body}")),
    }
}
