//! A reset of hosts that look like anything: random trees with mounts, bind mounts, links, hard links,
//! immutable and busy files. Whatever is outside of our directories, or was mounted into them, is afterwards
//! byte for byte what it was, and what is mounted outside is mounted still. As long as something of our own
//! directory stays, so do the records in it.
//!
//! Needs root: it runs in a mount namespace of its own. `INGOT_RANDOM_TREES` sets how many trees.

use ingot_deletion::{Mount, MountTable};
use ingot_lifecycle::agent::prepared::Prepared;
use ingot_lifecycle::agent::reset::files;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};

/// Directories of ours, and what the kubelet and containerd have below them.
const OURS: [&str; 10] = [
    "var/lib/kubelet",
    "var/lib/kubelet/pods",
    "var/lib/kubelet/plugins",
    "var/lib/containerd",
    "var/lib/containerd/io.containerd.snapshotter.v1.overlayfs",
    "var/lib/etcd",
    "var/log/pods",
    "run/containerd",
    "run/containerd/io.containerd.runtime.v2.task",
    "var/lib/ingot",
];

/// Tells whose node the host is.
const RECORD: &str = "var/lib/ingot/prepared.json";

fn none() -> Option<&'static str> {
    None
}

/// A host below a directory, with what the site has beside it.
struct Site {
    random: StdRng,
    host: PathBuf,
    outside: PathBuf,
    immutable: bool,
    busy: Vec<fs::File>,
}

impl Site {
    fn new(seed: u64, base: &Path) -> Self {
        let (host, outside) = (base.join("host"), base.join("outside"));
        let site = Site {
            random: StdRng::seed_from_u64(seed),
            host,
            outside,
            immutable: false,
            busy: Vec::new(),
        };
        for path in OURS {
            fs::create_dir_all(site.host.join(path)).unwrap();
        }
        for name in ["a", "b/c", "d"] {
            let directory = site.outside.join(name);
            fs::create_dir_all(&directory).unwrap();
            for file in 0..2 {
                fs::write(
                    directory.join(format!("file{file}")),
                    format!("{name} {file}"),
                )
                .unwrap();
            }
        }
        site
    }

    fn chance(&mut self, percent: u32) -> bool {
        self.random.random_range(0..100) < percent
    }

    /// A directory of ours, or one made below it.
    fn place(&mut self) -> PathBuf {
        let mut path = self
            .host
            .join(OURS[self.random.random_range(0..OURS.len())]);
        for _ in 0..self.random.random_range(0..3) {
            path.push(format!("x{}", self.random.random_range(0..3)));
        }
        // A link may be on the way: what is made then is the site's.
        let _ = fs::create_dir_all(&path);
        path
    }

    fn outside(&mut self) -> PathBuf {
        let all = ["a", "b", "b/c", "d"];
        self.outside
            .join(all[self.random.random_range(0..all.len())])
    }

    fn mount(&self, source: &str, target: &Path, kind: Option<&str>, flags: MsFlags) {
        let _ = mount(Some(source), target, kind, flags, none());
    }

    fn grow(&mut self) {
        let place = self.place();
        let name = place.join(format!("n{}", self.random.random_range(0..4)));
        match self.random.random_range(0..9) {
            0 => drop(symlink(self.outside(), &name)),
            1 => drop(fs::hard_link(self.outside().join("file0"), &name)),
            2 => {
                let source = self.outside();
                self.mount(&source.to_string_lossy(), &place, None, MsFlags::MS_BIND);
            }
            3 => {
                let source = self.outside();
                let flags = MsFlags::MS_BIND | MsFlags::MS_REC;
                self.mount(&source.to_string_lossy(), &place, None, flags);
            }
            // A share: a file system of its own, with data that must stay.
            4 => {
                self.mount("share", &place, Some("tmpfs"), MsFlags::empty());
                let _ = fs::write(place.join("data"), "of the share");
            }
            // A file that is mounted on a file.
            5 if fs::write(&name, "").is_ok() => {
                let source = self.outside().join("file0");
                self.mount(&source.to_string_lossy(), &name, None, MsFlags::MS_BIND);
            }
            6 if fs::write(&name, "busy").is_ok() => self.busy.extend(fs::File::open(&name).ok()),
            7 if self.chance(40) && fs::write(&name, "immutable").is_ok() => {
                let set = Command::new("chattr").arg("+i").arg(&name).output();
                // Overlay and tmpfs have no attributes.
                if set.is_ok_and(|output| output.status.success()) {
                    self.immutable = true;
                }
            }
            _ => drop(fs::write(&name, "ours")),
        }
    }

    /// What is not ours: the trees outside and the root of each mount, held open, so that they are seen even
    /// when they are unmounted. What is mounted on top of a tree is a tree of its own.
    fn theirs(&self) -> Vec<Tree> {
        let table = MountTable::of_this_process().unwrap();
        let base = self.host.parent().unwrap();
        let mounts: BTreeSet<PathBuf> = table.below(base).map(|m| m.target.clone()).collect();
        let mut trees = vec![Tree::of(&self.outside, &mounts).unwrap()];
        // One that another mount hides cannot be reached, by us as little as by a reset.
        trees.extend(mounts.iter().filter_map(|target| Tree::of(target, &mounts)));
        trees
    }

    /// What is mounted outside, also through a link of the site's.
    fn mounted_outside(&self) -> Vec<Mount> {
        let table = MountTable::of_this_process().unwrap();
        table.below(&self.outside).cloned().collect()
    }

    fn end(mut self) {
        self.busy.clear();
        // Also those whose place was named through a link.
        let table = MountTable::of_this_process().unwrap();
        let mut all: Vec<&Mount> = table.below(self.host.parent().unwrap()).collect();
        all.reverse();
        for mount in all {
            let _ = umount2(&mount.target, MntFlags::MNT_DETACH);
        }
        // One that was made through a mount lies outside.
        if self.immutable {
            let trees = [&self.host, &self.outside];
            let _ = Command::new("chattr")
                .args(["-R", "-f", "-i"])
                .args(trees)
                .output();
        }
    }
}

/// A tree that must stay as it is.
struct Tree {
    root: PathBuf,
    open: fs::File,
    /// Paths below it that something else is mounted on.
    covered: BTreeSet<PathBuf>,
}

impl Tree {
    fn of(root: &Path, mounts: &BTreeSet<PathBuf>) -> Option<Tree> {
        let below = mounts.iter().filter(|mount| *mount != root);
        let covered = below.filter_map(|mount| Some(mount.strip_prefix(root).ok()?.to_path_buf()));
        Some(Tree {
            root: root.to_path_buf(),
            open: fs::File::open(root).ok()?,
            covered: covered.collect(),
        })
    }

    /// Path -> mode, owner, times and content of everything in it.
    fn content(&self) -> BTreeMap<PathBuf, String> {
        let base = PathBuf::from(format!("/proc/self/fd/{}", self.open.as_raw_fd()));
        let mut all = BTreeMap::new();
        let mut pending = vec![PathBuf::new()];
        while let Some(path) = pending.pop() {
            if self.covered.contains(&path) {
                continue;
            }
            // The root may be a file, which has no slash behind it.
            let at = base.join(&path);
            let at = at.to_str().unwrap().trim_end_matches('/');
            let meta = match path.as_os_str().is_empty() {
                true => self.open.metadata().unwrap(),
                false => fs::symlink_metadata(at).unwrap(),
            };
            let content = if meta.is_dir() {
                let entries = fs::read_dir(at).unwrap();
                pending.extend(entries.map(|entry| path.join(entry.unwrap().file_name())));
                String::new()
            } else if meta.is_symlink() {
                fs::read_link(at).unwrap().display().to_string()
            } else {
                fs::read_to_string(at).unwrap()
            };
            let (mode, uid, time) = (meta.mode(), meta.uid(), meta.mtime_nsec());
            all.insert(path, format!("{mode:o} {uid} {time} {content}"));
        }
        all
    }
}

fn one(seed: u64) {
    let base = tempfile::tempdir().unwrap();
    let base = fs::canonicalize(base.path()).unwrap();
    let mut site = Site::new(seed, &base);
    fs::write(site.host.join(RECORD), "{}").unwrap();
    // Some of our own directories are links of the site's, or whole disks.
    if site.chance(15) {
        let ours = site.host.join(
            ["var/lib/etcd", "var/log/pods", "var/lib/kubelet/pods"]
                [site.random.random_range(0..3)],
        );
        fs::remove_dir(&ours).unwrap();
        symlink(site.outside(), &ours).unwrap();
    }
    if site.chance(20) {
        let ours = site.host.join(
            ["var/lib/etcd", "var/lib/kubelet", "var/lib/containerd"]
                [site.random.random_range(0..3)],
        );
        site.mount("disk", &ours, Some("tmpfs"), MsFlags::empty());
        let _ = fs::write(ours.join("data"), "of the share");
    }
    for _ in 0..site.random.random_range(3..25) {
        site.grow();
    }
    let theirs = site.theirs();
    let mounted = site.mounted_outside();
    let before: Vec<_> = theirs.iter().map(Tree::content).collect();
    let unmounted = files::unmount_workloads(&site.host, &Prepared::default());
    let left = files::delete(&site.host, &Prepared::default());
    let home = files::delete_home(&site.host, &Prepared::default());
    for (tree, before) in theirs.iter().zip(before) {
        let root = tree.root.display();
        assert_eq!(
            tree.content(),
            before,
            "seed {seed}, {root}: {unmounted:?} {left:?} {home:?}"
        );
    }
    drop(theirs);
    assert_eq!(
        site.mounted_outside(),
        mounted,
        "seed {seed}: mounts outside"
    );
    // Whatever stays of ours has a reason that is named.
    let named = |path: &Path| {
        left.iter()
            .chain(&home)
            .any(|left| left.path.starts_with(path) || path.starts_with(&left.path))
    };
    for path in [
        "var/lib/etcd",
        "var/lib/kubelet",
        "var/lib/containerd",
        "var/lib/ingot",
    ] {
        let path = site.host.join(path);
        let is_link = fs::symlink_metadata(&path).is_ok_and(|meta| meta.is_symlink());
        let holds = fs::read_dir(&path).is_ok_and(|mut entries| entries.next().is_some());
        assert!(
            is_link || !holds || named(&path),
            "seed {seed}: {} holds something",
            path.display()
        );
    }
    let record = site.host.join(RECORD);
    let table = MountTable::of_this_process().unwrap();
    if table.at(record.parent().unwrap()).is_none() {
        assert_eq!(record.exists(), !home.is_empty(), "seed {seed}: {home:?}");
    }
    site.end();
    // What the test made goes with the same care.
    let deleted = ingot_deletion::delete_tree(&base);
    assert!(deleted.left.is_empty(), "seed {seed}: {:?}", deleted.left);
}

#[test]
fn whatever_is_not_ours_is_untouched() {
    if std::env::var_os("INGOT_RANDOM_RESET").is_none() {
        if !nix::unistd::geteuid().is_root() {
            println!("skipped: it needs root for a mount namespace");
            return;
        }
        let status = Command::new("unshare")
            .args(["--mount", "--propagation", "private", "--"])
            .arg(std::env::current_exe().unwrap())
            .args(["--nocapture", "whatever_is_not_ours_is_untouched"])
            .env("INGOT_RANDOM_RESET", "1")
            .status()
            .unwrap();
        assert!(status.success());
        return;
    }
    let count = std::env::var("INGOT_RANDOM_TREES").map_or(2000, |n| n.parse().unwrap());
    let first = std::env::var("INGOT_RANDOM_SEED").map_or(0, |n| n.parse().unwrap());
    // The kernel lets each unmounting wait; side by side they wait together.
    let next = AtomicU64::new(first);
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + count {
                        return;
                    }
                    one(seed);
                }
            });
        }
    });
    println!("{count} random trees from seed {first}: nothing outside was changed");
}
