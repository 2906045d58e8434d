//! A steady stream of API requests from a node, as its own programs send them.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ingot_harness::Host;

/// How many requests are sent in a second, each over a connection of its own.
pub const PER_SECOND: u32 = 10;

/// What a client prints of each request: status, curl's own exit code, and its words. Standard error, since
/// curl keeps what it writes to a pipe until there is a page of it.
const ANSWER: &str = "%{stderr}%{http_code} %{exitcode} %{errormsg}\n";

/// A stream that goes on until it is ended.
///
/// As many clients as there are requests in a second send one each second, so that one that waits does not hold
/// up the others, and so that no process is started for a request: on two cores that alone would be half a core.
#[derive(Debug)]
pub struct Probe {
    clients: Vec<Client>,
}

#[derive(Debug)]
struct Client {
    curl: Child,
    answers: Option<JoinHandle<(u32, Vec<String>)>>,
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.curl.kill();
        let _ = self.curl.wait();
    }
}

impl Probe {
    /// Begins to ask for the Node of `host`, with the certificate of its kubelet, at `server`.
    ///
    /// # Panics
    /// When curl cannot be started.
    pub fn begin(host: &Host, server: &str) -> Probe {
        let begin = Instant::now();
        let mut clients = Vec::new();
        for number in 0..PER_SECOND {
            let due = begin + Duration::from_secs(1) / PER_SECOND * number;
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            // The number changes nothing; it makes curl ask again.
            let url = format!("{server}/api/v1/nodes/{}?request=[1-100000]", host.name());
            let mut command = curl(host, ["ca.crt", "kubelet-client.crt", "kubelet-client.key"])
                .expect("a running host");
            let mut child = command
                .args([
                    "--rate",
                    "1/s",
                    "--http1.1",
                    "--header",
                    "Connection: close",
                ])
                .args(["--output", "/dev/null", "--write-out", ANSWER])
                .arg(url)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::piped())
                .spawn()
                .expect("curl");
            let lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
            let answers = std::thread::spawn(move || {
                let (mut sent, mut failed) = (0, Vec::new());
                for line in lines.map_while(Result::ok) {
                    sent += 1;
                    if !line.starts_with("200 0 ") {
                        let at = begin.elapsed().as_secs_f64();
                        failed.push(format!("after {at:.1} s: {line}"));
                    }
                }
                (sent, failed)
            });
            clients.push(Client {
                curl: child,
                answers: Some(answers),
            });
        }
        Probe { clients }
    }

    /// Ends the stream; how many requests were answered, and what those that failed said.
    ///
    /// # Panics
    /// When the stream broke.
    pub fn end(self) -> (u32, Vec<String>) {
        let (mut sent, mut failed) = (0, Vec::new());
        for mut client in self.clients {
            let ended = client.curl.try_wait().expect("curl");
            assert_eq!(ended, None, "curl ended by itself");
            let _ = client.curl.kill();
            let answers = client.answers.take().expect("a reader");
            let (more, reasons) = answers.join().expect("the reader");
            sent += more;
            failed.extend(reasons);
        }
        assert!(sent > 0, "no request was answered");
        (sent, failed)
    }
}

/// Asks a URL from inside the network of a host, with the machine's curl, since a bare host has none: what it
/// answers, and the status. `pki` are the names of authority, certificate and key below /etc/kubernetes/pki.
///
/// # Errors
/// What curl says.
pub fn get(host: &Host, pki: [&str; 3], words: &[&str]) -> Result<(String, String), String> {
    let output = curl(host, pki)?
        .args(["--show-error", "--write-out", "\n%{http_code}"])
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

/// The machine's curl in the network of a host, with keys of the host.
fn curl(host: &Host, pki: [&str; 3]) -> Result<Command, String> {
    let root = host.root_dir().map_err(|error| error.to_string())?;
    let process = root.parent().ok_or("no process")?;
    let file = |name: &str| root.join("etc/kubernetes/pki").join(name);
    let [authority, certificate, key] = pki.map(file);
    let mut command = Command::new("nsenter");
    command
        .arg(format!("--net={}", process.join("ns/net").display()))
        .args(["--", "curl", "--silent", "--max-time", "20", "--cacert"])
        .arg(authority)
        .arg("--cert")
        .arg(certificate)
        .arg("--key")
        .arg(key);
    Ok(command)
}
