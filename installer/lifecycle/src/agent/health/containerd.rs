//! How containerd is: its service, and its CRI plugin, without which the unit runs and no pod can.

use super::{Health, instance};
use std::path::{Path, PathBuf};
use std::process::Command;

const UNIT: &str = "containerd.service";

/// How it is.
///
/// # Errors
/// When systemd does not answer.
pub(super) fn health(since: f64) -> Result<Health, String> {
    // Its notification says that it serves; where nothing had to be restarted, that is enough.
    let stays_up = if since > 0.0 { instance::STAYS_UP } else { 0.0 };
    let unit = instance::of_unit(UNIT, since, stays_up)?;
    if !matches!(unit, Health::Well { .. }) {
        return Ok(unit);
    }
    Ok(match cri() {
        Ok(()) => unit,
        // It is loaded at the start of containerd or not at all.
        Err(reason) => Health::Broken { reason },
    })
}

/// Whether the CRI plugins are loaded, as containerd's introspection service tells it.
fn cri() -> Result<(), String> {
    let ctr = client().ok_or("its process cannot be found")?;
    let output = Command::new(&ctr)
        .args(["plugins", "ls"])
        .output()
        .map_err(|error| format!("cannot start {}: {error}", ctr.display()))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("it does not answer: {}", said.trim()));
    }
    match broken(&String::from_utf8_lossy(&output.stdout)) {
        None => Ok(()),
        Some(plugins) => {
            let said = super::words::of_unit(UNIT);
            let said = said.map_or(String::new(), |said| format!("; it said: {said}"));
            Err(format!(
                "its CRI does not work: {plugins} is not loaded{said}"
            ))
        }
    }
}

/// The CRI plugins that are not loaded, of a table `TYPE ID PLATFORMS STATUS`.
fn broken(table: &str) -> Option<String> {
    let plugins: Vec<(String, bool)> = table
        .lines()
        .filter_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let (kind, id, status) = (fields.first()?, fields.get(1)?, fields.last()?);
            let is_cri = kind.starts_with("io.containerd.cri.")
                || (kind.starts_with("io.containerd.grpc.") && *id == "cri");
            is_cri.then(|| (format!("{kind}.{id}"), *status == "ok"))
        })
        .collect();
    if plugins.is_empty() {
        return Some("the CRI plugin".into());
    }
    let broken: Vec<&str> = plugins
        .iter()
        .filter(|(_, ok)| !ok)
        .map(|(name, _)| name.as_str())
        .collect();
    (!broken.is_empty()).then(|| broken.join(", "))
}

/// containerd's own client, beside the program that runs.
fn client() -> Option<PathBuf> {
    let output = Command::new("systemctl")
        .args(["show", "--property=MainPID", "--value", "--", UNIT])
        .output()
        .ok()?;
    let pid = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let program = std::fs::read_link(Path::new("/proc").join(pid).join("exe")).ok()?;
    Some(program.with_file_name("ctr"))
}

#[cfg(test)]
mod tests {
    use super::broken;

    #[test]
    fn plugins_that_are_not_loaded_are_named() {
        let table = "TYPE                            ID          PLATFORMS      STATUS\n\
            io.containerd.cri.v1            images      -              ok\n\
            io.containerd.cri.v1            runtime     linux/amd64    ok\n\
            io.containerd.snapshotter.v1    zfs         linux/amd64    skip\n\
            io.containerd.grpc.v1           cri         -              ok\n";
        assert_eq!(broken(table), None);
        let failed = table.replace("linux/amd64    ok", "linux/amd64    error");
        assert_eq!(
            broken(&failed).as_deref(),
            Some("io.containerd.cri.v1.runtime")
        );
        assert_eq!(
            broken("TYPE ID PLATFORMS STATUS\n").as_deref(),
            Some("the CRI plugin")
        );
    }
}
