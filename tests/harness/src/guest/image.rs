//! What every guest boots: Debian's stock cloud kernel, an initrd, and a root disk, built once.
//!
//! Nothing is mounted to make the disk: mke2fs fills it from a tree. An image is named by the digest
//! of what went into it, as the hosts' trees are, and guests only ever read it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest, Sha256};

use super::error::ImageError;
use crate::apt_sources::{self, RELEASE};
use crate::base_root;
use crate::program;
use crate::state;

/// Changes whenever [`build`] changes what it does.
const RECIPE: &str = "1";

/// What a node that stores data has. `linux-image-cloud-amd64` brings every module for it: device
/// mapper (thin, snapshot, raid, crypt, flakey), XFS, overlay, VXLAN, br_netfilter, nf_tables.
const PACKAGES: &[&str] = &[
    "linux-image-cloud-amd64",
    "initramfs-tools",
    "systemd",
    "systemd-sysv",
    "dbus",
    "udev",
    "openssh-server",
    "iproute2",
    "nftables",
    "kmod",
    "procps",
    "util-linux",
    "e2fsprogs",
    "xfsprogs",
    "dmsetup",
    "lvm2",
    "thin-provisioning-tools",
    "cryptsetup-bin",
    "fio",
];

/// Bytes of the root disk. It is sparse, here and in every guest.
const ROOT_SIZE: &str = "16G";

/// Unpacks the guest's identity on its first boot, before systemd: see the module `identity`.
const FIRST_BOOT: &str = r#"#!/bin/sh
case "$1" in prereqs) exit 0 ;; esac
[ -e /identity.tar ] || exit 0
[ -e "$rootmnt/etc/ssh/ssh_host_ed25519_key" ] && exit 0
chroot "$rootmnt" tar -x -f - </identity.tar && sync
"#;

/// Only what finds the root disk: a full initrd takes an emulated processor seconds to unpack.
const INITRD_HOOK: &str = r#"
cd "$1"/etc && mkdir -p initramfs-tools/conf.d initramfs-tools/scripts/init-bottom
echo MODULES=list >initramfs-tools/conf.d/guest
printf 'virtio_pci\nvirtio_blk\n' >initramfs-tools/modules
cat >initramfs-tools/scripts/init-bottom/guest <<'END'
"#;

/// Services that only cost an emulated processor time, and one that a static address needs.
const SERVICES_HOOK: &str = r#"
chroot "$1" systemctl --quiet enable systemd-networkd.service
chroot "$1" systemctl --quiet disable systemd-networkd-wait-online.service
chroot "$1" systemctl --quiet mask e2scrub_all.timer e2scrub_reap.service fstrim.timer \
  getty@tty1.service serial-getty@ttyS0.service
chroot "$1" systemctl --quiet set-default multi-user.target
printf 'UseDNS no\nMaxSessions 100\nMaxStartups 100\n' >"$1"/etc/ssh/sshd_config.d/guest.conf
"#;

/// The files of an image.
#[derive(Debug, Clone)]
pub(super) struct Image {
    dir: PathBuf,
}

impl Image {
    pub(super) fn kernel(&self) -> PathBuf {
        self.dir.join("vmlinuz")
    }

    pub(super) fn initrd(&self) -> PathBuf {
        self.dir.join("initrd")
    }

    /// The root disk, raw. Only to be used as the backing file of a guest's own.
    pub(super) fn root(&self) -> PathBuf {
        self.dir.join("root.img")
    }
}

/// The image, built if the cache lacks it.
pub(super) fn get(progress: &dyn Fn(&str)) -> Result<Image, ImageError> {
    let cache = base_root::cache_dir().join("guest-image");
    let dir = cache.join(image_name());
    let image = Image { dir: dir.clone() };
    if dir.is_dir() {
        return Ok(image);
    }
    state::create_dir(&cache)?;
    let _lock = state::lock_file(&cache.join(format!(".lock-{}", image_name())))?;
    if dir.is_dir() {
        return Ok(image);
    }
    progress("building the guests' root disk (once per machine, one or two minutes)");
    let partial = cache.join(format!(".partial-{}", image_name()));
    state::remove_tree(&partial)?;
    state::create_dir(&partial)?;
    build(&partial)?;
    fs::rename(&partial, &dir).map_err(|e| state::access("rename", &partial, e))?;
    Ok(image)
}

fn image_name() -> String {
    let mut digest = Sha256::new();
    let hooks = [initrd_hook(), SERVICES_HOOK.to_owned()];
    let parts = [RECIPE, RELEASE, ROOT_SIZE].into_iter();
    for part in parts
        .chain(PACKAGES.iter().copied())
        .chain(hooks.iter().map(String::as_str))
    {
        digest.update(part);
        digest.update([0]);
    }
    let bytes = digest.finalize();
    let hex: String = bytes.iter().take(8).map(|b| format!("{b:02x}")).collect();
    format!("{RELEASE}-{hex}")
}

fn initrd_hook() -> String {
    let end = "END\nchmod 755 initramfs-tools/scripts/init-bottom/guest\n";
    format!("{INITRD_HOOK}{FIRST_BOOT}{end}")
}

fn build(dir: &Path) -> Result<(), ImageError> {
    let sources = dir.join("apt.sources");
    apt_sources::write_to(&sources).map_err(|e| state::access("write", &sources, e))?;
    let tree = dir.join("tree");
    let mut install = Command::new("mmdebstrap");
    install
        .args(["--variant=minbase", "--mode=root", "--format=directory"])
        .arg("--aptopt=APT::Install-Recommends \"false\"")
        .arg(format!("--include={}", PACKAGES.join(",")))
        // Before the kernel is installed, which is what makes the initrd.
        .arg(format!("--essential-hook={}", initrd_hook()))
        .arg(format!("--customize-hook={SERVICES_HOOK}"))
        .arg(RELEASE)
        .arg(&tree)
        .arg(&sources);
    program::run(&mut install).map_err(ImageError::Install)?;
    base_root::finish(&tree)?;
    for (prefix, name) in [("vmlinuz-", "vmlinuz"), ("initrd.img-", "initrd")] {
        let from = newest(&tree.join("boot"), prefix)?;
        let to = dir.join(name);
        fs::copy(&from, &to).map_err(|e| state::access("copy", &from, e))?;
    }
    let mut format = Command::new("mke2fs");
    format
        .args([
            "-q",
            "-t",
            "ext4",
            "-L",
            "root",
            "-E",
            "root_owner=0:0",
            "-d",
        ])
        .arg(&tree)
        .arg(dir.join("root.img"))
        .arg(ROOT_SIZE);
    program::run(&mut format).map_err(ImageError::Format)?;
    state::remove_tree(&tree)?;
    fs::remove_file(&sources).map_err(|e| state::access("remove", &sources, e))?;
    Ok(())
}

/// The kernel package names its files by version, and only one version is installed.
fn newest(boot: &Path, prefix: &str) -> Result<PathBuf, ImageError> {
    let entries = fs::read_dir(boot).map_err(|e| state::access("list", boot, e))?;
    entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| {
            let name = path.file_name().unwrap_or_default();
            name.to_string_lossy().starts_with(prefix)
        })
        .max()
        .ok_or_else(|| ImageError::NoKernel {
            dir: boot.to_owned(),
            prefix: prefix.to_owned(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_named_by_what_goes_into_it() {
        let name = image_name();
        assert_eq!(name, image_name());
        let digest = name.strip_prefix("bookworm-").unwrap();
        assert!(
            digest.len() == 16 && digest.bytes().all(|b| b.is_ascii_hexdigit()),
            "{name}"
        );
    }

    #[test]
    fn a_tree_without_a_kernel_is_refused_by_name() {
        let error = newest(Path::new("/proc/self/task"), "vmlinuz-").unwrap_err();
        assert!(error.to_string().contains("vmlinuz-"), "{error}");
    }
}
