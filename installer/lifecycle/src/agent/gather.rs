//! Gathers the facts of this host. Reads only, but for the disk measurement, which removes its file.

use crate::facts::{Facts, Inotify, Interface, Membership};
use crate::paths;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

mod dns;
mod foreign;
mod kernel_settings;
mod listeners;
mod routes;
mod services;
mod volumes;

fn text(path: &str) -> String {
    std::fs::read_to_string(path)
        .unwrap_or_default()
        .trim()
        .to_owned()
}

/// The facts of this host; `measure_disk` adds the latency of its disk.
pub fn facts(measure_disk: bool) -> Facts {
    let (cgroup_version, cgroup_controllers) = cgroups();
    let uname = nix::sys::utsname::uname().ok();
    let uname = |get: fn(&nix::sys::utsname::UtsName) -> &std::ffi::OsStr| {
        uname
            .as_ref()
            .map(|u| get(u).to_string_lossy().into_owned())
            .unwrap_or_default()
    };
    let machine = uname(|u| u.machine());
    let (disk_free, disk_size) = disk("/var/lib");
    let filesystems: Vec<String> = text("/proc/filesystems")
        .lines()
        .filter_map(|l| l.split_whitespace().last())
        .map(Into::into)
        .collect();
    let hostname = uname(|u| u.nodename());
    // Programs that answer take longer than files; they are asked at once.
    let proxies = std::thread::spawn(services::proxies);
    let firewalls = std::thread::spawn(services::firewalls);
    let routes = std::thread::spawn(routes::routes);
    let only_local_dns = dns::only_local();
    let (resolv_conf, name_servers) = dns::for_pods().unwrap_or_default();
    let facts = Facts {
        os: os_name(),
        kernel: uname(|u| u.release()),
        architecture: match machine.as_str() {
            "x86_64" => "amd64".into(),
            "aarch64" => "arm64".into(),
            _ => machine,
        },
        init: text("/proc/1/comm"),
        machine_id: text("/etc/machine-id"),
        cgroup_version,
        cgroup_controllers,
        may_lower_oom_score: capability(CAP_SYS_RESOURCE),
        cpus: std::thread::available_parallelism()
            .map_or(1, |n| u32::try_from(n.get()).unwrap_or(1)),
        memory: memory(),
        disk_free,
        disk_size,
        unwritable: unwritable(),
        swap: text("/proc/swaps")
            .lines()
            .skip(1)
            .filter_map(|l| l.split_whitespace().next())
            .map(Into::into)
            .collect(),
        listening: listeners::listening(),
        clock: SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0.0, |d| d.as_secs_f64()),
        addresses: addresses(),
        features: features(&filesystems),
        filesystems,
        resolves_own_name: resolves(&hostname),
        hostname,
        resolv_conf,
        name_servers,
        only_local_dns,
        // The installer's to fill in.
        installer_clock: [0.0; 2],
        routes: routes.join().unwrap_or_default(),
        administrator: routes::administrator(),
        proxies: proxies.join().unwrap_or_default(),
        sysctl_lines: Vec::new(),
        swap_at_boot: services::swap_at_boot(),
        volumes: volumes::volumes(),
        selinux_enforcing: text("/sys/fs/selinux/enforce") == "1",
        apparmor_without_parser: apparmor_without_parser(),
        inotify: inotify(),
        drop_ins: services::drop_ins(),
        firewalls: firewalls.join().unwrap_or_default(),
        foreign: foreign::signs(),
        membership: membership(),
        // On a thread of its own for work that blocks, beside the runtime.
        etcd: tokio::runtime::Handle::try_current()
            .ok()
            .and_then(|runtime| runtime.block_on(super::etcd::of_this_host())),
        fsync_p99_ms: if measure_disk { fsync_p99() } else { None },
    };
    Facts {
        sysctl_lines: kernel_settings::lines(&facts),
        ..facts
    }
}

/// containerd gives containers a profile wherever the kernel has AppArmor on, and loads it with this program.
fn apparmor_without_parser() -> bool {
    let on = text("/sys/module/apparmor/parameters/enabled") == "Y"
        && Path::new("/sys/kernel/security/apparmor").exists();
    let parser = [
        "/sbin",
        "/usr/sbin",
        "/bin",
        "/usr/bin",
        "/usr/local/sbin",
        "/usr/local/bin",
    ]
    .iter()
    .any(|directory| Path::new(directory).join("apparmor_parser").exists());
    on && !parser
}

fn inotify() -> Inotify {
    use nix::unistd::{AccessFlags, access};
    const LIMIT: &str = "/proc/sys/fs/inotify/max_user_instances";
    let mut used = 0;
    for process in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let open = std::fs::read_dir(process.path().join("fd"));
        for descriptor in open.into_iter().flatten().flatten() {
            let target = std::fs::read_link(descriptor.path()).unwrap_or_default();
            used += u64::from(target.as_os_str() == "anon_inode:inotify");
        }
    }
    Inotify {
        limit: text(LIMIT).parse().unwrap_or(128),
        used,
        can_be_raised: access(LIMIT, AccessFlags::W_OK).is_ok(),
    }
}

/// The record of which cluster this host belongs to.
pub fn membership() -> Option<Membership> {
    serde_json::from_str(&std::fs::read_to_string(paths::MEMBERSHIP).ok()?).ok()
}

fn os_name() -> String {
    let release = text("/etc/os-release");
    let name = release
        .lines()
        .find_map(|line| line.strip_prefix("PRETTY_NAME="));
    name.unwrap_or("unknown").trim_matches('"').to_owned()
}

fn cgroups() -> (u8, Vec<String>) {
    let unified = text("/sys/fs/cgroup/cgroup.controllers");
    if !unified.is_empty() {
        return (2, unified.split_whitespace().map(Into::into).collect());
    }
    let enabled = text("/proc/cgroups")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter(|line| line.split_whitespace().nth(3) == Some("1"))
        .filter_map(|line| line.split_whitespace().next())
        .map(|name| {
            if name == "blkio" {
                "io".into()
            } else {
                name.to_owned()
            }
        })
        .collect();
    (1, enabled)
}

/// capability(7).
const CAP_SYS_RESOURCE: u32 = 24;

fn capability(number: u32) -> bool {
    let status = text("/proc/self/status");
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    effective
        .and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok())
        .is_some_and(|bits| bits >> number & 1 == 1)
}

fn memory() -> u64 {
    let info = text("/proc/meminfo");
    let total = info.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    total
        .and_then(|t| t.trim().trim_end_matches(" kB").parse::<u64>().ok())
        .unwrap_or(0)
        * 1024
}

fn disk(path: &str) -> (u64, u64) {
    nix::sys::statvfs::statvfs(path).map_or((0, 0), |s| {
        (
            s.blocks_available() * s.fragment_size(),
            s.blocks() * s.fragment_size(),
        )
    })
}

/// Asked of the kernel, which answers for read-only file systems and immutable directories as well;
/// a file written as a trial would change the directories' times on hosts with nothing to do.
fn unwritable() -> BTreeMap<String, String> {
    use nix::unistd::{AccessFlags, access};
    let mut refused = BTreeMap::new();
    for dir in ["/etc", "/etc/systemd/system", "/opt", "/var/lib"] {
        if let Err(error) = access(dir, AccessFlags::W_OK) {
            refused.insert(
                dir.to_owned(),
                std::io::Error::from_raw_os_error(error as i32).to_string(),
            );
        }
    }
    refused
}

fn addresses() -> BTreeMap<IpAddr, Interface> {
    let mut all = BTreeMap::new();
    for entry in nix::ifaddrs::getifaddrs().into_iter().flatten() {
        let Some(address) = entry.address else {
            continue;
        };
        let ip: IpAddr = if let Some(v4) = address.as_sockaddr_in() {
            v4.ip().into()
        } else if let Some(v6) = address.as_sockaddr_in6() {
            v6.ip().into()
        } else {
            continue;
        };
        let mtu = text(&format!("/sys/class/net/{}/mtu", entry.interface_name))
            .parse()
            .unwrap_or(0);
        let prefix = entry.netmask.as_ref().map_or(0, prefix);
        all.insert(
            ip,
            Interface {
                name: entry.interface_name,
                mtu,
                prefix,
            },
        );
    }
    all
}

/// How many bits of a netmask are set.
fn prefix(mask: &nix::sys::socket::SockaddrStorage) -> u8 {
    let bits = match (mask.as_sockaddr_in(), mask.as_sockaddr_in6()) {
        (Some(v4), _) => v4.ip().to_bits().count_ones(),
        (_, Some(v6)) => v6.ip().to_bits().count_ones(),
        _ => 0,
    };
    u8::try_from(bits).unwrap_or(0)
}

/// What kube-proxy, flannel and containerd need of the kernel, as far as it shows without root's tools.
fn features(filesystems: &[String]) -> Vec<String> {
    let loaded = |name: &str| Path::new("/sys/module").join(name).exists();
    let loadable = |name: &str| {
        let release = text("/proc/sys/kernel/osrelease");
        ["modules.dep", "modules.builtin"].iter().any(|index| {
            text(&format!("/lib/modules/{release}/{index}"))
                .lines()
                .any(|line| {
                    line.split(':')
                        .next()
                        .is_some_and(|p| p.contains(&format!("/{name}.ko")))
                })
        })
    };
    let has = |name: &str| match name {
        "overlay" => filesystems.iter().any(|f| f == "overlay"),
        "br_netfilter" => Path::new("/proc/sys/net/bridge").exists(),
        "nf_tables" => crate::agent::reset::nftables::supported(),
        // Whether a tunnel can be made only shows when one is made.
        _ => loaded(name) || text("/proc/kallsyms").contains(" vxlan_"),
    };
    ["overlay", "br_netfilter", "nf_tables", "vxlan"]
        .into_iter()
        .filter(|name| has(name) || loaded(name) || loadable(name))
        .map(Into::into)
        .collect()
}

fn resolves(hostname: &str) -> bool {
    use std::net::ToSocketAddrs;
    (hostname, 0)
        .to_socket_addrs()
        .is_ok_and(|mut found| found.next().is_some())
}

/// The 99th percentile of writing 2 KiB and waiting for the disk, as etcd does for each entry.
fn fsync_p99() -> Option<f64> {
    use std::io::Write;
    const ROUNDS: usize = 100;
    let path = "/var/lib/.ingot-fsync-probe";
    let mut file = std::fs::OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o600)
        .open(path)
        .ok()?;
    let block = [0x5a; 2048];
    let mut times: Vec<f64> = (0..ROUNDS)
        .filter_map(|_| {
            let start = Instant::now();
            file.write_all(&block)
                .and_then(|()| file.sync_data())
                .ok()?;
            Some(start.elapsed().as_secs_f64() * 1000.0)
        })
        .collect();
    let _ = std::fs::remove_file(path);
    times.sort_by(f64::total_cmp);
    times.get(ROUNDS * 99 / 100 - 1).copied()
}
