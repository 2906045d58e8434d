//! Takes everything back: workloads stopped, the journal undone, our directories gone.
//!
//! Works on a node in any state, also a half-installed one, and can be repeated. It never begins on a host
//! that is not the node it was asked for. What could not be taken back is returned in words.

use super::belonging::{self, Verdict};
use super::etcd::leaving::Extent;
use super::prepared::Prepared;
use crate::paths;
use ingot_engine::System;
use ingot_engine::resource::ResourceError;
use ingot_engine::undo::undo;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

pub mod files;
mod leave;
pub mod nftables;
mod workloads;

/// Network interfaces of the pod network.
const LINKS: [&str; 2] = ["cni0", "flannel.1"];
/// nftables tables of kube-proxy, flannel and portmap, and our own.
const TABLES: [(nftables::Family, &str); 7] = [
    (nftables::Family::Ip, "kube-proxy"),
    (nftables::Family::Ip6, "kube-proxy"),
    (nftables::Family::Ip, "flannel-ipv4"),
    (nftables::Family::Ip6, "flannel-ipv6"),
    (nftables::Family::Ip, "cni_hostport"),
    (nftables::Family::Ip6, "cni_hostport"),
    (nftables::Family::Ip, "ingot"),
];

/// What a reset left.
#[derive(Debug, Default)]
pub struct Outcome {
    /// What could not be taken back, in words. A reset that is run again tries it again.
    pub problems: Vec<String>,
    /// What the site changed after us and therefore keeps, or that there was nothing to take back, in words.
    pub kept: Vec<String>,
}

/// Takes everything back from the node `node` of the cluster `cluster`. A control plane leaves the cluster
/// first, unless all members of etcd are reset.
///
/// # Errors
/// When this host is another node, or none of ours, or its cluster would lose its data: nothing is touched then.
pub fn reset(cluster: &str, node: &str, extent: &Extent) -> Result<Outcome, String> {
    let found = belonging::of_this_host()?;
    if let Verdict::Refused(reason) = belonging::judge(cluster, node, &found) {
        return Err(reason);
    }
    if found.is_bare() {
        return bare(Path::new("/"));
    }
    let prepared = Prepared::read()?.unwrap_or_default();
    let system = System::this_host(Arc::new(super::blobs::BlobStore::of_host()));
    let mut outcome = Outcome::default();
    leave::cluster(node, extent)?;
    stop(&system, &prepared, &mut outcome.problems);
    // What undo and deletion both meet is named once.
    let mut left = BTreeSet::new();
    match ingot_engine::Journal::open(Path::new(paths::JOURNAL)) {
        Ok(journal) => match undo(&system, &journal, &|_| {}) {
            Ok(undone) => {
                for failure in &undone.failures {
                    match &failure.source {
                        ResourceError::Left(all) => {
                            left.extend(all.iter().map(ToString::to_string))
                        }
                        _ => outcome.problems.push(crate::error::chain(failure)),
                    }
                }
                outcome.kept = undone.kept.iter().map(ToString::to_string).collect();
            }
            Err(error) => outcome.problems.push(crate::error::chain(&error)),
        },
        Err(error) => outcome.problems.push(crate::error::chain(&error)),
    }
    system.commands.run("systemctl", &["reset-failed"]).ok();
    let deleted = files::delete(Path::new("/"), &prepared);
    left.extend(deleted.iter().map(ToString::to_string));
    outcome.problems.extend(left);
    if outcome.problems.is_empty() {
        // With problems the journal stays, so that the next reset can go on.
        let last = files::delete_home(Path::new("/"), &prepared);
        outcome
            .problems
            .extend(last.iter().map(ToString::to_string));
    }
    Ok(outcome)
}

/// Takes back what a connection alone leaves: the installer's program and its lease. No record and no journal says
/// that anything else was ever ours; what runs, is mounted or lies at the places of containerd, of CNI plugins or of
/// Kubernetes belongs to others, whatever it is named.
///
/// # Errors
/// When the list of mounts cannot be read.
fn bare(root: &Path) -> Result<Outcome, String> {
    let mut outcome = Outcome::default();
    if files::home_holds_others(root) {
        outcome.kept.push(format!(
            "{} holds something that no installation of this host put there; it was left as it is. Look at it, and remove it if it is not needed",
            paths::HOME
        ));
    } else {
        // As it is found: a link or a disk of the site's stays.
        let left = files::delete_home(root, &Prepared::of_now(root)?);
        outcome
            .problems
            .extend(left.iter().map(ToString::to_string));
    }
    outcome.kept.push(format!(
        "nothing was to be taken back: this host has no record of an installation and no journal in {}; nothing on it was stopped or deleted",
        paths::JOURNAL
    ));
    Ok(outcome)
}

/// Stops what runs and takes down what it made in the kernel.
fn stop(system: &System, prepared: &Prepared, problems: &mut Vec<String>) {
    let run = |program: &str, args: &[&str]| {
        system
            .commands
            .run(program, args)
            .is_ok_and(|o| o.success())
    };
    // The kubelet first: it would start again what is stopped.
    for unit in [
        "kubelet.service",
        "ingot-cni.path",
        // It stays active once it has run; left so, it would not run for the next installation.
        "ingot-cni.service",
        "containerd.service",
        "ingot-registry.service",
        // It would put our table back.
        "ingot-firewall.timer",
    ] {
        if Path::new("/etc/systemd/system").join(unit).exists() {
            run("systemctl", &["stop", unit]);
        }
    }
    if let Err(left) = workloads::kill_all() {
        problems.push(format!("these processes of workloads do not end: {left}"));
    }
    problems.extend(files::unmount_workloads(Path::new("/"), prepared));
    let there = |link: &str| Path::new("/sys/class/net").join(link).exists();
    for link in pod_links().iter().map(String::as_str).chain(LINKS) {
        // One of a pod goes by itself, too, once the kernel gets to it.
        if there(link) && !run("ip", &["link", "delete", link]) && there(link) {
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
}

/// The host's ends of the interfaces of pods. The kernel removes them with the namespaces of the pods, but not before
/// the reset has ended, if many namespaces end at once.
fn pod_links() -> Vec<String> {
    let on_the_bridge = std::fs::read_dir("/sys/class/net/cni0/brif");
    let names = on_the_bridge.into_iter().flatten().flatten();
    names
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
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
    use super::*;
    use std::fs;

    #[test]
    fn of_a_host_without_record_and_journal_only_our_own_directory_goes() {
        let root = tempfile::tempdir().unwrap();
        let at = |path: &str| root.path().join(path);
        let theirs = [
            "run/containerd/io.containerd.x",
            "var/lib/cni/networks/podman",
            "var/log/pods/a",
        ];
        for path in theirs
            .iter()
            .chain(&["var/lib/ingot/bin/ingot", "var/lib/ingot/lease"])
        {
            fs::create_dir_all(at(path).parent().unwrap()).unwrap();
            fs::write(at(path), "").unwrap();
        }
        for _ in 0..2 {
            let outcome = bare(root.path()).unwrap();
            assert!(outcome.problems.is_empty(), "{:?}", outcome.problems);
            assert!(outcome.kept[0].starts_with("nothing was to be taken back"));
            assert!(!at("var/lib/ingot").exists());
            assert!(theirs.iter().all(|path| at(path).exists()));
        }
        // What somebody else keeps there stays, and is told.
        fs::create_dir_all(at("var/lib/ingot/states-journal")).unwrap();
        let outcome = bare(root.path()).unwrap();
        assert_eq!(outcome.kept.len(), 2, "{:?}", outcome.kept);
        assert!(at("var/lib/ingot/states-journal").exists());
    }
}
