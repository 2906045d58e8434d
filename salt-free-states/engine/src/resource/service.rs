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

/// The properties of a unit that this module reads.
struct Found {
    exists: bool,
    active: bool,
    enabled: bool,
    stale: bool,
}

impl Service {
    fn find(&self, system: &System) -> Result<Found, ResourceError> {
        let text = system.commands.must(
            "systemctl",
            &[
                "show",
                "--property=LoadState,ActiveState,UnitFileState,NeedDaemonReload",
                "--",
                &self.unit,
            ],
        )?;
        let value: BTreeMap<&str, &str> = text
            .lines()
            .filter_map(|line| line.split_once('='))
            .collect();
        let is = |key: &str, wanted: &[&str]| value.get(key).is_some_and(|v| wanted.contains(v));
        Ok(Found {
            exists: !is("LoadState", &["not-found"]),
            active: is("ActiveState", &["active", "activating", "reloading"]),
            enabled: is("UnitFileState", &["enabled", "enabled-runtime"]),
            stale: is("NeedDaemonReload", &["yes"]),
        })
    }
}

fn word(yes: bool) -> &'static str {
    if yes { "true" } else { "false" }
}

impl Kind for Service {
    fn target(&self) -> String {
        format!("service {}", self.unit)
    }

    fn check(&self, system: &System) -> Result<Status, ResourceError> {
        let found = self.find(system)?;
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
            return Ok(Status::NotApplicable(format!(
                "{} is not installed",
                self.unit
            )));
        }
        Ok(Status::from_changes(changes))
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
            system
                .commands
                .must("systemctl", &[verb, "--quiet", "--", &self.unit])?;
        }
        if found.active != self.running {
            let verb = if self.running { "start" } else { "stop" };
            system
                .commands
                .must("systemctl", &[verb, "--", &self.unit])?;
        }
        Ok(())
    }

    fn react(&self, system: &System) -> Result<(), ResourceError> {
        if self.running {
            system
                .commands
                .must("systemctl", &["restart", "--", &self.unit])?;
        }
        Ok(())
    }
}
