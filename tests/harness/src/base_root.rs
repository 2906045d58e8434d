//! The read-only tree below every host's root: a minimal Debian, built once and kept.
//!
//! What a dark site gives us is systemd, sshd and iproute2; nothing may be added here to make the
//! product's life easier. A tree is named by the digest of what went into it, so a changed recipe
//! is a new tree and an unchanged one is never built twice, also not by two processes at once.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::apt_sources::{self, RELEASE};
use crate::program::{self, ProgramError};
use crate::state::{self, RootVariant, StateError};

/// Password of the user `admin` on hosts of [`RootVariant::Sudo`].
pub const ADMIN_PASSWORD: &str = "ingot-test";

/// Changes whenever [`finish`] changes what it does to a tree.
const RECIPE: &str = "1";

const PACKAGES: &[&str] = &["systemd", "systemd-sysv", "openssh-server", "iproute2"];

/// The tree could not be built.
#[derive(Debug, Error)]
pub enum BaseRootError {
    /// A file of the cache could not be handled.
    #[error("cannot prepare the hosts' root in the cache")]
    Cache(#[from] StateError),
    /// mmdebstrap failed.
    #[error(
        "cannot install the hosts' root; check that `apt-get update` works on this machine, or name \
         a sources file in {}",
        apt_sources::OVERRIDE
    )]
    Install(#[source] ProgramError),
}

/// The tree of a variant, built if the cache lacks it.
pub(crate) fn get(variant: RootVariant, progress: &dyn Fn(&str)) -> Result<PathBuf, BaseRootError> {
    let cache = cache_dir().join("lab-root");
    let tree = cache.join(tree_name(variant));
    if tree.is_dir() {
        return Ok(tree);
    }
    state::create_dir(&cache)?;
    let _lock = state::lock_file(&cache.join(format!(".lock-{}", tree_name(variant))))?;
    if tree.is_dir() {
        return Ok(tree);
    }
    progress("installing the hosts' root (once per machine, about a minute)");
    let partial = cache.join(format!(".partial-{}", tree_name(variant)));
    state::remove_tree(&partial)?;
    install(variant, &partial, &cache)?;
    finish(&partial)?;
    fs::rename(&partial, &tree).map_err(|e| state::access("rename", &partial, e))?;
    Ok(tree)
}

/// `$INGOT_CACHE`, or the user's cache directory.
pub(crate) fn cache_dir() -> PathBuf {
    let var = |name: &str| {
        std::env::var_os(name)
            .filter(|v| !v.is_empty())
            .map(PathBuf::from)
    };
    var("INGOT_CACHE")
        .or_else(|| Some(var("XDG_CACHE_HOME")?.join("ingot")))
        .or_else(|| Some(var("HOME")?.join(".cache/ingot")))
        .unwrap_or_else(|| "/var/cache/ingot".into())
}

fn packages(variant: RootVariant) -> Vec<&'static str> {
    let mut packages = PACKAGES.to_vec();
    match variant {
        RootVariant::Minimal => {}
        RootVariant::Sudo => packages.push("sudo"),
    }
    packages
}

/// Commands run by mmdebstrap with the tree as `$1`, once the packages are in.
fn hooks(variant: RootVariant) -> Vec<String> {
    match variant {
        RootVariant::Minimal => Vec::new(),
        RootVariant::Sudo => vec![
            "chroot \"$1\" useradd -m -s /bin/bash -G sudo admin".into(),
            format!("echo admin:{ADMIN_PASSWORD} | chroot \"$1\" chpasswd"),
            "chroot \"$1\" useradd -m -s /bin/bash deploy".into(),
            "echo 'deploy ALL=(ALL:ALL) NOPASSWD: ALL' >\"$1\"/etc/sudoers.d/deploy".into(),
            "chmod 0440 \"$1\"/etc/sudoers.d/deploy".into(),
        ],
    }
}

fn tree_name(variant: RootVariant) -> String {
    let mut digest = Sha256::new();
    for part in [RECIPE, RELEASE].into_iter().chain(packages(variant)) {
        digest.update(part);
        digest.update([0]);
    }
    for hook in hooks(variant) {
        digest.update(hook);
        digest.update([0]);
    }
    let hex: String = digest
        .finalize()
        .iter()
        .take(8)
        .map(|b| format!("{b:02x}"))
        .collect();
    let name = match variant {
        RootVariant::Minimal => "minimal",
        RootVariant::Sudo => "sudo",
    };
    format!("{RELEASE}-{name}-{hex}")
}

fn install(variant: RootVariant, tree: &Path, cache: &Path) -> Result<(), BaseRootError> {
    // mmdebstrap tells the form of a sources file by its extension.
    let sources = cache.join(format!(".lab-{}.sources", std::process::id()));
    apt_sources::write_to(&sources).map_err(|e| state::access("write", &sources, e))?;
    let mut command = Command::new("mmdebstrap");
    command
        .args(["--variant=minbase", "--mode=root", "--format=directory"])
        .arg(format!("--include={}", packages(variant).join(",")))
        .args(
            hooks(variant)
                .iter()
                .map(|hook| format!("--customize-hook={hook}")),
        )
        .arg(RELEASE)
        .arg(tree)
        .arg(&sources);
    let result = program::run(&mut command);
    let _ = fs::remove_file(&sources);
    result.map(drop).map_err(BaseRootError::Install)
}

/// Takes out what belongs to one host or to the building machine.
pub(crate) fn finish(tree: &Path) -> Result<(), BaseRootError> {
    for emptied in [
        "etc/apt/sources.list.d",
        "etc/apt/auth.conf.d",
        "var/cache/apt",
        "var/lib/apt/lists",
    ] {
        let path = tree.join(emptied);
        state::remove_tree(&path)?;
        state::create_dir(&path)?;
    }
    let ssh = tree.join("etc/ssh");
    let keys = fs::read_dir(&ssh).map_err(|e| state::access("list", &ssh, e))?;
    for key in keys
        .flatten()
        .filter(|e| e.file_name().to_string_lossy().starts_with("ssh_host_"))
    {
        fs::remove_file(key.path()).map_err(|e| state::access("remove", &key.path(), e))?;
    }
    // Present but empty: no name server is what an air-gapped host has.
    for empty in ["etc/resolv.conf", "etc/machine-id", "etc/fstab"] {
        state::write_file(&tree.join(empty), "")?;
    }
    // The timers would wake up to look for packages that no host can fetch, and disturb timings.
    for timer in ["apt-daily.timer", "apt-daily-upgrade.timer"] {
        let _ = fs::remove_file(
            tree.join("etc/systemd/system/timers.target.wants")
                .join(timer),
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_is_named_by_what_goes_into_it() {
        let (minimal, sudo) = (
            tree_name(RootVariant::Minimal),
            tree_name(RootVariant::Sudo),
        );
        assert!(minimal.starts_with("bookworm-minimal-"), "{minimal}");
        assert_ne!(minimal.rsplit('-').next(), sudo.rsplit('-').next());
    }

    #[test]
    fn the_minimal_root_is_the_promised_one() {
        let expected = ["systemd", "systemd-sysv", "openssh-server", "iproute2"];
        assert_eq!(packages(RootVariant::Minimal), expected);
        assert_eq!(hooks(RootVariant::Minimal), Vec::<String>::new());
    }
}
