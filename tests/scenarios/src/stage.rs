//! Whether stories may be played here, with what, and that only one is played at a time.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;

/// Held by the story that is being played, on the whole machine.
const LOCK: &str = "ingot-scenarios.lock";
/// inotify instances of a host with all its pods: on a control plane, and on a worker.
const INOTIFY: [usize; 2] = [31, 17];

/// The right to play a story, and what it is played with. Dropping it lets the next story begin.
#[derive(Debug)]
pub struct Stage {
    /// The program under test.
    pub program: PathBuf,
    /// The bundle it installs.
    pub bundle: PathBuf,
    /// The key that signed the bundle.
    pub key: PathBuf,
    _lock: File,
}

impl Stage {
    /// Waits for other stories to end. `None`, said loudly, when nobody asked for stories.
    ///
    /// # Panics
    /// When stories are asked for and something they need is not there.
    pub fn take() -> Option<Stage> {
        let story = std::thread::current()
            .name()
            .unwrap_or("a story")
            .to_owned();
        if std::env::var_os("INGOT_HOST_TESTS").is_none() {
            // Not with `eprintln!`, which the test runner swallows.
            let _ = writeln!(
                std::io::stderr(),
                "not run: {story} boots hosts; set INGOT_HOST_TESTS=1, INGOT_BIN, INGOT_BUNDLE and \
                 INGOT_TRUSTED_KEY, and run it as root"
            );
            return None;
        }
        let path = |name: &str| {
            let value = std::env::var_os(name);
            let path = value.map_or_else(|| panic!("{name} is not set"), PathBuf::from);
            let absolute = std::path::absolute(&path).expect("a current directory");
            assert!(absolute.is_file(), "{name}: {} is no file", path.display());
            absolute
        };
        let [program, bundle, key] = ["INGOT_BIN", "INGOT_BUNDLE", "INGOT_TRUSTED_KEY"].map(path);
        let lock = File::create(std::env::temp_dir().join(LOCK)).expect("the lock of the stage");
        lock.lock().expect("the lock of the stage");
        println!("story: {story}");
        Some(Stage {
            program,
            bundle,
            key,
            _lock: lock,
        })
    }

    /// As [`Stage::take`], for stories that are part of `make soak` only, since they take hours.
    ///
    /// # Panics
    /// As [`Stage::take`].
    pub fn take_for_soak() -> Option<Stage> {
        Stage::take_for("INGOT_SOAK", "make soak")
    }

    /// As [`Stage::take`], for stories that are part of `make change-test` only: clusters that are changed for
    /// minutes while requests go on.
    ///
    /// # Panics
    /// As [`Stage::take`].
    pub fn take_for_changes() -> Option<Stage> {
        Stage::take_for("INGOT_CHANGE_TESTS", "make change-test")
    }

    /// As [`Stage::take`], for Kubernetes' conformance tests, which take an hour or more: `make conformance` only.
    ///
    /// # Panics
    /// As [`Stage::take`].
    pub fn take_for_conformance() -> Option<Stage> {
        Stage::take_for("INGOT_CONFORMANCE_BUNDLE", "make conformance")
    }

    fn take_for(variable: &str, target: &str) -> Option<Stage> {
        if std::env::var_os(variable).is_none() {
            let story = std::thread::current()
                .name()
                .unwrap_or("a story")
                .to_owned();
            let _ = writeln!(
                std::io::stderr(),
                "not run: {story} is part of `{target}`, which sets {variable}"
            );
            return None;
        }
        Stage::take()
    }

    /// Warns when other hosts leave the machine no room for this many more: all hosts share one limit
    /// of the kernel, and a kubelet that meets it fails in ways that look like mistakes of the product.
    pub fn look_for_room(&self, control_planes: usize, workers: usize) {
        let wanted = control_planes * INOTIFY[0] + workers * INOTIFY[1];
        let (used, limit) = (inotify_in_use(), inotify_limit());
        if used > 8 && used + wanted > limit {
            println!(
                "  warning: {used} of {limit} inotify instances are in use on this machine and {wanted} \
                 more are wanted; a failure of this story may come from that, and end with \
                 `ingot sandbox delete` of other labs"
            );
        }
    }
}

fn inotify_limit() -> usize {
    let text = std::fs::read_to_string("/proc/sys/fs/inotify/max_user_instances");
    text.ok()
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(128)
}

fn inotify_in_use() -> usize {
    let mut count = 0;
    for process in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        for open in std::fs::read_dir(process.path().join("fd"))
            .into_iter()
            .flatten()
            .flatten()
        {
            let target = std::fs::read_link(open.path()).unwrap_or_default();
            count += usize::from(target.as_os_str() == "anon_inode:inotify");
        }
    }
    count
}
