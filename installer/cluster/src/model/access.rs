//! The way to a server.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// How a server is reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Access {
    /// It is the machine the installer runs on.
    Local,
    /// Over SSH.
    Ssh(Ssh),
}

/// An SSH log-in. What is not given comes from the SSH configuration of who runs the installer, and then
/// from the defaults.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ssh {
    /// Name or address to connect to.
    pub host: String,
    /// Port, where it is given.
    pub port: Option<u16>,
    /// User, where one is given.
    pub user: Option<String>,
    /// Private key; without one those are used that ssh would use.
    pub key_file: Option<PathBuf>,
    /// Whether the keys of the SSH agent are used and no files.
    pub only_agent: bool,
    /// How the user becomes root, who is not root.
    pub sudo: Sudo,
    /// The host to go through.
    pub jump: Option<Box<Ssh>>,
}

impl Ssh {
    /// The port that is meant when nothing else says so.
    pub fn given_port(&self) -> u16 {
        self.port.unwrap_or(crate::spec::SSH_PORT)
    }
}

/// How a user becomes root.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Sudo {
    /// A file (mode 0600 or stricter) whose first line is the password; without one sudo must not ask.
    pub password_file: Option<PathBuf>,
}
