//! What the machine must have before a guest can be made; all that is missing is named at once.

use nix::unistd::geteuid;

use crate::apt_sources;
use crate::program;
use crate::requirements::Missing;

/// Programs and the Debian packages they are in.
const PROGRAMS: &[(&str, &str)] = &[
    ("qemu-system-x86_64", "qemu-system-x86"),
    ("qemu-img", "qemu-utils"),
    ("mke2fs", "e2fsprogs"),
    ("mmdebstrap", "mmdebstrap"),
    ("ssh", "openssh-client"),
    ("ssh-keygen", "openssh-client"),
    ("tar", "tar"),
];

pub(super) fn missing() -> Vec<Missing> {
    let mut missing = Vec::new();
    if !geteuid().is_root() {
        missing.push(Missing {
            what: "root".into(),
            remedy: "the guests' root disk is installed as root; run as root (for example with \
                     sudo)"
                .into(),
            package: None,
        });
    }
    if !apt_sources::are_configured() {
        missing.push(Missing {
            what: "an apt source for the guests' root".into(),
            remedy: format!(
                "add a source of Debian {} (component main) to /etc/apt, or name a sources file in {}",
                apt_sources::RELEASE,
                apt_sources::OVERRIDE
            ),
            package: None,
        });
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
    missing
}
