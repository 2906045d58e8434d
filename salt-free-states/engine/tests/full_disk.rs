//! A journal on a file system that becomes full, at every byte. One test alone in its program: the limit it
//! sets counts for the whole process.

use ingot_engine::Journal;
use ingot_engine::journal::Entry;
use nix::sys::resource::{RLIM_INFINITY, Resource, setrlimit};

fn entry(resource: &str) -> Entry {
    Entry::Reacted {
        resource: resource.into(),
    }
}

/// Beyond the limit the kernel answers a write with as many bytes as fit and the next one with an error, as a
/// full disk does (setrlimit(2), RLIMIT_FSIZE). The signal that comes with it is ignored by the shell that
/// starts this program a second time.
#[test]
fn a_journal_survives_a_disk_that_is_full_at_any_byte() {
    if std::env::var_os("INGOT_FULL_DISK").is_none() {
        let status = std::process::Command::new("sh")
            .args(["-c", "trap '' XFSZ; exec \"$0\" --nocapture"])
            .arg(std::env::current_exe().unwrap())
            .env("INGOT_FULL_DISK", "1")
            .status()
            .unwrap();
        assert!(status.success());
        return;
    }
    let limit = |bytes| setrlimit(Resource::RLIMIT_FSIZE, bytes, RLIM_INFINITY).unwrap();
    let mut refused = 0;
    for room in 0..140 {
        limit(RLIM_INFINITY);
        let directory = tempfile::tempdir().unwrap();
        let journal = Journal::open(directory.path()).unwrap();
        journal.append(entry("first")).unwrap();
        let path = directory.path().join("journal.jsonl");
        let before = std::fs::metadata(&path).unwrap().len();
        limit(before + room);
        let results: Vec<bool> = ["second", "third"]
            .map(|name| journal.append(entry(name)).is_ok())
            .into();
        refused += results.iter().filter(|written| !**written).count();
        limit(RLIM_INFINITY);
        // There is room again: the same program goes on, and so does another one.
        journal.append(entry("last")).unwrap();
        let written = 3 + results.iter().filter(|written| **written).count();
        assert_eq!(journal.entries().len(), written, "room for {room}");
        let again = Journal::open(directory.path()).unwrap();
        assert_eq!(again.entries(), journal.entries(), "room for {room}");
    }
    assert!(refused > 50, "the disk was never full");
}
