//! Kernel settings that installers and Kubernetes write, but that belong to the whole machine.
//!
//! Each is covered with an ordinary file that starts with the machine's value: the host reads what it
//! wrote, the machine keeps what it had, and the next boot starts from the machine's value again, as
//! on a real host. Settings of a network namespace need no cover and have none.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::init::bind;

/// Below /proc/sys. Each costs a mount that every pod's view of the host repeats, so this is what
/// kubelet, kube-proxy, hardening guides and installers of clusters are known to set, not everything.
const COVERED: &[&str] = &[
    "fs/aio-max-nr",
    "fs/file-max",
    "fs/inotify/max_queued_events",
    "fs/inotify/max_user_instances",
    "fs/inotify/max_user_watches",
    "fs/may_detach_mounts",
    "fs/nr_open",
    "fs/protected_fifos",
    "fs/protected_hardlinks",
    "fs/protected_regular",
    "fs/protected_symlinks",
    "fs/suid_dumpable",
    "kernel/core_pattern",
    "kernel/dmesg_restrict",
    "kernel/keys/maxbytes",
    "kernel/keys/maxkeys",
    "kernel/keys/root_maxbytes",
    "kernel/keys/root_maxkeys",
    "kernel/kptr_restrict",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/perf_event_paranoid",
    "kernel/pid_max",
    "kernel/printk",
    "kernel/randomize_va_space",
    "kernel/softlockup_panic",
    "kernel/sysrq",
    "kernel/threads-max",
    "kernel/unprivileged_bpf_disabled",
    "kernel/yama/ptrace_scope",
    // Kept per machine although they look like settings of a network; read-only elsewhere.
    "net/netfilter/nf_conntrack_buckets",
    "net/netfilter/nf_conntrack_max",
    "net/nf_conntrack_max",
    "vm/dirty_background_ratio",
    "vm/dirty_ratio",
    "vm/max_map_count",
    "vm/min_free_kbytes",
    "vm/nr_hugepages",
    "vm/overcommit_memory",
    "vm/overcommit_ratio",
    "vm/panic_on_oom",
    "vm/swappiness",
    "vm/vfs_cache_pressure",
];

/// Covers the settings of the root being put together. The files are kept in `store`.
pub(crate) fn cover(root: &Path, store: &Path) -> Result<(), String> {
    fs::create_dir_all(store).map_err(|e| format!("create {}: {e}", store.display()))?;
    let sysctls = root.join("proc/sys");
    for name in COVERED {
        // One the kernel lacks, or does not let anybody read, is one the host lacks too.
        if let Ok(value) = fs::read_to_string(sysctls.join(name)) {
            cover_one(&sysctls, store, name, &value, 0o644)?;
        }
    }
    cover_one(
        &sysctls,
        store,
        "kernel/random/boot_id",
        &format!("{}\n", boot_id()?),
        0o444,
    )
}

fn cover_one(
    sysctls: &Path,
    store: &Path,
    name: &str,
    value: &str,
    mode: u32,
) -> Result<(), String> {
    let file = store.join(name.replace('/', "."));
    let context = |e: std::io::Error| format!("write {}: {e}", file.display());
    fs::write(&file, value).map_err(context)?;
    fs::set_permissions(&file, fs::Permissions::from_mode(mode)).map_err(context)?;
    bind(&file, &sysctls.join(name))
}

/// A new identity for this boot: the kernel's generator of random UUIDs.
fn boot_id() -> Result<String, String> {
    let path = "/proc/sys/kernel/random/uuid";
    let text = fs::read_to_string(path).map_err(|e| format!("read {path}: {e}"))?;
    Ok(text.trim().to_owned())
}
