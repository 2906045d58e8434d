//! What the machine must have before a lab can be made; all that is missing is named at once.
//!
//! It changes nothing on the machine: the network check happens in a namespace that ends with it.

use std::fmt;
use std::fs;
use std::process::Command;

use nix::sched::{CloneFlags, unshare};
use nix::unistd::geteuid;

use crate::apt_sources;
use crate::cgroup::Layout;
use crate::program;
use crate::state::StateDir;

/// Something a lab needs that this machine lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// What is missing.
    pub what: String,
    /// What to do about it.
    pub remedy: String,
    /// The Debian package that would bring it, if one would.
    pub package: Option<&'static str>,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.remedy)
    }
}

/// Programs and the Debian packages they are in.
const PROGRAMS: &[(&str, &str)] = &[
    ("mmdebstrap", "mmdebstrap"),
    ("ip", "iproute2"),
    ("nsenter", "util-linux"),
    ("ssh-keygen", "openssh-client"),
];

/// Everything that is missing; empty if a lab can be made.
pub(crate) fn missing() -> Vec<Missing> {
    let mut missing = Vec::new();
    let mut add = |what: &str, remedy: &str| {
        missing.push(Missing {
            what: what.into(),
            remedy: remedy.into(),
            package: None,
        });
    };
    let root = geteuid().is_root();
    if !root {
        add(
            "root",
            "hosts need namespaces, mounts and cgroups; run as root (for example with sudo)",
        );
    }
    let file_systems = fs::read_to_string("/proc/filesystems").unwrap_or_default();
    if !file_systems
        .split_whitespace()
        .any(|word| word == "overlay")
    {
        add(
            "the overlay file system",
            "load the kernel module `overlay`, or use a kernel with it",
        );
    }
    if let Err(error) = Layout::read() {
        add("cgroups", &error.to_string());
    }
    if let Some(kind) = kind_of_file_system_below(&StateDir::from_env()) {
        add(
            "a disk directory for hosts",
            &format!(
                "the state directory lies on {kind}, which cannot hold the hosts' layers; set \
                 INGOT_LAB_DIR to a directory on a disk"
            ),
        );
    }
    if !apt_sources::are_configured() {
        let text = format!(
            "add a source of Debian {} (component main) to /etc/apt, or name a sources file in {}",
            apt_sources::RELEASE,
            apt_sources::OVERRIDE
        );
        add("an apt source for the hosts' root", &text);
    }
    for (name, package) in PROGRAMS
        .iter()
        .filter(|(name, _)| !program::is_installed(name))
    {
        missing.push(Missing {
            what: format!("the program `{name}`"),
            remedy: format!("apt-get install {package}"),
            package: Some(package),
        });
    }
    if root
        && program::is_installed("ip")
        && let Some(link) = missing_link_kind()
    {
        missing.push(Missing {
            what: format!("network links of kind {link}"),
            remedy: format!("load the kernel module `{link}`, or use a kernel with it"),
            package: None,
        });
    }
    missing
}

/// Tries each kind of link the lab uses in a network namespace that ends with the attempt.
fn missing_link_kind() -> Option<&'static str> {
    std::thread::scope(|scope| {
        let attempt = scope.spawn(|| {
            if unshare(CloneFlags::CLONE_NEWNET).is_err() {
                return None;
            }
            ["bridge", "veth"].into_iter().find(|kind| {
                let name = format!("try-{kind}");
                program::run(Command::new("ip").args(["link", "add", &name, "type", kind])).is_err()
            })
        });
        attempt.join().ok().flatten()
    })
}

/// The kind of file system the state directory lies on, if it cannot hold an overlay's upper layer
/// (or would keep whole hosts in memory).
fn kind_of_file_system_below(state: &StateDir) -> Option<String> {
    let mut dir = state.path();
    while !dir.exists() {
        dir = dir.parent()?;
    }
    let dir = dir.canonicalize().ok()?;
    let table = fs::read_to_string("/proc/self/mountinfo").ok()?;
    let mut best: Option<(usize, String)> = None;
    for line in table.lines() {
        let (left, right) = line.split_once(" - ")?;
        let (mount, kind) = (left.split(' ').nth(4)?, right.split(' ').next()?);
        // The last mount on a path is the visible one, hence `>=`.
        let longer = best.as_ref().is_none_or(|(len, _)| mount.len() >= *len);
        if dir.starts_with(mount) && longer {
            best = Some((mount.len(), kind.to_owned()));
        }
    }
    best.map(|(_, kind)| kind)
        .filter(|kind| ["overlay", "tmpfs", "ramfs", "squashfs"].contains(&kind.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_directory_in_memory_is_refused_and_one_on_disk_is_not() {
        let in_memory = StateDir::at("/dev/shm/ingot/does/not/exist/yet".into());
        assert_eq!(kind_of_file_system_below(&in_memory), Some("tmpfs".into()));
        // /proc is no place for it either, but it says so itself when written to.
        assert_eq!(
            kind_of_file_system_below(&StateDir::at("/proc/self".into())),
            None
        );
    }

    #[test]
    fn a_missing_thing_reads_as_a_sentence_with_the_remedy() {
        let missing = Missing {
            what: "the program `ip`".into(),
            remedy: "apt-get install iproute2".into(),
            package: Some("iproute2"),
        };
        assert_eq!(
            missing.to_string(),
            "the program `ip`: apt-get install iproute2"
        );
    }
}
