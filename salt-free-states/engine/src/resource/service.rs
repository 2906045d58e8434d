//! `service`: whether a systemd unit runs now and starts at boot; restarts when a watched thing changed.

use super::{Kind, ResourceError, Status};
use crate::change::Change;
use crate::journal::Saved;
use crate::system::System;
use crate::undo::UndoStep;
use serde::Deserialize;
use std::collections::BTreeMap;

/// The state of a systemd unit.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// The unit, with suffix.
    pub unit: String,
    /// Whether it starts at boot; yes unless given.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// Whether it runs now; yes unless given.
    #[serde(default = "yes")]
    pub running: bool,
}

fn yes() -> bool {
    true
}

/// What systemd says of a unit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Found {
    pub(super) exists: bool,
    active: bool,
    enabled: bool,
    stale: bool,
}

/// Asks systemd for several units at once: starting a program costs more than its answer.
///
/// # Errors
/// When systemd does not answer, or not for every unit.
pub fn find(system: &System, units: &[&str]) -> Result<Vec<Found>, ResourceError> {
    if units.is_empty() {
        return Ok(Vec::new());
    }
    let properties = "--property=LoadState,ActiveState,SubState,UnitFileState,NeedDaemonReload";
    let mut words = vec!["show", properties, "--"];
    words.extend(units);
    let text = system.commands.must("systemctl", &words)?;
    // One paragraph a unit, in the order asked for (systemctl(1), show).
    let found: Vec<Found> = text.trim().split("\n\n").map(Found::parse).collect();
    if found.len() != units.len() {
        return Err(ResourceError::Conflict(format!(
            "systemctl told of {} units when asked for {}: {}",
            found.len(),
            units.len(),
            units.join(", ")
        )));
    }
    Ok(found)
}

impl Found {
    fn parse(paragraph: &str) -> Self {
        let value: BTreeMap<&str, &str> = paragraph
            .lines()
            .filter_map(|line| line.split_once('='))
            .collect();
        let is = |key: &str, wanted: &[&str]| value.get(key).is_some_and(|v| wanted.contains(v));
        Self {
            exists: !is("LoadState", &["not-found"]),
            // One that ended and waits to be started again does not run.
            active: is("ActiveState", &["active", "activating", "reloading"])
                && !is("SubState", &["auto-restart", "auto-restart-queued"]),
            enabled: is("UnitFileState", &["enabled", "enabled-runtime"]),
            stale: is("NeedDaemonReload", &["yes"]),
        }
    }
}

impl Service {
    fn find(&self, system: &System) -> Result<Found, ResourceError> {
        let found = find(system, &[&self.unit])?;
        Ok(found.first().copied().unwrap_or_default())
    }

    /// Compares the description with what systemd said of the unit.
    pub fn compare(&self, found: Found) -> Status {
        let mut changes = Vec::new();
        if found.enabled != self.enabled {
            changes.push(Change::new(
                "enabled",
                word(found.enabled),
                word(self.enabled),
            ));
        }
        if found.active != self.running {
            changes.push(Change::new(
                "running",
                word(found.active),
                word(self.running),
            ));
        }
        if found.stale {
            changes.push(Change::new(
                "unit file",
                "changed on disk",
                "read by systemd",
            ));
        }
        // What is not installed neither runs nor starts: that is as wanted when it shall not.
        if !found.exists && !self.enabled && !self.running {
            return Status::NotApplicable(format!("{} is not installed", self.unit));
        }
        Status::from_changes(changes)
    }
}

fn word(yes: bool) -> &'static str {
    if yes { "true" } else { "false" }
}

/// Starts, restarts or stops a unit. One that ended too often is not started by systemd until it is told to
/// forget that (systemd.unit(5), StartLimitBurst): what made it end may be what was just mended.
pub(crate) fn run(system: &System, verb: &str, unit: &str) -> Result<(), ResourceError> {
    let words = [verb, "--", unit];
    if system.commands.run("systemctl", &words)?.success() {
        return Ok(());
    }
    system
        .commands
        .run("systemctl", &["reset-failed", "--", unit])?;
    system.commands.must("systemctl", &words)?;
    Ok(())
}

impl Kind for Service {
    fn target(&self) -> String {
        format!("service {}", self.unit)
    }

    fn check(&self, system: &System) -> Result<Status, ResourceError> {
        Ok(self.compare(self.find(system)?))
    }

    fn way_back(&self, system: &System, _saved: &Saved) -> Result<Vec<UndoStep>, ResourceError> {
        let found = self.find(system)?;
        Ok(vec![UndoStep::SetService {
            unit: self.unit.clone(),
            enabled: found.exists && found.enabled,
            running: found.exists && found.active,
        }])
    }

    fn change(&self, system: &System) -> Result<(), ResourceError> {
        let found = self.find(system)?;
        if found.stale {
            system.commands.must("systemctl", &["daemon-reload"])?;
        }
        if found.enabled != self.enabled {
            let verb = if self.enabled { "enable" } else { "disable" };
            // With the reload of all units that comes with it: systemd keeps what it last said of a unit
            // that is loaded, and would go on saying `disabled`.
            system
                .commands
                .must("systemctl", &[verb, "--quiet", "--", &self.unit])?;
        }
        if found.active != self.running {
            let verb = if self.running { "start" } else { "stop" };
            run(system, verb, &self.unit)?;
        }
        Ok(())
    }

    fn react(&self, system: &System) -> Result<(), ResourceError> {
        if self.running {
            run(system, "restart", &self.unit)?;
        }
        Ok(())
    }
}
