//! The file systems below the directories that are filled: room, files, and whether programs may start there.
//! Reads only.

use crate::facts::Volume;
use nix::sys::statvfs::{FsFlags, statvfs};
use std::collections::BTreeMap;
use std::path::Path;

const DIRECTORIES: [&str; 7] = [
    "/etc",
    "/run",
    "/var/lib/containerd",
    "/var/lib/etcd",
    "/var/lib/ingot",
    "/var/lib/kubelet",
    "/var/log",
];

/// The file systems, by the directories.
pub fn volumes() -> BTreeMap<String, Volume> {
    let mounts = super::text("/proc/self/mountinfo");
    DIRECTORIES
        .iter()
        .filter_map(|directory| {
            let there = nearest(Path::new(directory));
            let stat = statvfs(&there).ok()?;
            let counted = stat.files() > 0;
            let volume = Volume {
                mounted_at: mount_point(&mounts, &there),
                free: stat.blocks_available() * stat.fragment_size(),
                inodes_free: counted.then(|| stat.files_available()),
                noexec: stat.flags().contains(FsFlags::ST_NOEXEC),
            };
            Some(((*directory).to_owned(), volume))
        })
        .collect()
}

/// The directory, or what of the way to it is there, with links followed.
fn nearest(path: &Path) -> std::path::PathBuf {
    let found = path.ancestors().find_map(|path| path.canonicalize().ok());
    found.unwrap_or_else(|| "/".into())
}

/// The longest mount point that the path is below (proc(5), mountinfo).
fn mount_point(mounts: &str, path: &Path) -> String {
    let points = mounts
        .lines()
        .filter_map(|line| line.split_whitespace().nth(4));
    points
        .filter(|point| path.starts_with(point))
        .max_by_key(|point| point.len())
        .unwrap_or("/")
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_belongs_to_the_mount_above_it() {
        let mounts = "21 1 8:1 / / rw - ext4 /dev/sda1 rw\n22 21 8:2 / /var rw,noexec - ext4 /dev/sda2 rw\n23 21 8:3 / /var/lib rw - ext4 /dev/sda3 rw";
        assert_eq!(mount_point(mounts, Path::new("/var/lib/etcd")), "/var/lib");
        assert_eq!(mount_point(mounts, Path::new("/var/log")), "/var");
        assert_eq!(mount_point(mounts, Path::new("/etc")), "/");
    }

    #[test]
    fn every_directory_is_on_some_file_system() {
        let found = volumes();
        assert_eq!(found.len(), DIRECTORIES.len());
        assert!(
            found
                .values()
                .all(|volume| volume.mounted_at.starts_with('/'))
        );
    }
}
