//! kubectl as an administrator uses it, through the load balancer of any host.
//!
//! The program and a kubeconfig of its own are taken out of the cluster once; from then on nothing of
//! the installer is involved. It runs in the network of a host, not in its file system, since workers
//! have no kubectl.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use ingot_harness::Host;
use serde_json::Value;

use crate::cluster::Cluster;
use crate::wait;

/// How long a pod may take to come up.
const POD_DEADLINE: Duration = Duration::from_secs(90);

/// kubectl in the network of a host.
#[derive(Debug, Clone)]
pub struct Kubectl {
    dir: PathBuf,
    host: Host,
}

impl Kubectl {
    /// Takes program and access out of a cluster.
    pub(crate) fn of(cluster: &Cluster<'_>) -> Kubectl {
        let dir = cluster.lab.driver_dir();
        let host = cluster.control_planes().remove(0);
        let mut command = cluster.command(&["kubeconfig"]);
        let output = command
            .arg("--to")
            .arg(dir.join("kubeconfig"))
            .output()
            .expect("ingot kubeconfig");
        assert!(output.status.success(), "ingot kubeconfig: {output:?}");
        let releases = host.var_lib_dir().join("ingot/releases");
        let release = std::fs::read_dir(&releases)
            .expect("releases")
            .flatten()
            .next();
        let program = release.expect("a release").path().join("kubectl/kubectl");
        std::fs::copy(program, dir.join("kubectl")).expect("kubectl of the release");
        Kubectl { dir, host }
    }

    /// The same through the load balancer of another host.
    pub fn through(&self, host: &Host) -> Kubectl {
        Kubectl {
            dir: self.dir.clone(),
            host: host.clone(),
        }
    }

    /// The same with a token of a service account instead of the certificate.
    ///
    /// # Panics
    /// When there is no directory for it.
    pub fn with_token(&self, name: &str, token: &str) -> Kubectl {
        let text = self.ok(&["config", "view", "--raw", "-o", "json"]);
        let mut config: Value = serde_json::from_str(&text).expect("a kubeconfig");
        config["users"][0]["user"] = serde_json::json!({ "token": token });
        let dir = self.dir.join(name);
        std::fs::create_dir_all(&dir).expect("a directory");
        std::fs::copy(self.dir.join("kubectl"), dir.join("kubectl")).expect("kubectl");
        std::fs::write(dir.join("kubeconfig"), config.to_string()).expect("a kubeconfig");
        Kubectl {
            dir,
            host: self.host.clone(),
        }
    }

    fn command(&self, words: &[&str]) -> Command {
        let root = self.host.root_dir().expect("a running host");
        let process = root.parent().expect("a process").to_path_buf();
        // A server that vanished in mid-answer would hold a command for minutes.
        let mut command = Command::new("timeout");
        command
            .args(["40", "nsenter"])
            .arg(format!("--net={}", process.join("ns/net").display()))
            .arg("--")
            .arg(self.dir.join("kubectl"))
            .arg(format!(
                "--kubeconfig={}",
                self.dir.join("kubeconfig").display()
            ))
            .arg("--server=https://127.0.0.1:7443")
            .args(words)
            // It keeps what the server offers below its home directory.
            .env("HOME", &self.dir)
            .stdin(Stdio::null());
        command
    }

    /// Runs kubectl; what it printed, or why it failed.
    pub fn run(&self, words: &[&str]) -> Result<String, String> {
        let output = self
            .command(words)
            .output()
            .map_err(|error| error.to_string())?;
        said(words, &output)
    }

    /// Runs kubectl, which must succeed.
    ///
    /// # Panics
    /// When it fails.
    #[track_caller]
    pub fn ok(&self, words: &[&str]) -> String {
        self.run(words).unwrap_or_else(|reason| panic!("{reason}"))
    }

    /// Runs kubectl with `-o json`; what it printed, or why it failed.
    pub fn json(&self, words: &[&str]) -> Result<Value, String> {
        let words: Vec<&str> = words.iter().copied().chain(["-o", "json"]).collect();
        serde_json::from_str(&self.run(&words)?).map_err(|error| error.to_string())
    }

    /// Applies an object.
    ///
    /// # Panics
    /// When it is refused.
    #[track_caller]
    pub fn apply(&self, object: &Value) {
        self.try_apply(object)
            .unwrap_or_else(|reason| panic!("{reason}"));
    }

    /// Applies an object; what was said, or why it was refused.
    ///
    /// # Panics
    /// When kubectl cannot be run.
    pub fn try_apply(&self, object: &Value) -> Result<String, String> {
        let words = ["apply", "-f", "-"];
        let mut command = self.command(&words);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("kubectl");
        let text = object.to_string();
        child
            .stdin
            .take()
            .expect("a pipe")
            .write_all(text.as_bytes())
            .expect("kubectl reads");
        let output = child.wait_with_output().expect("kubectl");
        said(&words, &output)
    }

    /// A shell script in a pod of namespace kube-system; what it printed, or why it failed.
    pub fn shell(&self, pod: &str, script: &str) -> Result<String, String> {
        self.run(&[
            "-n",
            "kube-system",
            "exec",
            pod,
            "--",
            "/usr/bin/timeout",
            // A connection to a Service without its rules hangs; the next one may find them.
            "15",
            "/usr/bin/bash",
            "-c",
            script,
        ])
    }

    /// A line as an administrator types it into a shell, with `kubectl` in it.
    ///
    /// # Panics
    /// When it fails.
    #[track_caller]
    pub fn typed(&self, line: &str) {
        let kubectl = self.command(&[]);
        let words = std::iter::once(kubectl.get_program()).chain(kubectl.get_args());
        let words: Vec<String> = words
            .map(|word| format!("'{}'", word.to_string_lossy()))
            .collect();
        let script = format!("kubectl() {{ {} \"$@\"; }}\n{line}", words.join(" "));
        let output = Command::new("bash")
            .args(["-euo", "pipefail", "-c", &script])
            .env("HOME", &self.dir)
            .output()
            .expect("a shell");
        said(&[line], &output).unwrap_or_else(|reason| panic!("{reason}"));
    }

    /// Waits until these nodes, and no others, are there and Ready.
    pub fn nodes_are_ready(&self, names: &[&str], deadline: Duration) -> Duration {
        let wait = wait::until("all nodes are Ready", deadline, || {
            let nodes = self.json(&["get", "nodes", "--request-timeout=5s"])?;
            let mut ready = Vec::new();
            for node in nodes["items"].as_array().into_iter().flatten() {
                let name = node["metadata"]["name"].as_str().unwrap_or_default();
                if condition(node, "Ready") {
                    ready.push(name.to_owned());
                }
            }
            ready.sort();
            if ready == names {
                Ok(())
            } else {
                Err(format!("ready are {ready:?}"))
            }
        });
        wait.1
    }

    /// Waits until the pods with this label in kube-system, and as many as wanted, are Ready; returns
    /// their names with the nodes they are on.
    pub fn pods_are_ready(&self, label: &str, count: usize) -> Vec<(String, String)> {
        let name = format!("{count} pods with {label} are Ready");
        let (pods, _) = wait::until(&name, POD_DEADLINE, || {
            let words = [
                "-n",
                "kube-system",
                "get",
                "pods",
                "-l",
                label,
                "--request-timeout=5s",
            ];
            let found = self.json(&words)?;
            let mut pods = Vec::new();
            for pod in found["items"].as_array().into_iter().flatten() {
                let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                if !condition(pod, "Ready") || !pod["metadata"]["deletionTimestamp"].is_null() {
                    let states = pod["status"]["containerStatuses"].to_string();
                    return Err(format!("{} is not: {states}", pod["metadata"]["name"]));
                }
                pods.push((
                    text(&pod["metadata"]["name"]),
                    text(&pod["spec"]["nodeName"]),
                ));
            }
            pods.sort();
            if pods.len() == count {
                Ok(pods)
            } else {
                Err(format!("there are {}", pods.len()))
            }
        });
        pods
    }
}

/// Whether a condition of an object is true.
pub fn condition(object: &Value, kind: &str) -> bool {
    let all = object["status"]["conditions"].as_array();
    all.into_iter()
        .flatten()
        .any(|c| c["type"] == kind && c["status"] == "True")
}

fn said(words: &[&str], output: &Output) -> Result<String, String> {
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    Err(format!(
        "kubectl {}: {} {}",
        words.join(" "),
        out.trim(),
        err.trim()
    ))
}
