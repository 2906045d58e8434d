//! Which mounts and files of a node go with a reset: those of workloads, of programs while they ran, and
//! those in directories that are ours alone. Everything is deleted through `ingot-deletion`, which enters no
//! mount and follows no link; what the site mounted or linked there stays, and is named. A directory of ours that
//! the site had made a link to an empty one elsewhere, before us, is that one.

use crate::agent::prepared::{Prepared, PreparedLink};
use crate::paths;
use ingot_deletion::{Left, MountTable, Root, delete as delete_in, delete_tree, unmount_below};
use std::path::{Path, PathBuf};

/// Directories below which the kubelet and containerd mount what pods use, with what names of entries begin
/// with. What is mounted on one of these entries itself, or beside them, is the site's.
const MOUNTED_BY_WORKLOADS: [(&str, &[&str]); 3] = [
    ("run/containerd", &["io.containerd."]),
    ("var/lib/containerd", &["io.containerd.", "tmpmounts"]),
    ("var/lib/kubelet", &["pods", "plugins", "volumeplugins"]),
];
/// Where the network namespaces of pods are, each a mount on a file `cni-<ID>`.
const NAMESPACES: &str = "run/netns";
/// What programs made while they ran and no state describes.
const RUNTIME: [&str; 5] = [
    "run/containerd",
    "run/flannel",
    // Locks of the storage agent.
    "run/ingot",
    "run/xtables.lock",
    "var/lib/cni",
];
/// Directories that are ours alone; those that were there before us stay, empty.
const EMPTIED: [&str; 5] = [
    "var/lib/kubelet",
    "var/lib/containerd",
    "var/lib/etcd",
    "var/log/containers",
    "var/log/pods",
];
/// What a file system keeps at its root.
const OF_FILE_SYSTEMS: [&str; 1] = ["lost+found"];

/// Directories a site may have prepared as mounts of its own: everything that we fill.
pub fn directories() -> Vec<PathBuf> {
    let ours = EMPTIED.iter().map(|path| Path::new("/").join(path));
    ours.chain([
        paths::HOME.into(),
        "/etc/kubernetes".into(),
        "/var/log/kubernetes".into(),
    ])
    .collect()
}

/// What an installer puts into our own directory before it changes the host.
const BEFORE_CHANGES: [&str; 3] = ["bin", "blobs", "lease"];

/// What in our own directory tells whose node a host is, and what is to be taken back.
const RECORDS: [&str; 3] = ["journal", "membership.json", "prepared.json"];

/// Links in place of directories of ours that lead to directories which hold nothing of others.
pub fn links(root: &Path) -> Vec<PreparedLink> {
    let none: &[&str] = &[];
    let emptied = EMPTIED.iter().map(|path| (Path::new(path), none));
    let home = Path::new(paths::HOME.trim_start_matches('/'));
    emptied
        .chain([(home, &BEFORE_CHANGES[..])])
        .filter_map(|(path, ours)| {
            let directory = leads_to(root, path)?;
            let free = !holds_other_than(&root.join(directory.strip_prefix("/").ok()?), ours);
            let path = Path::new("/").join(path);
            free.then_some(PreparedLink { path, directory })
        })
        .collect()
}

/// The directory that a link at `path` leads to, as the host names it; nothing, if it is no link to one.
fn leads_to(root: &Path, path: &Path) -> Option<PathBuf> {
    let at = root.join(path);
    if !std::fs::symlink_metadata(&at).ok()?.is_symlink() {
        return None;
    }
    let directory = std::fs::canonicalize(&at).ok()?;
    let below = directory
        .strip_prefix(std::fs::canonicalize(root).ok()?)
        .ok()?;
    directory.is_dir().then(|| Path::new("/").join(below))
}

/// Where our directory `path` is, below the root: elsewhere, where the site had made it a link before us.
fn place(root: &Path, path: &Path, prepared: &Prepared) -> PathBuf {
    match leads_to(root, path) {
        Some(directory) if prepared.linked(&Path::new("/").join(path), &directory) => directory
            .strip_prefix("/")
            .map_or_else(|_| path.into(), Into::into),
        _ => path.into(),
    }
}

/// What holds something in the directories that a reset empties; paths as the host has them.
pub fn occupied(root: &Path) -> Vec<String> {
    EMPTIED
        .iter()
        .filter(|path| holds_something(&root.join(path)))
        .map(|path| format!("/{path}"))
        .collect()
}

fn holds_something(directory: &Path) -> bool {
    holds_other_than(directory, &[])
}

fn holds_other_than(directory: &Path, known: &[&str]) -> bool {
    let other = |name: &std::ffi::OsStr| {
        let mut all = OF_FILE_SYSTEMS.iter().chain(known);
        all.all(|one| name != *one)
    };
    std::fs::read_dir(directory)
        .is_ok_and(|mut all| all.any(|entry| entry.is_ok_and(|entry| other(&entry.file_name()))))
}

/// Directories below which everything was mounted by workloads. A link leads to one only where it was there before
/// us: what is mounted where a later one leads to is the site's.
fn mounted_by_workloads(root: &Path, prepared: &Prepared) -> Vec<PathBuf> {
    let mut directories = Vec::new();
    for (directory, prefixes) in MOUNTED_BY_WORKLOADS {
        let directory = root.join(place(root, Path::new(directory), prepared));
        let ours = entries_of(&directory).into_iter().filter(|entry| {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let link = entry.file_type().is_ok_and(|kind| kind.is_symlink());
            !link && prefixes.iter().any(|prefix| name.starts_with(prefix))
        });
        directories.extend(ours.map(|entry| entry.path()));
    }
    directories
}

/// The entries of a directory; none, if it is a link.
fn entries_of(directory: &Path) -> Vec<std::fs::DirEntry> {
    let real = std::fs::symlink_metadata(directory).is_ok_and(|meta| meta.is_dir());
    let all = real.then(|| std::fs::read_dir(directory).ok()).flatten();
    all.into_iter().flatten().flatten().collect()
}

/// Unmounts what pods used, the deepest first; what stays mounted is returned in words.
pub fn unmount_workloads(root: &Path, prepared: &Prepared) -> Vec<String> {
    let mut problems = match unmount_below(&mounted_by_workloads(root, prepared)) {
        Ok(left) => left
            .iter()
            .map(|left| format!("cannot unmount {left}"))
            .collect(),
        Err(error) => vec![format!("cannot read the list of mounts: {error}")],
    };
    let of_pods =
        |entry: &std::fs::DirEntry| entry.file_name().to_string_lossy().starts_with("cni-");
    for entry in entries_of(&root.join(NAMESPACES))
        .into_iter()
        .filter(of_pods)
    {
        let flags = nix::mount::MntFlags::MNT_DETACH | nix::mount::MntFlags::UMOUNT_NOFOLLOW;
        // A namespace of a pod that is gone is a plain file.
        let _ = nix::mount::umount2(&entry.path(), flags);
        let deleted = delete_tree(&entry.path());
        problems.extend(
            deleted
                .left
                .iter()
                .map(|left| format!("cannot remove {left}")),
        );
    }
    problems
}

/// Deletes what programs made and empties our directories; returns what stays.
pub fn delete(root: &Path, prepared: &Prepared) -> Vec<Left> {
    let mut left = Vec::new();
    for path in RUNTIME {
        left.extend(delete_tree(&root.join(path)).left);
    }
    left.extend(delete_tree(&root.join(super::super::cni::CONFLIST.trim_start_matches('/'))).left);
    for path in EMPTIED {
        left.extend(empty(root, Path::new(path), prepared));
    }
    left
}

/// Whether our own directory holds something else than what an installer puts there before it changes the host.
pub fn home_holds_others(root: &Path) -> bool {
    let home = Path::new(paths::HOME.trim_start_matches('/'));
    holds_other_than(&root.join(home), &BEFORE_CHANGES)
}

/// Deletes our own directory, the last of all; returns what stays. As long as something stays, so do the records
/// that tell whose node the host is: the next reset goes on by them.
pub fn delete_home(root: &Path, prepared: &Prepared) -> Vec<Left> {
    let home = Path::new(paths::HOME.trim_start_matches('/'));
    let place = place(root, home, prepared);
    let at = at(root, &place, prepared);
    let spared: Vec<&str> = OF_FILE_SYSTEMS.into_iter().chain(RECORDS).collect();
    let left = delete_in(&root.join(&place), &at, &spared).left;
    if !left.is_empty() {
        return left;
    }
    match at {
        Root::Keep if place == home && leads_to(root, home).is_none() => {
            delete_tree(&root.join(home)).left
        }
        // A link stays; one that was made later is named, since what it leads to is left.
        kept => delete_in(&root.join(&place), &kept, &OF_FILE_SYSTEMS).left,
    }
}

fn empty(root: &Path, path: &Path, prepared: &Prepared) -> Vec<Left> {
    // A disk that is there and empty is as it should be, whoever mounted it.
    if !holds_something(&root.join(path)) {
        return Vec::new();
    }
    let place = place(root, path, prepared);
    let at = at(root, &place, prepared);
    delete_in(&root.join(place), &at, &OF_FILE_SYSTEMS).left
}

/// A mount that the site had prepared for us is emptied; any other is not entered.
fn at(root: &Path, path: &Path, prepared: &Prepared) -> Root {
    let table = MountTable::of_this_process().unwrap_or_default();
    let resolved = std::fs::canonicalize(root).map(|root| root.join(path));
    let mount = resolved
        .ok()
        .and_then(|resolved| table.at(&resolved).cloned());
    match mount {
        Some(mount) if prepared.holds(&Path::new("/").join(path), &mount) => Root::KeepMount(mount),
        _ => Root::Keep,
    }
}

#[cfg(test)]
mod tests;
