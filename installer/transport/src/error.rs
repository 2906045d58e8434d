//! What stands in the way of reaching or using a host: which party said so, in its words, and what to do.

use std::sync::Arc;

/// A host could not be reached or used.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// The name has no address.
    #[error("cannot resolve `{name}`; write an IP address, or make the name known to this machine")]
    Resolve {
        /// The name.
        name: String,
        /// Why.
        source: std::io::Error,
    },
    /// Nothing answered in time.
    #[error(
        "no answer from {address} within {seconds} s; is it powered on, is the address right, does a firewall drop the connection?"
    )]
    Timeout {
        /// Address and port.
        address: String,
        /// How long was waited.
        seconds: u64,
    },
    /// The connection was refused or broke.
    #[error("cannot connect to {address}; is an SSH server running there?")]
    Connect {
        /// Address and port.
        address: String,
        /// Why.
        source: std::io::Error,
    },
    /// A server of another protocol answers.
    #[error(
        "what answers at {address} is no SSH server: it says \"{said}\"; check address and port"
    )]
    NotSsh {
        /// Address and port.
        address: String,
        /// What it said.
        said: String,
    },
    /// The server has closed the connection before anybody was logged in.
    #[error(
        "{address} closed the connection before the log-in{}; its log says why (`journalctl -u ssh -u sshd`): too many log-ins at once (MaxStartups), a block list, or a key of its own that it cannot read",
        match said { Some(said) => format!(" and said \"{said}\""), None => " without a word".into() }
    )]
    Dropped {
        /// Address and port.
        address: String,
        /// What it said.
        said: Option<String>,
    },
    /// The server offers nothing that is known here.
    #[error(
        "the SSH server at {address} has no {what} that is known here: it offers {theirs}; known are {ours}; add one of these to `{setting}` in its sshd_config"
    )]
    NoCommonAlgorithm {
        /// Address and port.
        address: String,
        /// What the algorithm is for.
        what: &'static str,
        /// What the server offers.
        theirs: String,
        /// What is known here.
        ours: String,
        /// The setting of sshd.
        setting: &'static str,
    },
    /// The jump host of this host cannot be used.
    #[error(transparent)]
    Jump(Arc<TransportError>),
    /// The jump host does not forward.
    #[error(
        "the jump host {jump} does not open a connection to {address}: {said}; `AllowTcpForwarding` and `PermitOpen` in its sshd_config and `restrict` or `permitopen` in authorized_keys decide that"
    )]
    Forward {
        /// Address and port behind the jump host.
        address: String,
        /// Address and port of the jump host.
        jump: String,
        /// What it said.
        said: String,
    },
    /// The host's key is not on record.
    #[error(
        "the SSH host key of {address} is not known ({fingerprint}); compare it with the host's console and add it to {known_hosts}, or run with --accept-new-host-keys"
    )]
    UnknownKey {
        /// Address and port.
        address: String,
        /// `SHA256:...`
        fingerprint: String,
        /// The file that was searched.
        known_hosts: String,
    },
    /// The host shows another key than the one on record.
    #[error(
        "the SSH host key of {address} is not the one in {known_hosts} line {line} ({fingerprint} now); the host was reinstalled, or someone is in between; remove the line only when you know which"
    )]
    ChangedKey {
        /// Address and port.
        address: String,
        /// `SHA256:...`
        fingerprint: String,
        /// The file.
        known_hosts: String,
        /// The line, from 1.
        line: usize,
    },
    /// The file of trusted host keys cannot be used.
    #[error(
        "cannot {action} the known SSH host keys in {path}; mend that, or name another file with --known-hosts"
    )]
    KnownHosts {
        /// What was tried: `read`, `add to`.
        action: &'static str,
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// A line about the host cannot be read: it may hold the key that the host must show.
    #[error(
        "the SSH host key of {address} cannot be checked: {known_hosts} line {line} may be about it and {reason}; mend that line, it is not guessed at"
    )]
    UnreadableKey {
        /// Address and port.
        address: String,
        /// The file.
        known_hosts: String,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// The host shows a key that must not be trusted any more.
    #[error(
        "the SSH host key of {address} ({fingerprint}) is revoked by {known_hosts} line {line}: whoever has it may pose as the host; make the host a new key and add that"
    )]
    RevokedKey {
        /// Address and port.
        address: String,
        /// `SHA256:...`
        fingerprint: String,
        /// The file.
        known_hosts: String,
        /// The line, from 1.
        line: usize,
    },
    /// The host is on record by the authority that certifies its key, and shows none that it certifies.
    #[error(
        "the SSH host key of {address} is not known ({fingerprint}): {known_hosts} line {line} names an authority for it, and {reason}; mend the certificate of the host (`HostCertificate` in its sshd_config), or compare the key with the host's console and add it to the file"
    )]
    CertifiedKey {
        /// What is wrong with the certificate.
        reason: String,
        /// Address and port.
        address: String,
        /// `SHA256:...`
        fingerprint: String,
        /// The file.
        known_hosts: String,
        /// The line, from 1.
        line: usize,
    },
    /// The private key cannot be used.
    #[error("cannot use the private key {path}: {reason}")]
    Key {
        /// The file.
        path: String,
        /// Why.
        reason: String,
    },
    /// The SSH agent cannot be used.
    #[error("cannot use the SSH agent: {reason}; start one and add a key, or set `keyFile`")]
    Agent {
        /// Why.
        reason: String,
    },
    /// There is no key to log in with.
    #[error("no key can be offered: {reason}; name one with `keyFile`")]
    NoKey {
        /// What is wrong with those that there are.
        reason: String,
    },
    /// The host does not let the user in.
    #[error("{address} refuses user `{user}` ({offered}); {remedy}")]
    Authentication {
        /// Address and port.
        address: String,
        /// The user.
        user: String,
        /// What was offered, and what the host said.
        offered: String,
        /// What to do.
        remedy: String,
    },
    /// The server has ended the connection since too many keys were offered.
    #[error(
        "{address} ended the log-in of user `{user}` after {offered} keys, {left} were left{}; name the right one with `keyFile`, so that it is offered first, or raise `MaxAuthTries` in its sshd_config",
        match said { Some(said) => format!(", and said \"{said}\""), None => ", without a word".into() }
    )]
    TooManyTries {
        /// Address and port.
        address: String,
        /// The user.
        user: String,
        /// How many keys were offered.
        offered: usize,
        /// How many were left.
        left: usize,
        /// What the server said.
        said: Option<String>,
    },
    /// The user is let in and gets no shell.
    #[error(
        "user `{user}` is logged in to {address} and can run nothing there: the host said {}{status}; {remedy}",
        match said { Some(said) => format!("\"{said}\""), None => "nothing".into() }
    )]
    Shell {
        /// Address and port.
        address: String,
        /// The user.
        user: String,
        /// What the host said.
        said: Option<String>,
        /// How what ran instead has ended.
        status: String,
        /// What to do.
        remedy: &'static str,
    },
    /// The server lets users in and opens no session for them.
    #[error(
        "{address} lets the user in and opens no session: {said}; `MaxSessions` in its sshd_config must be at least 1"
    )]
    NoSession {
        /// Address and port.
        address: String,
        /// What it said.
        said: String,
    },
    /// sudo does not work for the user.
    #[error("user `{user}` cannot become root on {address}: {reason}")]
    Sudo {
        /// Address and port.
        address: String,
        /// The user.
        user: String,
        /// What sudo said, and what to do.
        reason: String,
    },
    /// The connection broke or the protocol failed later on.
    #[error("the connection to {address} broke: {reason}")]
    Broken {
        /// Address and port.
        address: String,
        /// Why.
        reason: String,
    },
    /// A command that must succeed failed.
    #[error("`{command}` failed on {address} with {status}: {stderr}")]
    Command {
        /// Address and port.
        address: String,
        /// What was run.
        command: String,
        /// The exit status or signal.
        status: String,
        /// What it said.
        stderr: String,
    },
}

impl TransportError {
    /// Whether the same may succeed a moment later: the server was busy with other log-ins.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            // This one is told to stay away (PerSourcePenalties of sshd); coming again makes it longer.
            Self::Dropped { said, .. } => !said
                .as_deref()
                .is_some_and(|said| said.starts_with("Not allowed at this time")),
            // The queue of connections that nobody has accepted yet is full.
            Self::Connect { source, .. } => source.kind() == std::io::ErrorKind::ConnectionReset,
            _ => false,
        }
    }
}
