//! The two clients that are compared: `ssh`, and our transport.

use crate::site::{Site, Sshd};
use ingot_transport::ssh::{KnownHosts, Sudo};
use ingot_transport::{Host, Keys, Pool, SshHost, SshTarget, run};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// A log-in.
#[derive(Clone)]
pub struct Login {
    pub user: String,
    pub keys: Keys,
    pub sudo: Sudo,
}

impl Login {
    /// With a key file.
    pub fn with(user: &str, key: &Path) -> Self {
        Self {
            user: user.into(),
            keys: Keys {
                files: vec![key.to_owned()],
                only_files: true,
                ..Keys::default()
            },
            sudo: Sudo::No,
        }
    }

    pub fn sudo(self, sudo: Sudo) -> Self {
        Self { sudo, ..self }
    }
}

pub fn target(sshd: &Sshd, login: &Login) -> SshTarget {
    SshTarget {
        host: sshd.address.clone(),
        port: sshd.port,
        user: login.user.clone(),
        host_key_alias: None,
        keys: login.keys.clone(),
        sudo: login.sudo.clone(),
        jump: None,
        timeout: Duration::from_secs(60),
        silence: Duration::from_secs(60),
    }
}

/// An error as the command line prints it.
pub fn told(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        if !text.ends_with(&inner.to_string()) {
            text = format!("{text}: {inner}");
        }
        cause = inner.source();
    }
    text
}

/// Connects, and makes sure that a command gets its input and gives its output byte for byte.
pub async fn ingot_at(target: SshTarget, known_hosts: PathBuf) -> Result<SshHost, String> {
    let known_hosts = KnownHosts {
        file: known_hosts,
        also: Vec::new(),
        accept_new: false,
    };
    let connected = SshHost::connect(target, &known_hosts, &Pool::default()).await;
    let host = connected.map_err(|error| told(&error))?;
    works(&host).await;
    Ok(host)
}

/// A connection that counts carries any bytes, an exit status, and standard error.
pub async fn works(host: &dyn Host) {
    let input: Vec<u8> = (0..200_000u32).map(|at| (at * 31 % 251) as u8).collect();
    let output = run(host, "cat; echo 'of the command' >&2; exit 7", &input).await;
    let output = output.unwrap_or_else(|error| panic!("{}", told(&error)));
    assert!(
        output.stdout == input,
        "{} bytes came back",
        output.stdout.len()
    );
    assert_eq!(output.exit.stderr, "of the command\n");
    assert_eq!(output.exit.status, Some(7));
}

pub async fn ingot(site: &Site, sshd: &Sshd, login: &Login) -> Result<SshHost, String> {
    ingot_at(target(sshd, login), site.known_hosts([sshd])).await
}

/// Whether `ssh` can do the same: without asking anybody, run a command as root. Its own words, if not.
pub fn ssh(site: &Site, sshd: &Sshd, login: &Login, options: &[String]) -> Result<(), String> {
    let known_hosts = site.known_hosts([sshd]);
    let mut command = Command::new("ssh");
    command
        .args([
            "-F",
            "none",
            "-o",
            "BatchMode=yes",
            "-o",
            "StrictHostKeyChecking=yes",
        ])
        .arg("-o")
        .arg(format!("UserKnownHostsFile={}", known_hosts.display()))
        .args(["-o", "GlobalKnownHostsFile=none"])
        .args(["-p", &sshd.port.to_string(), "-l", &login.user])
        .env_remove("SSH_AUTH_SOCK");
    if let Some(socket) = &login.keys.agent {
        command.env("SSH_AUTH_SOCK", socket);
    }
    for file in &login.keys.files {
        command.arg("-i").arg(file);
    }
    if login.keys.only_files {
        command.args(["-o", "IdentitiesOnly=yes"]);
    } else if login.keys.files.is_empty() {
        command.args(["-o", "IdentityFile=none"]);
    }
    command.args(options);
    let (remote, input) = match &login.sudo {
        Sudo::No => ("sh -c 'echo id-$(id -u)-'", String::new()),
        Sudo::WithoutPassword => ("sudo -n sh -c 'echo id-$(id -u)-'", String::new()),
        Sudo::WithPassword(password) => (
            "sudo -k -S -p '' sh -c 'echo id-$(id -u)-'",
            format!("{}\n", password.expose()),
        ),
    };
    let mut process = command
        .arg(&sshd.address)
        .arg(remote)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("ssh of openssh-client");
    // What does not wait for a password gets none.
    let _ = std::io::Write::write_all(&mut process.stdin.take().unwrap(), input.as_bytes());
    let output = process.wait_with_output().unwrap();
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout).into_owned(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    );
    match out.contains("id-0-") {
        true => Ok(()),
        false => Err(format!("{} {}", out.trim(), err.trim()).trim().to_owned()),
    }
}
