//! Ends what pods and the container runtime left running. Nothing else of the host is ended.

use crate::paths;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::time::{Duration, Instant};

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

/// Ends all of them; those that do not end within 20 seconds are named.
pub(super) fn kill_all() -> Result<(), String> {
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
