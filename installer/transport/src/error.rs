//! What stands in the way of reaching or using a host, with what to do about it.

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
    /// The host is on record by the authority that certifies its key, and certificates are not checked here.
    #[error(
        "the SSH host key of {address} is not known ({fingerprint}): {known_hosts} line {line} names an authority for it, and certificates of hosts are not checked here; compare the key with the host's console and add it to the file"
    )]
    CertifiedKey {
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
    /// The host does not let the user in.
    #[error(
        "{address} refuses user `{user}` ({offered}); add the public key to ~{user}/.ssh/authorized_keys on the host"
    )]
    Authentication {
        /// Address and port.
        address: String,
        /// The user.
        user: String,
        /// What was offered.
        offered: String,
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
