//! Fetches package files through apt, and compares each with what was locked.

use super::{DebError, Package};
use crate::process;
use ingot_bundle::digest_of_file;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

fn digest(path: &Path) -> io::Result<String> {
    let found = digest_of_file(path).map(|(digest, _)| digest.hex());
    found.map_err(io::Error::other)
}

/// Gives the files of packages, in their order: from `folder` what was fetched before, the rest by one
/// call of apt, which reads its lists once.
///
/// # Errors
/// When apt cannot give one, or gives another content than the one locked.
pub fn fetch(
    packages: &[Package],
    folder: &Path,
    scratch: &Path,
) -> Result<Vec<PathBuf>, DebError> {
    let kept = |package: &Package| folder.join(format!("{}.deb", package.sha256));
    let is_kept =
        |package: &&Package| digest(&kept(package)).is_ok_and(|actual| actual == package.sha256);
    let missing: Vec<&Package> = packages
        .iter()
        .filter(|package| !is_kept(package))
        .collect();
    if !missing.is_empty() {
        download(&missing, scratch)?;
    }
    for package in missing {
        keep(package, scratch, &kept(package))?;
    }
    Ok(packages.iter().map(kept).collect())
}

fn download(packages: &[&Package], scratch: &Path) -> Result<(), DebError> {
    let mut command = Command::new("apt-get");
    command
        .current_dir(scratch)
        // The sandbox user of apt may not write here; nothing but a download happens.
        .args(["-o", "APT::Sandbox::User=root", "download"]);
    for package in packages {
        let architecture = architecture(package);
        command.arg(format!(
            "{}:{architecture}={}",
            package.name, package.version
        ));
    }
    process::run(&mut command).map(drop).map_err(|source| {
        let names: Vec<String> = packages.iter().map(|package| pinned(package)).collect();
        DebError::Apt {
            what: names.join(", "),
            source,
        }
    })
}

/// Takes a file that apt has laid into `scratch`, if it is the one that was locked.
fn keep(package: &Package, scratch: &Path, kept: &Path) -> Result<(), DebError> {
    let file = scratch.join(format!(
        "{}_{}_{}.deb",
        package.name,
        package.version.replace(':', "%3a"),
        package.architecture
    ));
    let failed = |source| DebError::Write {
        path: file.clone(),
        source,
    };
    let actual = digest(&file).map_err(failed)?;
    if actual != package.sha256 {
        return Err(DebError::Digest {
            package: pinned(package),
            expected: package.sha256.clone(),
            actual,
        });
    }
    fs::rename(&file, kept).map_err(failed)
}

fn pinned(package: &Package) -> String {
    format!("{}={}", package.name, package.version)
}

/// apt takes `all` packages under the machine's own architecture.
fn architecture(package: &Package) -> &str {
    if package.architecture == "all" {
        "amd64"
    } else {
        &package.architecture
    }
}
