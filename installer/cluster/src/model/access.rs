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

/// An SSH log-in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ssh {
    /// Name or address to connect to.
    pub host: String,
    /// Port.
    pub port: u16,
    /// User.
    pub user: String,
    /// Private key; without one the SSH agent is asked.
    pub key_file: Option<PathBuf>,
    /// How the user becomes root; `None` for root.
    pub sudo: Option<Sudo>,
    /// The host to go through.
    pub jump: Option<Box<Ssh>>,
}

/// How a user becomes root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Sudo {
    /// A file (mode 0600 or stricter) whose first line is the password; without one sudo must not ask.
    pub password_file: Option<PathBuf>,
}
