//! What guests would leave behind.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::guest::SOON;

/// Where labs and guests have their files.
pub const STATE: &str = "/var/lib/ingot-lab";

/// Waits for guards to end, which they do after the last of what they guard is gone.
pub fn nothing_remains(place: &str) {
    let deadline = Instant::now() + SOON;
    while !remains(place).is_empty() {
        assert!(Instant::now() < deadline, "{:?}", remains(place));
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Everything on the machine that belongs to a guest of this name or place: directory, processes.
pub fn remains(place: &str) -> Vec<String> {
    let mut remains = Vec::new();
    for dir in [
        format!("{STATE}/.guests/{place}"),
        format!("{STATE}/{place}"),
    ] {
        // The directory that holds a lab's guests stays with the lab.
        if fs::read_dir(&dir).is_ok_and(|mut entries| entries.next().is_some()) {
            remains.push(format!("directory {dir}"));
        }
    }
    if Path::new(STATE).join(format!(".lock-{place}")).exists() {
        remains.push(format!("lock of {place}"));
    }
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        let ours = ["ingot-guest ", "ingot-lab "]
            .iter()
            .any(|name| line.starts_with(name));
        if ours && line.contains(place) {
            remains.push(format!("process {} {line}", entry.file_name().display()));
        }
    }
    remains
}
