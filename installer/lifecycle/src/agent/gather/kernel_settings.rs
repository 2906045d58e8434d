//! Which files of this host set the kernel settings that we need, to what (sysctl.d(5), sysctl(8)). Reads only.

use crate::facts::{Facts, SettingLine};
use crate::settings;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Where programs look, the first wins where two have a file of the same name.
const DIRECTORIES: [&str; 4] = [
    "/etc/sysctl.d",
    "/run/sysctl.d",
    "/usr/local/lib/sysctl.d",
    "/usr/lib/sysctl.d",
];
/// sysctl(8) `--system` reads the first last of all; ufw(8) sets what is in the second when it starts.
const OTHERS: [&str; 2] = ["/etc/sysctl.conf", "/etc/ufw/sysctl.conf"];

/// Settings that undo one of ours under another name (Linux, ip-sysctl.rst: `ip_forward` is the same as
/// `conf/all/forwarding`, and interfaces that come later take `conf/default`).
const SAME: [&str; 2] = [
    "net.ipv4.conf.all.forwarding",
    "net.ipv4.conf.default.forwarding",
];

/// The lines that set what we set, in the order in which they take effect.
pub fn lines(facts: &Facts) -> Vec<SettingLine> {
    let mut files: BTreeMap<String, PathBuf> = BTreeMap::new();
    for directory in DIRECTORIES {
        for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.ends_with(".conf") && !settings::SYSCTL_FILES.contains(&name.as_str()) {
                files.entry(name).or_insert_with(|| entry.path());
            }
        }
    }
    let others = OTHERS.map(PathBuf::from);
    let wanted: Vec<&str> = settings::sysctls(facts)
        .iter()
        .map(|one| one.key)
        .chain(SAME)
        .collect();
    let mut seen: Vec<PathBuf> = Vec::new();
    let mut found = Vec::new();
    for path in files.into_values().chain(others) {
        // Debian has /etc/sysctl.conf as 99-sysctl.conf as well.
        let real = path.canonicalize().unwrap_or_else(|_| path.clone());
        if !seen.contains(&real) {
            found.extend(read(
                &path,
                &super::text(&real.display().to_string()),
                &wanted,
            ));
            seen.push(real);
        }
    }
    found
}

fn read(file: &Path, text: &str, wanted: &[&str]) -> Vec<SettingLine> {
    let setting = |(index, line): (usize, &str)| {
        let line = line.trim();
        if line.starts_with(['#', ';']) {
            return None;
        }
        let (key, value) = line.split_once('=')?;
        // A dash before the name: an error is passed over. Slashes may stand for dots.
        let key = key.trim().trim_start_matches('-').replace('/', ".");
        wanted.contains(&key.as_str()).then(|| SettingLine {
            file: file.display().to_string(),
            line: index + 1,
            key,
            value: value.trim().to_owned(),
        })
    };
    text.lines().enumerate().filter_map(setting).collect()
}

#[cfg(test)]
mod tests {
    use super::read;
    use std::path::Path;

    #[test]
    fn settings_are_found_in_all_their_spellings() {
        let text = "# net.ipv4.ip_forward = 0\nkernel.panic=0\n\n-net/ipv4/ip_forward = 0\nnet.core.somaxconn = 1\n; x\nnet.ipv4.ip_forward";
        let found = read(
            Path::new("/etc/sysctl.d/99-x.conf"),
            text,
            &["net.ipv4.ip_forward"],
        );
        let told: Vec<_> = found
            .iter()
            .map(|line| format!("{}:{} {}={}", line.file, line.line, line.key, line.value))
            .collect();
        assert_eq!(told, ["/etc/sysctl.d/99-x.conf:4 net.ipv4.ip_forward=0"]);
    }
}
