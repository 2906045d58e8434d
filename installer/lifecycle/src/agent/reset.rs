//! Takes everything back: workloads stopped, the journal undone, our directories gone.
//!
//! Works on a host in any state, also a half-installed one, and can be repeated. What could not be
//! taken back is returned in words.

use crate::paths;
use ingot_engine::System;
use ingot_engine::undo::undo;
use nix::mount::{MntFlags, umount2};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub mod nftables;

/// What the mounts of workloads begin with. What is mounted on these directories themselves is a disk
/// that the site gave us and keeps.
const MOUNTS: [&str; 4] = [
    "/run/containerd/",
    "/var/lib/containerd/",
    "/var/lib/kubelet/",
    "/run/netns/cni-",
];
/// What programs made while they ran and no state describes.
const RUNTIME: [&str; 5] = [
    "/run/containerd",
    "/run/flannel",
    "/run/xtables.lock",
    "/var/lib/cni",
    super::cni::CONFLIST,
];
/// Directories that are ours alone; those that were there before us stay, empty.
const EMPTIED: [&str; 5] = [
    "/var/lib/kubelet",
    "/var/lib/containerd",
    "/var/lib/etcd",
    "/var/log/containers",
    "/var/log/pods",
];
/// Network interfaces of the pod network.
const LINKS: [&str; 2] = ["cni0", "flannel.1"];
/// nftables tables of kube-proxy and flannel.
const TABLES: [(nftables::Family, &str); 4] = [
    (nftables::Family::Ip, "kube-proxy"),
    (nftables::Family::Ip6, "kube-proxy"),
    (nftables::Family::Ip, "flannel-ipv4"),
    (nftables::Family::Ip6, "flannel-ipv6"),
];

/// Takes everything back; returns what could not be.
pub fn reset() -> Vec<String> {
    let system = System::this_host(Arc::new(super::blobs::BlobStore::of_host()));
    let run = |program: &str, args: &[&str]| {
        system
            .commands
            .run(program, args)
            .is_ok_and(|o| o.success())
    };
    let mut problems = Vec::new();

    // The kubelet first: it would start again what is stopped.
    for unit in [
        "kubelet.service",
        "ingot-cni.path",
        // It stays active once it has run; left so, it would not run for the next installation.
        "ingot-cni.service",
        "containerd.service",
        "ingot-registry.service",
    ] {
        if Path::new("/etc/systemd/system").join(unit).exists() {
            run("systemctl", &["stop", unit]);
        }
    }
    if let Err(left) = kill_workloads() {
        problems.push(format!("these processes of workloads do not end: {left}"));
    }
    for path in mounts() {
        // A busy mount is detached: its last user is gone in a moment.
        if let Err(error) = umount2(path.as_str(), MntFlags::MNT_DETACH) {
            problems.push(format!("cannot unmount {path}: {error}"));
        }
    }
    for entry in std::fs::read_dir("/run/netns")
        .into_iter()
        .flatten()
        .flatten()
    {
        if entry.file_name().to_string_lossy().starts_with("cni-") {
            let _ = std::fs::remove_file(entry.path());
        }
    }
    for link in LINKS {
        if Path::new("/sys/class/net").join(link).exists() && !run("ip", &["link", "delete", link])
        {
            problems.push(format!("cannot delete the network interface {link}"));
        }
    }
    for (family, table) in TABLES {
        if let Err(error) = nftables::delete_table(family, table) {
            problems.push(format!("cannot delete the nftables table {table}: {error}"));
        }
    }
    remove_cgroups();
    // Empty cgroups of slices are systemd's to remove.
    run("systemctl", &["stop", "kubepods.slice"]);

    match ingot_engine::Journal::open(Path::new(paths::JOURNAL)) {
        Ok(journal) => match undo(&system, &journal, &|_| {}) {
            Ok(failures) => {
                problems.extend(failures.iter().map(|failure| crate::error::chain(failure)))
            }
            Err(error) => problems.push(crate::error::chain(&error)),
        },
        Err(error) => problems.push(crate::error::chain(&error)),
    }
    run("systemctl", &["reset-failed"]);
    for path in RUNTIME {
        remove(Path::new(path), &mut problems);
    }
    for path in EMPTIED {
        empty(Path::new(path), &mut problems);
    }
    if problems.is_empty() {
        // With problems the journal stays, so that the next reset can go on.
        remove(Path::new(paths::HOME), &mut problems);
    }
    problems
}

fn remove(path: &Path, problems: &mut Vec<String>) {
    let removed = match std::fs::symlink_metadata(path) {
        Err(_) => return,
        Ok(meta) if meta.is_dir() => std::fs::remove_dir_all(path),
        Ok(_) => std::fs::remove_file(path),
    };
    if let Err(error) = removed {
        problems.push(format!("cannot remove {}: {error}", path.display()));
    }
}

/// Removes what is in a directory, but for what a file system keeps at its root.
fn empty(path: &Path, problems: &mut Vec<String>) {
    for entry in std::fs::read_dir(path).into_iter().flatten().flatten() {
        if entry.file_name() != "lost+found" {
            remove(&entry.path(), problems);
        }
    }
}

/// Processes of pods (by their cgroup) and of containerd's shims (by their program).
fn workloads() -> Vec<(i32, String)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse::<i32>().ok())
        else {
            continue;
        };
        let read =
            |name: &str| std::fs::read_to_string(entry.path().join(name)).unwrap_or_default();
        let pod = read("cgroup").contains("kubepods");
        let shim = std::fs::read_link(entry.path().join("exe")).is_ok_and(|exe| {
            exe.starts_with(paths::RELEASES) && exe.to_string_lossy().contains("shim")
        });
        if pod || shim {
            found.push((pid, read("comm").trim().to_owned()));
        }
    }
    found
}

fn kill_workloads() -> Result<(), String> {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let left = workloads();
        if left.is_empty() {
            return Ok(());
        }
        if Instant::now() > deadline {
            let names: Vec<String> = left
                .iter()
                .map(|(pid, name)| format!("{name} ({pid})"))
                .collect();
            return Err(names.join(", "));
        }
        for (pid, _) in left {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Mount points of workloads, the deepest first.
fn mounts() -> Vec<String> {
    of_workloads(&std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default())
}

fn of_workloads(mountinfo: &str) -> Vec<String> {
    let mut found: Vec<String> = mountinfo
        .lines()
        .filter_map(|line| line.split_whitespace().nth(4))
        .filter(|path| MOUNTS.iter().any(|prefix| path.starts_with(prefix)))
        .map(|path| path.replace("\\040", " "))
        .collect();
    found.reverse();
    found
}

/// Removes the cgroups of pods, the deepest first; those of systemd slices fall to systemd.
fn remove_cgroups() {
    fn descend(path: &Path, inside: bool) {
        for entry in std::fs::read_dir(path).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                let ours = inside || entry.file_name().to_string_lossy().starts_with("kubepods");
                descend(&entry.path(), ours);
                if ours {
                    let _ = std::fs::remove_dir(entry.path());
                }
            }
        }
    }
    descend(Path::new("/sys/fs/cgroup"), false);
}

#[cfg(test)]
mod tests {
    use super::{empty, of_workloads};

    #[test]
    fn disks_of_the_site_are_not_unmounted() {
        let line = |path: &str| format!("36 35 98:0 / {path} rw,noatime - ext4 /dev/sdb1 rw\n");
        let mounted = [
            "/var/lib/containerd",
            "/var/lib/kubelet",
            "/var/lib/kubelet-backup",
            "/var/lib/kubelet/pods/7/volumes/my\\040data",
            "/run/netns/cni-4711",
            "/run/netns/site",
        ];
        let text: String = mounted.map(line).concat();
        assert_eq!(
            of_workloads(&text),
            [
                "/run/netns/cni-4711",
                "/var/lib/kubelet/pods/7/volumes/my data"
            ]
        );
    }

    #[test]
    fn a_directory_that_was_there_before_stays_and_is_empty() {
        let directory = tempfile::tempdir().unwrap();
        for name in ["member/wal", "lost+found"] {
            std::fs::create_dir_all(directory.path().join(name)).unwrap();
        }
        let mut problems = Vec::new();
        empty(directory.path(), &mut problems);
        assert_eq!(problems, [""; 0]);
        let left = std::fs::read_dir(directory.path()).unwrap();
        let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["lost+found"]);
    }
}
