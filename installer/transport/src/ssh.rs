//! Hosts over SSH (russh): host keys checked, keys or agent, jump host, sudo with or without password.

mod algorithms;
pub mod config;
mod exchange;
mod greeting;
mod key_file;
mod known_hosts;
mod legacy_pem;
mod log_in;
mod offers;
mod opening;
mod pool;
mod root;
mod session;
mod tcp;

use crate::TransportError;
use crate::host::{Exit, Host, Process};
use crate::secret::Secret;
use futures::FutureExt;
use futures::future::BoxFuture;
use opening::{Beginning, LOGIN, NotStarted, Step, Way};
use russh::client::Msg;
use russh::{Channel, ChannelMsg, ChannelReadHalf, ChannelWriteHalf};
use session::Session;
use std::time::Duration;
use tokio::io::{AsyncWrite, AsyncWriteExt, DuplexStream};
use tokio::time::timeout;

pub use known_hosts::KnownHosts;
pub use offers::Keys;
pub use pool::Pool;

/// How a host is reached.
#[derive(Debug, Clone)]
pub struct SshTarget {
    /// Name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// User to log in as.
    pub user: String,
    /// The name under which its host key is on record, where that is not host and port.
    pub host_key_alias: Option<String>,
    /// What the user logs in with.
    pub keys: Keys,
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
    /// sudo asks for this password, or for none.
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

    /// What tells one log-in at a jump host from another.
    fn door(&self) -> String {
        let through = match &self.jump {
            Some(jump) => format!(" through {}", jump.door()),
            None => String::new(),
        };
        let keys: Vec<String> = self
            .keys
            .files
            .iter()
            .map(|path| path.display().to_string())
            .collect();
        format!(
            "{}@{} {}{through}",
            self.user,
            self.address(),
            keys.join(" ")
        )
    }
}

/// An authenticated connection to a host.
pub struct SshHost {
    target: SshTarget,
    known_hosts: KnownHosts,
    pool: Pool,
    session: Session,
    way: Way,
}

/// A channel that commands are started on, and the connection that was made for it alone.
type Opened = (Channel<Msg>, Option<Session>);

/// A command that was begun.
enum Begun {
    Runs(Process),
    Not(NotStarted),
}

impl SshHost {
    /// Connects, checks the host key, logs in, and makes sure that commands can run as root. Hosts that are
    /// connected with the same `pool` share the connections to their jump hosts.
    ///
    /// # Errors
    /// The first thing that stands in the way, with its remedy.
    pub async fn connect(
        target: SshTarget,
        known_hosts: &KnownHosts,
        pool: &Pool,
    ) -> Result<Self, TransportError> {
        let session = session::open(&target, known_hosts, pool).await?;
        let mut host = Self {
            way: Way {
                sudo: Sudo::No,
                terminal: false,
            },
            target,
            known_hosts: known_hosts.clone(),
            pool: pool.clone(),
            session,
        };
        host.way = root::way(&host).await?;
        Ok(host)
    }

    /// The connection has come to an end.
    fn broken(&self, session: &Session) -> TransportError {
        let closed = || "the host closed it; its log says why (`journalctl -u ssh -u sshd`)".into();
        TransportError::Broken {
            address: self.target.address(),
            reason: session.heard.end().unwrap_or_else(closed),
        }
    }

    /// A channel for a command. A server that takes one session a connection (MaxSessions 1), or no more on
    /// this one, is given another connection for it.
    async fn channel(&self) -> Result<Opened, TransportError> {
        match self.session.handle.channel_open_session().await {
            Ok(channel) => return Ok((channel, None)),
            Err(russh::Error::ChannelOpenFailure(_)) => {}
            Err(_) => return Err(self.broken(&self.session)),
        }
        let spare = session::open(&self.target, &self.known_hosts, &self.pool).await?;
        match spare.handle.channel_open_session().await {
            Ok(channel) => Ok((channel, Some(spare))),
            Err(russh::Error::ChannelOpenFailure(reason)) => Err(TransportError::NoSession {
                address: self.target.address(),
                said: spare
                    .heard
                    .unopened_since(0)
                    .unwrap_or_else(|| reason.description().to_lowercase()),
            }),
            Err(_) => Err(self.broken(&spare)),
        }
    }

    /// Begins `command` in this way; it runs, or it is known why not.
    async fn begin(&self, way: &Way, command: &str) -> Result<Begun, TransportError> {
        let (channel, spare) = self.channel().await?;
        let session = spare.as_ref().unwrap_or(&self.session);
        let started = channel.exec(true, LOGIN).await;
        started.map_err(|_| self.broken(session))?;
        let (read, write) = channel.split();
        let mut stdin: Box<dyn AsyncWrite + Send + Unpin> = Box::new(write.make_writer());
        let mut start = Start {
            read,
            stdin: &mut stdin,
            status: None,
        };
        let (lines, mut beginning) = Beginning::new(way.open(command));
        let begun = async {
            start.send(&lines).await;
            start.watch(&mut beginning).await
        };
        match timeout(self.target.silence, begun).await {
            Ok(Some(output)) => {
                let channel = Running {
                    read: start.read,
                    write,
                    _spare: spare,
                };
                Ok(Begun::Runs(channel.process(stdin, output, beginning)))
            }
            Ok(None) if session.handle.is_closed() => Err(self.broken(session)),
            Ok(None) => Ok(Begun::Not(beginning.failed(start.status))),
            Err(_) => Ok(Begun::Not(beginning.failed(None))),
        }
    }
}

/// A command that is being started.
struct Start<'a> {
    read: ChannelReadHalf,
    stdin: &'a mut Box<dyn AsyncWrite + Send + Unpin>,
    status: Option<u32>,
}

impl Start<'_> {
    /// What cannot be sent any more is of no interest: what comes back tells why.
    async fn send(&mut self, text: &Secret) {
        let _ = self.stdin.write_all(text.expose().as_bytes()).await;
        let _ = self.stdin.flush().await;
    }

    /// Until the command runs, and the beginning of its output then; `None` if it never will.
    async fn watch(&mut self, beginning: &mut Beginning) -> Option<Vec<u8>> {
        while let Some(message) = self.read.wait().await {
            let step = match message {
                ChannelMsg::Data { data } => beginning.output(&data),
                ChannelMsg::ExtendedData { data, .. } => beginning.error(&data),
                ChannelMsg::ExitStatus { exit_status } => {
                    self.status = Some(exit_status);
                    Step::Wait
                }
                // The request to run something was refused.
                ChannelMsg::Failure | ChannelMsg::Close => return None,
                _ => Step::Wait,
            };
            match step {
                Step::Wait => {}
                Step::Send(text) => self.send(&text).await,
                Step::Refused => _ = self.stdin.shutdown().await,
                Step::Runs(output) => {
                    if let Some(command) = beginning.command() {
                        self.send(&command).await;
                    }
                    return Some(output);
                }
            }
        }
        None
    }
}

/// A command that runs.
struct Running {
    read: ChannelReadHalf,
    /// Holding the write half keeps the channel open until the process has ended.
    write: ChannelWriteHalf<Msg>,
    /// The connection that was made for it.
    _spare: Option<Session>,
}

impl Running {
    fn process(
        self,
        stdin: Box<dyn AsyncWrite + Send + Unpin>,
        output: Vec<u8>,
        beginning: Beginning,
    ) -> Process {
        let (stdout, pump): (DuplexStream, DuplexStream) = tokio::io::duplex(1 << 20);
        let exit = tokio::spawn(self.follow(pump, output, beginning));
        let exit = async move {
            exit.await.unwrap_or(Exit {
                status: None,
                stderr: String::new(),
            })
        };
        Process {
            stdin,
            stdout: Box::new(stdout),
            exit: exit.boxed(),
        }
    }

    async fn follow(
        mut self,
        mut pump: DuplexStream,
        output: Vec<u8>,
        beginning: Beginning,
    ) -> Exit {
        let mut errors = beginning.errors();
        let mut status = None;
        let _ = pump.write_all(&output).await;
        while let Some(message) = self.read.wait().await {
            match message {
                ChannelMsg::Data { data } => _ = pump.write_all(&data).await,
                ChannelMsg::ExtendedData { data, .. } => errors.add(&data),
                ChannelMsg::ExitStatus { exit_status } => status = Some(exit_status),
                ChannelMsg::Close => break,
                _ => {}
            }
        }
        drop(self.write);
        Exit {
            status,
            stderr: errors.text(),
        }
    }
}

impl Host for SshHost {
    fn address(&self) -> String {
        self.target.address()
    }

    fn start<'a>(&'a self, command: &'a str) -> BoxFuture<'a, Result<Process, TransportError>> {
        async move {
            match self.begin(&self.way, command).await? {
                Begun::Runs(process) => Ok(process),
                Begun::Not(failure) => Err(root::refusal(self, &failure, None)),
            }
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests;
