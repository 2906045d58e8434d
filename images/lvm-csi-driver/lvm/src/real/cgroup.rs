//! Limits of a pod's use of a device: io.max of its control group (version 2).

use crate::backend::Reply;
use crate::command::Limits;
use crate::device::Device;
use crate::error::LvmError;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Where control groups are.
pub(super) const ROOT: &str = "/sys/fs/cgroup";

/// The line that io.max takes.
fn line(major: u64, minor: u64, limits: Limits) -> String {
    let value = |limit: Option<u64>| limit.map_or("max".to_owned(), |limit| limit.to_string());
    format!(
        "{major}:{minor} rbps={} wbps={} riops={} wiops={}",
        value(limits.read_bytes),
        value(limits.write_bytes),
        value(limits.read_operations),
        value(limits.write_operations)
    )
}

/// Whether the groups of pods, of version 2, are below that root.
pub(super) fn tells_of_pods(root: &Path) -> bool {
    let pods = |name: &std::ffi::OsStr| name.to_string_lossy().starts_with("kubepods");
    let mut entries = fs::read_dir(root).into_iter().flatten().flatten();
    root.join("cgroup.controllers").exists() && entries.any(|entry| pods(&entry.file_name()))
}

/// The pod's group: kubelet names it pod<uid>, with underscores where systemd makes it.
pub(super) fn group(root: &Path, pod: &str) -> Option<PathBuf> {
    let names = [
        format!("pod{pod}"),
        format!("pod{}.slice", pod.replace('-', "_")),
    ];
    let ours = |name: &str| names.iter().any(|end| name.ends_with(end.as_str()));
    let mut folders: Vec<PathBuf> = fs::read_dir(root)
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            path.file_name()
                .is_some_and(|n| n.to_string_lossy().starts_with("kubepods"))
        })
        .collect();
    // Pods are at most two levels below: by quality of service, then by pod.
    for _ in 0..3 {
        if let Some(found) = folders.iter().find(|path| {
            path.file_name()
                .is_some_and(|name| ours(&name.to_string_lossy()))
        }) {
            return Some(found.clone());
        }
        folders = folders
            .iter()
            .filter_map(|folder| fs::read_dir(folder).ok())
            .flatten()
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.is_dir())
            .collect();
    }
    None
}

/// Writes the limits of one pod for one device.
pub(super) fn limit(device: &Device, pod: &str, limits: Limits) -> Result<Reply, LvmError> {
    let failed = |path: &Path, error: std::io::Error| LvmError::Failed {
        command: format!("limits in {}", path.display()),
        reason: error.to_string(),
    };
    let path = device.path();
    let number = fs::metadata(&path)
        .map_err(|error| failed(&path, error))?
        .rdev();
    let group = group(Path::new(ROOT), pod).ok_or_else(|| LvmError::NotFound {
        what: format!("the control group of pod {pod} below {ROOT}"),
    })?;
    let file = group.join("io.max");
    let text = line(
        nix::sys::stat::major(number),
        nix::sys::stat::minor(number),
        limits,
    );
    fs::write(&file, text).map_err(|error| failed(&file, error))?;
    Ok(Reply::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_limited_is_lifted() {
        let limits = Limits {
            read_bytes: Some(1024),
            write_operations: Some(7),
            ..Limits::default()
        };
        assert_eq!(
            line(253, 3, limits),
            "253:3 rbps=1024 wbps=max riops=max wiops=7"
        );
    }
}
