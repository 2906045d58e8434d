//! Hosts over SSH (russh): host keys checked, keys or agent, jump host, sudo with or without password.

mod connect;
mod known_hosts;

use crate::TransportError;
use crate::host::{Exit, Host, Process, quote, run};
use crate::secret::Secret;
use futures::FutureExt;
use futures::future::BoxFuture;
use russh::ChannelMsg;
use russh::client::Handle;
use std::path::PathBuf;
use std::time::Duration;
use tokio::io::{AsyncWriteExt, DuplexStream};

pub use known_hosts::KnownHosts;

/// How a host is reached.
#[derive(Debug, Clone)]
pub struct SshTarget {
    /// Name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// User to log in as.
    pub user: String,
    /// Private key; without one the SSH agent is asked.
    pub key_file: Option<PathBuf>,
    /// Passphrase of the private key.
    pub passphrase: Option<Secret>,
    /// Whether commands go through sudo, and with which password.
    pub sudo: Sudo,
    /// The host to go through.
    pub jump: Option<Box<SshTarget>>,
    /// How long to wait for an answer while connecting.
    pub timeout: Duration,
    /// How long a connected host may be silent before it counts as lost.
    pub silence: Duration,
}

/// How a user becomes root.
#[derive(Debug, Clone)]
pub enum Sudo {
    /// The user is root.
    No,
    /// sudo asks for no password.
    WithoutPassword,
    /// sudo asks for this password.
    WithPassword(Secret),
}

impl SshTarget {
    fn address(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

/// An authenticated connection to a host.
pub struct SshHost {
    target: SshTarget,
    session: Handle<connect::Client>,
    /// Kept alive for as long as the session that runs through it.
    _jump: Option<Handle<connect::Client>>,
}

impl SshHost {
    /// Connects, checks the host key, logs in, and makes sure that commands can run as root.
    ///
    /// # Errors
    /// The first thing that stands in the way, with its remedy.
    pub async fn connect(
        target: SshTarget,
        known_hosts: &KnownHosts,
    ) -> Result<Self, TransportError> {
        let (session, jump) = connect::session(&target, known_hosts).await?;
        let host = Self {
            target,
            session,
            _jump: jump,
        };
        host.become_root().await?;
        Ok(host)
    }

    /// Fails early and clearly when sudo does not work; later a wrong password would eat the input.
    async fn become_root(&self) -> Result<(), TransportError> {
        let refuse = |reason: String| TransportError::Sudo {
            address: self.target.address(),
            user: self.target.user.clone(),
            reason,
        };
        let output = run(self, "id -u", b"").await?;
        // Its last line tells; those before are for someone who would type again.
        let said = output.exit.stderr.trim().lines().last().unwrap_or_default();
        let said = said.strip_prefix("sudo: ").unwrap_or(said);
        match (&self.target.sudo, output.exit.status) {
            (_, Some(0)) if output.stdout.trim_ascii() == b"0" => Ok(()),
            (Sudo::No, _) => Err(refuse(
                "it is not root; set `sudo: {}` for it, or log in as root".into(),
            )),
            (_, Some(127)) => Err(refuse("sudo is not installed there; log in as root".into())),
            (Sudo::WithoutPassword, _) => Err(refuse(format!(
                "sudo wants a password ({said}); give one with `sudo: {{passwordFile: ...}}`, or allow NOPASSWD"
            ))),
            (Sudo::WithPassword(_), _) => Err(refuse(format!(
                "sudo refused the password ({said}); check the file `passwordFile` names"
            ))),
        }
    }

    fn wrap(&self, command: &str) -> String {
        match &self.target.sudo {
            Sudo::No => command.into(),
            Sudo::WithoutPassword => format!("sudo -n -- /bin/sh -c {}", quote(command)),
            // The prompt is empty, so that standard error holds what matters; the timestamp is ignored,
            // so that the password is always read and never left in the command's input.
            Sudo::WithPassword(_) => format!("sudo -k -S -p '' -- /bin/sh -c {}", quote(command)),
        }
    }
}

impl Host for SshHost {
    fn address(&self) -> String {
        self.target.address()
    }

    fn start<'a>(&'a self, command: &'a str) -> BoxFuture<'a, Result<Process, TransportError>> {
        async move {
            let broken = |error: russh::Error| TransportError::Broken {
                address: self.target.address(),
                reason: error.to_string(),
            };
            let channel = self.session.channel_open_session().await.map_err(broken)?;
            channel
                .exec(true, self.wrap(command))
                .await
                .map_err(broken)?;
            let (mut read, write) = channel.split();
            let mut stdin = write.make_writer();
            if let Sudo::WithPassword(password) = &self.target.sudo {
                let line = Secret::new(format!("{}\n", password.expose()));
                stdin
                    .write_all(line.expose().as_bytes())
                    .await
                    .map_err(|error| TransportError::Broken {
                        address: self.target.address(),
                        reason: error.to_string(),
                    })?;
            }
            let (stdout, mut pump): (DuplexStream, DuplexStream) = tokio::io::duplex(1 << 20);
            let exit = tokio::spawn(async move {
                // Holding the write half keeps the channel open until the process has ended.
                let _write = write;
                let mut exit = Exit {
                    status: None,
                    stderr: String::new(),
                };
                while let Some(message) = read.wait().await {
                    match message {
                        ChannelMsg::Data { data } => _ = pump.write_all(&data).await,
                        ChannelMsg::ExtendedData { data, .. } => {
                            exit.stderr.push_str(&String::from_utf8_lossy(&data));
                            let cut = exit.stderr.len().saturating_sub(8192);
                            if let Some((at, _)) =
                                exit.stderr.char_indices().find(|(at, _)| *at >= cut)
                            {
                                exit.stderr.drain(..at);
                            }
                        }
                        ChannelMsg::ExitStatus { exit_status } => exit.status = Some(exit_status),
                        ChannelMsg::Close => break,
                        _ => {}
                    }
                }
                exit
            });
            let exit = async move {
                exit.await.unwrap_or(Exit {
                    status: None,
                    stderr: String::new(),
                })
            };
            Ok(Process {
                stdin: Box::new(stdin),
                stdout: Box::new(stdout),
                exit: exit.boxed(),
            })
        }
        .boxed()
    }
}
