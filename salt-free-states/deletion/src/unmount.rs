//! Unmounts what is mounted below directories, the deepest first. It deletes nothing.

use crate::left::Left;
use crate::mounts::{Mount, MountTable};
use nix::mount::{MntFlags, umount2};
use std::io;
use std::path::{Path, PathBuf};

/// Unmounts everything that is mounted strictly below one of `directories`. Links on the way to one are the
/// system's layout and are resolved; one in its place is not followed. Returns what stays mounted, with the reason.
///
/// A mount in use is detached: its last user can go on, and the directory is free.
///
/// # Errors
/// When the list of mounts cannot be read.
pub fn unmount_below(directories: &[PathBuf]) -> io::Result<Vec<Left>> {
    let mut left = Vec::new();
    for mount in selected(&MountTable::of_this_process()?, &resolved(directories)) {
        let flags = MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW;
        if let Err(error) = umount2(&mount.target, flags) {
            left.push(Left::refused(mount.target, error));
        }
    }
    Ok(left)
}

/// The directories as the kernel names them in its list; without those that are links or not there.
fn resolved(directories: &[PathBuf]) -> Vec<PathBuf> {
    let resolve = |path: &PathBuf| {
        let real = std::fs::symlink_metadata(path).ok()?.is_dir();
        real.then(|| std::fs::canonicalize(path).ok())?
    };
    directories.iter().filter_map(resolve).collect()
}

/// What is to be unmounted, in order: the deepest first; of several at one place, the last one mounted.
fn selected(table: &MountTable, directories: &[PathBuf]) -> Vec<Mount> {
    let below = |target: &Path| {
        directories
            .iter()
            .any(|directory| target != directory && target.starts_with(directory))
    };
    let mut found: Vec<Mount> = table
        .all()
        .iter()
        .rev()
        .filter(|mount| below(&mount.target))
        .cloned()
        .collect();
    found.sort_by_key(|mount| std::cmp::Reverse(mount.target.components().count()));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deepest_goes_first_and_neighbours_with_longer_names_stay() {
        let text = b"1 0 8:1 / /k/pods/a rw - ext4 /dev/a rw\n2 1 8:2 / /k/pods/a/b rw - ext4 /dev/b rw\n\
            3 0 8:3 / /k/pods-of-others/c rw - ext4 /dev/c rw\n4 0 8:4 / /k/pods rw - ext4 /dev/d rw\n\
            5 1 8:5 / /k/pods/a rw - ext4 /dev/e rw\n";
        let found = selected(&MountTable::parse(text), &[PathBuf::from("/k/pods")]);
        let found: Vec<_> = found.iter().map(|mount| mount.source.as_str()).collect();
        assert_eq!(found, ["/dev/b", "/dev/e", "/dev/a"]);
    }

    #[test]
    fn a_link_in_place_of_a_directory_is_not_followed_and_one_on_the_way_is() {
        let base = tempfile::tempdir().unwrap();
        let at = |path: &str| base.path().join(path);
        std::fs::create_dir_all(at("data/pods")).unwrap();
        std::os::unix::fs::symlink(at("data"), at("kubelet")).unwrap();
        let real = std::fs::canonicalize(at("data/pods")).unwrap();
        assert_eq!(resolved(&[at("kubelet/pods")]), [real]);
        assert!(resolved(&[at("kubelet"), at("absent")]).is_empty());
    }
}
