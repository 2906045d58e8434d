//! An SSH server inside a test: which keys it has and what its commands answer is the test's choice. It
//! lets everybody in, runs nothing, and never answers a request to connect to another host. It knows how
//! commands begin: with a line on the channel that says how their output is marked.

use russh::keys::PrivateKey;
use russh::keys::key::safe_rng;
use russh::keys::ssh_key::LineEnding;
use russh::server::{Auth, ChannelOpenHandle, Config, Handler, Msg, Session, VerifiedPublicKey};
use russh::{Channel, ChannelId};
use std::collections::HashMap;
use std::io;
use std::net::TcpListener;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

pub use russh::keys::Algorithm;

/// What a command says.
#[derive(Debug, Clone)]
pub struct Answer {
    /// On its standard output.
    pub stdout: Vec<u8>,
    /// How it ends; `None` if it goes on.
    pub status: Option<u32>,
}

impl Answer {
    /// A command that ends well.
    pub fn well(stdout: impl Into<Vec<u8>>) -> Self {
        Self {
            stdout: stdout.into(),
            status: Some(0),
        }
    }
}

type Answers = Arc<dyn Fn(&str) -> Answer + Send + Sync>;

/// A server on a port of this machine, for as long as the test runs.
pub struct SshServer {
    /// Its port on 127.0.0.1.
    pub port: u16,
    /// What it shows, one for each type it was started with: type and key in base64.
    pub keys: Vec<String>,
}

impl SshServer {
    /// Starts a server with new keys of these types.
    ///
    /// # Errors
    /// When keys cannot be made or no port is free.
    pub fn start(
        kinds: &[Algorithm],
        answers: impl Fn(&str) -> Answer + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let keys = kinds.iter().map(|kind| new_key(kind.clone()));
        let keys = keys.collect::<io::Result<Vec<_>>>()?;
        let public = keys.iter().map(|key| key.public_key().to_openssh());
        let public = public.collect::<Result<_, _>>().map_err(io::Error::other)?;
        let listener = TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let port = listener.local_addr()?.port();
        let config = Arc::new(Config {
            keys,
            ..Config::default()
        });
        let answers: Answers = Arc::new(answers);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        std::thread::spawn(move || runtime.block_on(serve(listener, config, answers)));
        Ok(Self { port, keys: public })
    }
}

async fn serve(listener: TcpListener, config: Arc<Config>, answers: Answers) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    loop {
        let (stream, _) = listener.accept().await?;
        let guest = Guest {
            answers: Arc::clone(&answers),
            begun: HashMap::new(),
            waiting: Vec::new(),
        };
        let config = Arc::clone(&config);
        tokio::spawn(async move {
            if let Ok(session) = russh::server::run_stream(config, stream, guest).await {
                // Whoever is refused goes away in the middle of the key exchange.
                let _ = session.await;
            }
        });
    }
}

fn new_key(kind: Algorithm) -> io::Result<PrivateKey> {
    PrivateKey::random(&mut safe_rng(), kind).map_err(io::Error::other)
}

/// Writes a new private key for somebody who logs in.
///
/// # Errors
/// When it cannot be made or written.
pub fn write_private_key(path: &Path) -> io::Result<()> {
    let text = new_key(Algorithm::Ed25519)?.to_openssh(LineEnding::LF);
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    io::Write::write_all(&mut file, text.map_err(io::Error::other)?.as_bytes())
}

struct Guest {
    answers: Answers,
    /// What came on each channel before its first line was whole.
    begun: HashMap<ChannelId, Vec<u8>>,
    /// Requests that are not answered: dropping them would refuse them.
    waiting: Vec<ChannelOpenHandle>,
}

impl Handler for Guest {
    type Error = russh::Error;

    async fn auth_publickey(
        &mut self,
        _user: &str,
        _key: VerifiedPublicKey<'_>,
    ) -> Result<Auth, Self::Error> {
        Ok(Auth::Accept)
    }

    async fn channel_open_session(
        &mut self,
        _channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        reply.accept().await;
        Ok(())
    }

    async fn channel_open_direct_tcpip(
        &mut self,
        _channel: Channel<Msg>,
        _host: &str,
        _port: u32,
        _from: &str,
        _from_port: u32,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        self.waiting.push(reply);
        Ok(())
    }

    async fn exec_request(
        &mut self,
        channel: ChannelId,
        _command: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        self.begun.insert(channel, Vec::new());
        session.channel_success(channel)
    }

    async fn data(
        &mut self,
        channel: ChannelId,
        data: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        let Some(begun) = self.begun.get_mut(&channel) else {
            return Ok(());
        };
        begun.extend_from_slice(data);
        let Some(end) = begun.iter().position(|byte| *byte == b'\n') else {
            return Ok(());
        };
        let line = String::from_utf8_lossy(&begun[..end]).into_owned();
        self.begun.remove(&channel);
        let (mark, command) = marked(&line);
        session.data(channel, format!("a start-up file speaks\n{mark}\n"))?;
        let answer = (self.answers)(command);
        session.data(channel, answer.stdout)?;
        if let Some(status) = answer.status {
            session.exit_status_request(channel, status)?;
            session.eof(channel)?;
            session.close(channel)?;
        }
        Ok(())
    }
}

/// The mark that shall stand before the output of a command, and the command.
fn marked(line: &str) -> (String, &str) {
    let (marks, command) = line.split_once(">&2; ").unwrap_or((line, ""));
    let nonce = marks.split_whitespace().last().unwrap_or_default();
    (format!("ingot-{nonce}"), command)
}
