//! `sysctl`: a kernel setting below /proc/sys, now. A `file` below /etc/sysctl.d keeps it across boots.

use super::{Kind, ResourceError, Status, io};
use crate::change::Change;
use crate::journal::Saved;
use crate::system::System;
use crate::undo::UndoStep;
use serde::Deserialize;
use std::io::Write;
use std::path::{Path, PathBuf};

/// A kernel setting.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Sysctl {
    /// Its dotted name, e.g. `net.ipv4.ip_forward`.
    pub key: String,
    /// Its value.
    pub value: String,
    /// Where the kernel lacks the setting, or refuses the value, go on without it.
    #[serde(default)]
    pub optional: bool,
}

/// Where the setting `key` lies in the host's file system.
pub(crate) fn path_of(key: &str) -> PathBuf {
    Path::new("/proc/sys").join(key.replace('.', "/"))
}

/// The kernel separates the words of a value by tabs.
fn normal(value: &str) -> String {
    value.split_whitespace().collect::<Vec<_>>().join(" ")
}

impl Kind for Sysctl {
    fn target(&self) -> String {
        format!("sysctl {}", self.key)
    }

    fn check(&self, system: &System) -> Result<Status, ResourceError> {
        let path = path_of(&self.key);
        match std::fs::read_to_string(system.path(&path)) {
            Ok(found) if normal(&found) == normal(&self.value) => Ok(Status::InSync),
            Ok(found) => Ok(Status::Drifted(vec![Change::new(
                "value",
                normal(&found),
                normal(&self.value),
            )])),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && self.optional => Ok(
                Status::NotApplicable(format!("this kernel has no setting {}", self.key)),
            ),
            // A module that is loaded before may bring it; if none does, setting it fails.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Status::Drifted(
                vec![Change::create("value", normal(&self.value))],
            )),
            Err(error) => Err(io("read", &path)(error)),
        }
    }

    fn way_back(&self, system: &System, _saved: &Saved) -> Result<Vec<UndoStep>, ResourceError> {
        let path = path_of(&self.key);
        let found = match std::fs::read_to_string(system.path(&path)) {
            // Changing it says what is wrong.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            found => found.map_err(io("read", &path))?,
        };
        Ok(vec![UndoStep::SetSysctl {
            key: self.key.clone(),
            value: normal(&found),
        }])
    }

    fn change(&self, system: &System) -> Result<(), ResourceError> {
        let path = path_of(&self.key);
        // The kernel makes the files of its settings; one that is not there is no setting.
        let open = std::fs::OpenOptions::new()
            .write(true)
            .truncate(true)
            .open(system.path(&path));
        let mut file = open.map_err(io("write", &path))?;
        file.write_all(self.value.as_bytes())
            .map_err(io("write", &path))
    }
}
