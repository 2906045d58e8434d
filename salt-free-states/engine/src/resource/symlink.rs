//! `symlink`: a symbolic link with a given target.

use super::{Kind, ResourceError, Status, absolute, io};
use crate::change::Change;
use crate::journal::Saved;
use crate::system::System;
use crate::undo::UndoStep;
use serde::Deserialize;
use std::path::PathBuf;

/// A symbolic link; the target need not exist.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Symlink {
    /// Where the link lies.
    #[serde(deserialize_with = "absolute")]
    pub path: PathBuf,
    /// Where it points to.
    pub target: PathBuf,
}

impl Kind for Symlink {
    fn target(&self) -> String {
        format!("symlink {}", self.path.display())
    }

    fn check(&self, system: &System) -> Result<Status, ResourceError> {
        let at = system.path(&self.path);
        let wanted = self.target.display().to_string();
        match std::fs::symlink_metadata(&at) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Ok(Status::Drifted(vec![Change::create("target", wanted)]))
            }
            Err(error) => Err(io("read", &self.path)(error)),
            Ok(meta) if meta.is_symlink() => {
                let found = std::fs::read_link(&at).map_err(io("read", &self.path))?;
                if found == self.target {
                    return Ok(Status::InSync);
                }
                Ok(Status::Drifted(vec![Change::new(
                    "target",
                    found.display().to_string(),
                    wanted,
                )]))
            }
            Ok(meta) if meta.is_dir() => Err(ResourceError::Conflict(format!(
                "{} is a directory where a symlink is wanted; move it away",
                self.path.display()
            ))),
            Ok(_) => Ok(Status::Drifted(vec![Change::new(
                "type",
                "file",
                format!("symlink to {wanted}"),
            )])),
        }
    }

    fn way_back(&self, system: &System, saved: &Saved) -> Result<Vec<UndoStep>, ResourceError> {
        Ok(vec![saved.keep(system, &self.path)?])
    }

    fn change(&self, system: &System) -> Result<(), ResourceError> {
        let at = system.path(&self.path);
        let mut name = std::ffi::OsString::from(".");
        name.push(self.path.file_name().unwrap_or_default());
        name.push(".ingot-new");
        let temporary = at.with_file_name(name);
        let _ = std::fs::remove_file(&temporary);
        // A link is switched by a rename, so there is no moment without one.
        std::os::unix::fs::symlink(&self.target, &temporary).map_err(io("create", &self.path))?;
        std::fs::rename(&temporary, &at).map_err(io("replace", &self.path))
    }
}
