//! What is written down.

use crate::process::ProcessId;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// How long a lab lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Lifetime {
    /// Until the creating process ends, however it ends. For tests.
    Process,
    /// Until it is deleted. For sandboxes.
    Kept,
}

/// What a lab is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct LabRecord {
    /// Random; tells a lab from a later one of the same name.
    pub(crate) id: String,
    pub(crate) lifetime: Lifetime,
    pub(crate) bridges: u8,
    /// Seconds since 1970.
    pub(crate) created: u64,
    pub(crate) creator: Option<ProcessId>,
}

/// What is installed on a fresh host besides the minimum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum RootVariant {
    /// systemd, sshd and iproute2; root logs in with the lab's key.
    Minimal,
    /// Also sudo, `admin` (password [`crate::ADMIN_PASSWORD`], asked for by sudo) and `deploy` (sudo
    /// asks for nothing); both log in with the lab's key.
    Sudo,
}

/// What a host is; unchanged by boots.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct HostRecord {
    /// Number in the lab from 1: the last part of the addresses and MACs.
    pub(crate) index: u8,
    pub(crate) variant: RootVariant,
    /// The read-only tree below the host's root.
    pub(crate) base: PathBuf,
    pub(crate) cpus: Option<u32>,
    /// Bytes.
    pub(crate) memory: Option<u64>,
    /// Public SSH host key: type and base64, without a comment.
    pub(crate) host_key: String,
    /// Whether all cables are pulled.
    pub(crate) unplugged: bool,
}

/// What a host does now; written by its supervisor.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct RunRecord {
    pub(crate) supervisor: Option<ProcessId>,
    /// PID 1 of the host, as the machine numbers it.
    pub(crate) init: Option<ProcessId>,
    /// Boots since the host exists.
    pub(crate) boots: u64,
    /// Why the host is off, if the last boot or run failed.
    pub(crate) failure: Option<String>,
    /// Cgroups made for the host, written before they are made.
    pub(crate) cgroups: Vec<PathBuf>,
}
