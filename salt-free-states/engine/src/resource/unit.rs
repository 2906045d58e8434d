//! `unit`: a systemd unit file below /etc/systemd/system; systemd reads it anew after a change.
//! (systemd.unit(5), systemctl(1) `daemon-reload`.)

use super::{File, Kind, Mode, ResourceError, Status, ownership, service};
use crate::journal::Saved;
use crate::system::System;
use crate::undo::UndoStep;
use serde::Deserialize;
use std::path::Path;

/// A systemd unit file (systemd.unit(5)).
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Unit {
    /// Its name with suffix, e.g. `kubelet.service`.
    pub name: String,
    /// Its text.
    pub content: String,
}

impl Unit {
    fn file(&self) -> File {
        File {
            path: Path::new("/etc/systemd/system").join(&self.name),
            content: self.content.clone(),
            mode: Mode(0o644),
            owner: ownership::root(),
            group: ownership::root(),
            secret: false,
        }
    }
}

impl Kind for Unit {
    fn target(&self) -> String {
        format!("unit {}", self.name)
    }

    fn check(&self, system: &System) -> Result<Status, ResourceError> {
        self.file().check(system)
    }

    fn way_back(&self, system: &System, saved: &Saved) -> Result<Vec<UndoStep>, ResourceError> {
        // Wherever it stands, systemd reads the file once it is back.
        let mut steps = self.file().way_back(system, saved)?;
        steps.push(UndoStep::ReloadUnits);
        Ok(steps)
    }

    fn change(&self, system: &System) -> Result<(), ResourceError> {
        // What systemd does not know yet it reads when it is first asked for; a reload of all units takes
        // a tenth of a second or more.
        let known = service::find(system, &[&self.name])?;
        self.file().change(system)?;
        if known.iter().any(|unit| unit.exists) {
            system.commands.must("systemctl", &["daemon-reload"])?;
        }
        Ok(())
    }
}
