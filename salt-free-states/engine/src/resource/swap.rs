//! `swap`: no swap in use, now and after a boot, as the kubelet wants it.

use super::fstab::{self, FSTAB};
use super::{Kind, ResourceError, Status};
use crate::change::Change;
use crate::journal::Saved;
use crate::system::System;
use crate::undo::UndoStep;
use serde::Deserialize;
use std::path::Path;

/// The use of swap. Only `enabled: false` can be described.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Swap {
    /// Must be `false`.
    #[serde(deserialize_with = "only_false")]
    pub enabled: bool,
}

fn only_false<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    if bool::deserialize(deserializer)? {
        return Err(serde::de::Error::custom(
            "swap can only be turned off: `enabled: false`",
        ));
    }
    Ok(false)
}

const MARK: &str = "# turned off by ingot: ";

/// The devices and files the kernel swaps to now.
fn active(system: &System) -> Vec<String> {
    let text = std::fs::read_to_string(system.path(Path::new("/proc/swaps"))).unwrap_or_default();
    text.lines()
        .skip(1)
        .filter_map(|line| Some(line.split_whitespace().next()?.to_owned()))
        .collect()
}

/// fstab(5): the third field of a swap entry is `swap`.
fn is_swap_line(line: &str) -> bool {
    !line.trim_start().starts_with('#') && line.split_whitespace().nth(2) == Some("swap")
}

impl Kind for Swap {
    fn target(&self) -> String {
        "swap".into()
    }

    fn check(&self, system: &System) -> Result<Status, ResourceError> {
        let mut changes = Vec::new();
        let active = active(system);
        if !active.is_empty() {
            changes.push(Change::remove("active", active.join(", ")));
        }
        let fstab = fstab::read(system)?;
        let lines = fstab.lines().filter(|line| is_swap_line(line)).count();
        if lines > 0 {
            changes.push(Change::remove(FSTAB, format!("{lines} swap entries")));
        }
        Ok(Status::from_changes(changes))
    }

    fn way_back(&self, system: &System, saved: &Saved) -> Result<Vec<UndoStep>, ResourceError> {
        let mut steps = vec![saved.keep(system, Path::new(FSTAB))?];
        for device in active(system) {
            steps.push(UndoStep::Run {
                program: "swapon".into(),
                args: vec![device],
            });
        }
        Ok(steps)
    }

    fn shares_a_file(&self) -> bool {
        true
    }

    fn change(&self, system: &System) -> Result<(), ResourceError> {
        fstab::edit(system, |text| {
            let turned_off = |line: &str| match is_swap_line(line) {
                true => format!("{MARK}{line}\n"),
                false => format!("{line}\n"),
            };
            let any = text.lines().any(is_swap_line);
            any.then(|| text.lines().map(turned_off).collect())
        })?;
        for device in active(system) {
            system.commands.must("swapoff", &[&device])?;
        }
        Ok(())
    }
}
