//! Everything on a host that an installation could leave behind, to be compared before and after.

use std::collections::BTreeMap;
use std::fs;
use std::hash::Hasher;
use std::io::Read;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;
use std::process::Command;

use ingot_harness::Host;

/// Not files of a disk.
const NO_DISK: [&str; 3] = ["proc", "sys", "dev"];
/// What systemd and sshd themselves write while a host runs.
const RESTLESS: [&str; 14] = [
    "run/log",
    "run/lock",
    "run/sshd",
    "run/sshd.pid",
    "run/systemd",
    "run/udev",
    "run/user",
    "run/utmp",
    "tmp",
    "var/lib/systemd",
    "var/log/btmp",
    "var/log/journal",
    "var/log/lastlog",
    "var/log/wtmp",
];
/// Parts of log-ins, of the end of a boot, and of the looking itself.
const PASSING: [&str; 8] = [
    "sshd",
    "sh",
    "e2scrub_all",
    "systemd",
    "agetty",
    "systemd-journal",
    "systemd-logind",
    "systemd-tmpfile",
];
/// Kernel settings that Kubernetes needs and an installer therefore sets.
const SETTINGS: [&str; 11] = [
    "net/ipv4/ip_forward",
    "net/ipv6/conf/all/forwarding",
    "net/bridge/bridge-nf-call-iptables",
    "net/bridge/bridge-nf-call-ip6tables",
    "net/netfilter/nf_conntrack_max",
    "net/ipv4/conf/all/route_localnet",
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "fs/inotify/max_user_instances",
];

/// The state of a host: a line for each thing, with what it is like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostState {
    things: BTreeMap<String, String>,
}

impl HostState {
    /// As it is now on a running host.
    ///
    /// # Panics
    /// When the host is off.
    pub fn of(host: &Host) -> HostState {
        let root = host.root_dir().expect("a running host");
        let mut things = BTreeMap::new();
        files(host, &root, &root, &mut things);
        let process = root.parent().expect("a process");
        for (kind, command) in [
            (
                "process",
                "for p in /proc/[0-9]*; do [ -e $p/exe ] && cat $p/comm; done; true",
            ),
            ("mount", "cut -d' ' -f5 /proc/1/mountinfo"),
            ("link", "ls /sys/class/net"),
            ("address", "ip -o address | awk '{print $2, $4}'"),
            ("route", "ip route; ip -6 route"),
            ("rule", "ip rule"),
            ("port", "ss -lntuH | awk '{print $1, $5}'"),
            (
                "unit file",
                "systemctl list-unit-files --no-legend --plain | awk '{print $1, $2}'",
            ),
            ("failed unit", "systemctl --failed --no-legend --plain"),
            (
                "cgroup",
                "find /sys/fs/cgroup -type d ! -path '*.scope*' ! -path '*user*'",
            ),
        ] {
            let output = host
                .exec(&["sh", "-c", command])
                .expect("a look at the host");
            for line in String::from_utf8_lossy(&output.stdout).lines() {
                let line = line.trim();
                // A name in brackets is a child of systemd that has not become its program yet.
                if !(kind == "process" && (PASSING.contains(&line) || line.starts_with('('))) {
                    things.insert(format!("{kind} {line}"), String::new());
                }
            }
        }
        // With the machine's nft, since a bare host has none; in the network of the host.
        let tables = Command::new("nsenter")
            .arg(format!("--net={}", process.join("ns/net").display()))
            .args(["--", "nft", "list", "tables"])
            .output()
            .expect("nft");
        assert!(tables.status.success(), "nft: {tables:?}");
        for table in String::from_utf8_lossy(&tables.stdout).lines() {
            things.insert(format!("nftables {table}"), String::new());
        }
        for setting in SETTINGS {
            let output = host
                .exec(&["cat", &format!("/proc/sys/{setting}")])
                .expect("cat");
            let value = String::from_utf8_lossy(&output.stdout).trim().to_owned();
            things.insert(format!("setting {setting}"), value);
        }
        HostState { things }
    }

    /// The files of `trees` alone, such as `/etc`.
    pub fn files_below(&self, trees: &[&str]) -> HostState {
        let below = |key: &&String| {
            trees
                .iter()
                .any(|tree| key.starts_with(&format!("file {tree}/")))
        };
        let things = self.things.iter().filter(|(key, _)| below(key));
        HostState {
            things: things
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect(),
        }
    }

    /// The same without the things whose names `forget` chooses.
    pub fn without(&self, forget: impl Fn(&str) -> bool) -> HostState {
        let things = self.things.iter().filter(|(key, _)| !forget(key));
        HostState {
            things: things
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect(),
        }
    }

    /// What is different later: appeared, gone, changed.
    pub fn differences(&self, later: &HostState) -> Vec<String> {
        let mut found = Vec::new();
        for (thing, value) in &self.things {
            match later.things.get(thing) {
                None => found.push(format!("gone: {thing} {value}")),
                Some(now) if now != value => {
                    found.push(format!("changed: {thing}: {value} -> {now}"))
                }
                Some(_) => {}
            }
        }
        let new = later
            .things
            .iter()
            .filter(|(thing, _)| !self.things.contains_key(*thing));
        found.extend(new.map(|(thing, value)| format!("new: {thing} {value}")));
        found
    }
}

fn files(host: &Host, root: &Path, path: &Path, things: &mut BTreeMap<String, String>) {
    let name = path.strip_prefix(root).expect("below the root");
    let text = name.to_string_lossy();
    if NO_DISK.contains(&text.as_ref()) || RESTLESS.contains(&text.as_ref()) {
        return;
    }
    let Ok(meta) = fs::symlink_metadata(path) else {
        return;
    };
    let kind = meta.file_type();
    let what = if kind.is_dir() {
        "directory".into()
    } else if kind.is_symlink() {
        format!("-> {}", fs::read_link(path).unwrap_or_default().display())
    } else if kind.is_file() {
        format!("{} bytes, {}", meta.len(), content(host, name, path))
    } else if kind.is_socket() {
        "socket".into()
    } else {
        "special".into()
    };
    let value = format!(
        "{what}, mode {:04o}, owner {}:{}",
        meta.mode() & 0o7777,
        meta.uid(),
        meta.gid()
    );
    things.insert(format!("file /{text}"), value);
    if kind.is_dir() {
        for entry in fs::read_dir(path).into_iter().flatten().flatten() {
            files(host, root, &entry.path(), things);
        }
    }
}

/// A fingerprint of the content. Files of the bare system that nobody touched are not read.
fn content(host: &Host, name: &Path, path: &Path) -> String {
    if !name.starts_with("var/lib") && !host.changes_dir().join(name).exists() {
        return "as installed".into();
    }
    let Ok(mut file) = fs::File::open(path) else {
        return "unreadable".into();
    };
    let (mut hasher, mut buffer) = (std::hash::DefaultHasher::new(), vec![0; 1 << 16]);
    while let Ok(count @ 1..) = file.read(&mut buffer) {
        hasher.write(&buffer[..count]);
    }
    format!("{:016x}", hasher.finish())
}
