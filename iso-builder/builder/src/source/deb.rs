//! Debian packages: finds what a set needs, fetches it through apt, unpacks it into a layer.
//!
//! Fetching goes through apt as the machine is configured, so the archive's signatures are
//! checked there; here each file is compared with the lock file. No package script is run.

mod fetch;
mod unpack;

pub use fetch::fetch;
pub use unpack::{MERGED, unpack};

use crate::process::{self, ProcessError};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use thiserror::Error;

/// A package pinned by its content.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Full version, with epoch and revision.
    pub version: String,
    /// `amd64` or `all`.
    pub architecture: String,
    /// SHA-256 of the package file, hexadecimal.
    pub sha256: String,
}

/// Why packages cannot be had.
#[derive(Debug, Error)]
pub enum DebError {
    /// apt failed.
    #[error(
        "apt cannot give {what}; run `apt-get update`, and if the archive has moved on, \
         `iso-builder lock`"
    )]
    Apt {
        /// What was asked for.
        what: String,
        /// What it said.
        source: ProcessError,
    },
    /// apt's answer is not understood.
    #[error("apt knows no {what}; check the name in component.yaml and run `apt-get update`")]
    Unknown {
        /// What was asked for.
        what: String,
    },
    /// Another file than the one that was locked.
    #[error(
        "the package {package} has the SHA-256 {actual}, the lock file says {expected}; \
         run `iso-builder lock` if you mean to take another version"
    )]
    Digest {
        /// The package.
        package: String,
        /// As locked.
        expected: String,
        /// As fetched.
        actual: String,
    },
    /// The package file is damaged or of a kind that is not known.
    #[error("cannot unpack the package {package}")]
    Unpack {
        /// The package.
        package: String,
        /// What went wrong.
        source: io::Error,
    },
    /// The system refused.
    #[error("cannot write {path}")]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Asks apt which packages `wanted` needs on a machine that has nothing but `assume`.
///
/// # Errors
/// When apt cannot resolve them.
pub fn resolve(
    wanted: &[String],
    assume: &[String],
    scratch: &Path,
) -> Result<Vec<Package>, DebError> {
    let what = wanted.join(", ");
    let apt = |source| DebError::Apt {
        what: what.clone(),
        source,
    };
    let status = scratch.join("status");
    let installed: String = assume
        .iter()
        .map(|name| {
            format!(
                "Package: {name}\nStatus: install ok installed\nVersion: 9999:0\n\
                 Architecture: all\nMulti-Arch: allowed\nMaintainer: none\nDescription: assumed\n\n"
            )
        })
        .collect();
    fs::write(&status, installed).map_err(|source| DebError::Write {
        path: status.clone(),
        source,
    })?;
    let mut command = Command::new("apt-get");
    command
        .arg("-o")
        .arg(format!("Dir::State::status={}", status.display()))
        .args([
            "--no-install-recommends",
            "--print-uris",
            "--yes",
            "install",
        ])
        .args(wanted);
    let listing = process::run_text(&mut command).map_err(apt)?;
    let mut packages = listing
        .lines()
        .filter_map(|line| line.strip_prefix('\'')?.split_whitespace().nth(1))
        .map(|file| describe(file, &apt))
        .collect::<Result<Vec<_>, _>>()?;
    packages.sort();
    if packages.is_empty() {
        return Err(DebError::Unknown { what });
    }
    Ok(packages)
}

/// Completes a file name such as `libmnl0_1.0.4-3_amd64.deb` with its SHA-256.
fn describe(file: &str, apt: &dyn Fn(ProcessError) -> DebError) -> Result<Package, DebError> {
    let unknown = || DebError::Unknown {
        what: format!("package file {file}"),
    };
    let mut parts = file.trim_end_matches(".deb").split('_');
    let (Some(name), Some(version), Some(architecture)) =
        (parts.next(), parts.next(), parts.next())
    else {
        return Err(unknown());
    };
    let version = version.replace("%3a", ":");
    let mut command = Command::new("apt-cache");
    command.args(["show", &format!("{name}={version}")]);
    let text = process::run_text(&mut command).map_err(apt)?;
    let sha256 = text
        .lines()
        .find_map(|line| line.strip_prefix("SHA256: "))
        .ok_or_else(unknown)?;
    Ok(Package {
        name: name.to_owned(),
        version,
        architecture: architecture.to_owned(),
        sha256: sha256.trim().to_owned(),
    })
}
