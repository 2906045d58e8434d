//! What systemd of this host adds to services, brings back at boot, and runs beside ours. Reads only.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

fn systemctl(words: &[&str]) -> String {
    let output = Command::new("systemctl").args(words).output();
    output
        .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
        .unwrap_or_default()
}

const PROXIES: [&str; 4] = ["http_proxy", "https_proxy", "all_proxy", "ftp_proxy"];

/// The proxy variables that services are given, and who gives them.
pub fn proxies() -> BTreeMap<String, String> {
    let given = systemctl(&["show-environment"]);
    let mut found: BTreeMap<String, String> = names(&given)
        .map(|name| {
            (
                name,
                "systemd (DefaultEnvironment= of system.conf.d, or `systemctl set-environment`)"
                    .into(),
            )
        })
        .collect();
    for file in manager_files() {
        let text = super::text(&file.display().to_string());
        for line in text
            .lines()
            .filter(|line| line.trim_start().starts_with("DefaultEnvironment="))
        {
            let words = line
                .split_once('=')
                .map_or("", |(_, value)| value)
                .replace(['"', '\''], " ");
            for name in names(&words.replace(' ', "\n")) {
                found.insert(name, file.display().to_string());
            }
        }
    }
    found
}

fn names(text: &str) -> impl Iterator<Item = String> {
    text.lines()
        .filter_map(|line| line.trim().split_once('='))
        .map(|(name, _)| name.trim_start_matches("export ").to_owned())
        .filter(|name| PROXIES.contains(&name.to_lowercase().as_str()))
}

/// systemd-system.conf(5).
fn manager_files() -> Vec<PathBuf> {
    let mut files = vec![PathBuf::from("/etc/systemd/system.conf")];
    for directory in [
        "/etc/systemd/system.conf.d",
        "/run/systemd/system.conf.d",
        "/usr/lib/systemd/system.conf.d",
    ] {
        files.extend(files_below(Path::new(directory), ".conf"));
    }
    files
}

fn files_below(directory: &Path, suffix: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| path.to_string_lossy().ends_with(suffix))
        .collect();
    files.sort();
    files
}

/// Our units that others may have changed before.
const UNITS: [&str; 2] = ["containerd.service", "kubelet.service"];

/// Files that change our units (systemd.unit(5), "drop-in"); those for all services among them.
pub fn drop_ins() -> Vec<String> {
    let mut found = Vec::new();
    for root in [
        "/etc/systemd/system",
        "/run/systemd/system",
        "/usr/local/lib/systemd/system",
        "/usr/lib/systemd/system",
    ] {
        for unit in UNITS.iter().copied().chain(["service"]) {
            found.extend(files_below(
                &Path::new(root).join(format!("{unit}.d")),
                ".conf",
            ));
        }
    }
    found
        .iter()
        .filter(|path| !is_distribution_default(path))
        .map(|path| path.display().to_string())
        .collect()
}

/// Fedora's `service.d/10-timeout-abort.conf` only says how a service that hangs is ended.
fn is_distribution_default(path: &Path) -> bool {
    path.ends_with("service.d/10-timeout-abort.conf")
}

/// What turns swap on at boot, beside /etc/fstab, which the installer changes itself.
pub fn swap_at_boot() -> Vec<String> {
    let mut found: Vec<String> = [
        "/etc/systemd/zram-generator.conf",
        "/usr/lib/systemd/zram-generator.conf",
        "/etc/default/zramswap",
        "/etc/zram.conf",
    ]
    .into_iter()
    .filter(|path| Path::new(path).is_file())
    .map(Into::into)
    .collect();
    for root in ["/etc/systemd/system", "/usr/lib/systemd/system"] {
        let units = files_below(Path::new(root), ".swap");
        // One that is masked is a link to nowhere.
        let active = units
            .into_iter()
            .filter(|path| path.metadata().is_ok_and(|meta| meta.is_file()));
        found.extend(active.map(|path| path.display().to_string()));
    }
    found
}

/// Firewall services that are active.
pub fn firewalls() -> Vec<String> {
    const KNOWN: [&str; 4] = [
        "firewalld.service",
        "ufw.service",
        "nftables.service",
        "iptables.service",
    ];
    let mut words = vec!["is-active"];
    words.extend(KNOWN);
    systemctl(&words)
        .lines()
        .zip(KNOWN)
        .filter(|(state, _)| *state == "active")
        .map(|(_, unit)| unit.trim_end_matches(".service").to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::names;

    #[test]
    fn proxy_variables_are_told_from_others() {
        let text = "HTTP_PROXY=http://10.0.0.9:3128\nLANG=C\nno_proxy=localhost\nhttps_proxy=http://10.0.0.9:3128\n";
        assert_eq!(
            names(text).collect::<Vec<_>>(),
            ["HTTP_PROXY", "https_proxy"]
        );
    }
}
