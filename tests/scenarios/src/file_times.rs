//! Proof that nothing was written: the times of all files of the platform on a host.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use ingot_harness::Host;

/// Where the platform keeps its files.
const TREES: [&str; 3] = ["etc", "usr/local", "var/lib/ingot"];
/// Says who may change the host at present; each run of the installer writes its name there.
const LEASE: &str = "var/lib/ingot/lease";

/// When each file and directory below the platform's trees was last written, and what it was then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileTimes {
    host: String,
    times: BTreeMap<PathBuf, (i64, i64, u64, u32)>,
}

impl FileTimes {
    /// As they are now on a running host.
    ///
    /// # Panics
    /// When the host is off.
    pub fn of(host: &Host) -> FileTimes {
        let root = host.root_dir().expect("a running host");
        let mut times = BTreeMap::new();
        for tree in TREES {
            walk(&root, &root.join(tree), &mut times);
        }
        FileTimes {
            host: host.name().into(),
            times,
        }
    }

    /// Requires that nothing was written since.
    ///
    /// # Panics
    /// With the files that were.
    #[track_caller]
    pub fn are_those_of(&self, later: &FileTimes) {
        let all: std::collections::BTreeSet<_> =
            self.times.keys().chain(later.times.keys()).collect();
        let written: Vec<String> = all
            .into_iter()
            .filter(|path| self.times.get(*path) != later.times.get(*path))
            .map(|path| format!("  /{}", path.display()))
            .collect();
        assert!(
            written.is_empty(),
            "{}: files were written:\n{}",
            self.host,
            written.join("\n")
        );
    }
}

fn walk(root: &Path, path: &Path, times: &mut BTreeMap<PathBuf, (i64, i64, u64, u32)>) {
    let Ok(meta) = fs::symlink_metadata(path) else {
        return;
    };
    let name = path
        .strip_prefix(root)
        .expect("below the root")
        .to_path_buf();
    if name != Path::new(LEASE) {
        times.insert(
            name,
            (meta.mtime(), meta.mtime_nsec(), meta.ino(), meta.mode()),
        );
    }
    if meta.is_dir() {
        for entry in fs::read_dir(path).into_iter().flatten().flatten() {
            walk(root, &entry.path(), times);
        }
    }
}
