//! SSH keys of the lab's driver and of its hosts, and the known_hosts file.
//!
//! The only place that runs ssh-keygen.

use std::fs;
use std::path::Path;
use std::process::Command;

use thiserror::Error;

use crate::guest;
use crate::network::host_address;
use crate::program::{self, ProgramError};
use crate::state::{self, LabDir, StateError};

/// Keys could not be made or written.
#[derive(Debug, Error)]
pub enum KeyError {
    /// ssh-keygen failed.
    #[error("cannot make an SSH key")]
    Generate(#[source] ProgramError),
    /// A key or known_hosts could not be read or written.
    #[error("cannot store an SSH key")]
    Store(#[from] StateError),
}

/// Makes an Ed25519 key pair at `path` and `path.pub`; returns the public line without comment.
/// The private half has mode 0600.
pub(crate) fn generate(path: &Path) -> Result<String, KeyError> {
    let mut command = Command::new("ssh-keygen");
    command
        .args(["-q", "-t", "ed25519", "-N", "", "-C", "ingot-lab", "-f"])
        .arg(path);
    program::run(&mut command).map_err(KeyError::Generate)?;
    public_line(path)
}

/// The public half of the pair at `path`: type and base64.
pub(crate) fn public_line(path: &Path) -> Result<String, KeyError> {
    let public = path.with_extension("pub");
    let text = fs::read_to_string(&public).map_err(|e| state::access("read", &public, e))?;
    Ok(text
        .split_whitespace()
        .take(2)
        .collect::<Vec<_>>()
        .join(" "))
}

/// Writes known_hosts anew from the records of all hosts and guests. The caller holds the lab's lock.
pub(crate) fn write_known_hosts(lab: &LabDir, bridges: u8) -> Result<(), KeyError> {
    let mut text = String::new();
    for (index, host_key) in guest::members(lab)? {
        let addresses: Vec<String> = (0..bridges)
            .map(|b| host_address(b, index).to_string())
            .collect();
        text += &format!("{} {host_key}\n", addresses.join(","));
    }
    let path = lab.driver().join("known_hosts");
    // A test may be reading it while another host is being added.
    let partial = lab.driver().join(".known_hosts.partial");
    state::write_file(&partial, &text)?;
    fs::rename(&partial, &path).map_err(|e| state::access("replace", &path, e))?;
    Ok(())
}
