//! `directory`: a directory with given mode, owner and group. Its content is not managed, but it may
//! say which entries it may have.

use super::{Kind, Mode, ResourceError, Status, absolute, io, ownership, removal};
use crate::change::Change;
use crate::journal::Saved;
use crate::system::System;
use crate::undo::UndoStep;
use serde::Deserialize;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;

/// A directory; missing parents are made with mode 0755.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Directory {
    /// Where it lies.
    #[serde(deserialize_with = "absolute")]
    pub path: PathBuf,
    /// Permission bits; `"0755"` unless given.
    #[serde(default = "default_mode")]
    pub mode: Mode,
    /// Owner, a name or number; `root` unless given.
    #[serde(default = "ownership::root")]
    pub owner: String,
    /// Group, a name or number; `root` unless given.
    #[serde(default = "ownership::root")]
    pub group: String,
    /// Everything that will ever lie in it is ours: undo removes it with its content.
    #[serde(default)]
    pub exclusive: bool,
    /// The only entries it may have: others are removed, and put back by undo. Without it, all may stay.
    #[serde(default)]
    pub entries: Option<Vec<String>>,
}

impl Directory {
    /// Entries that may not be there, sorted.
    fn unwanted(&self, system: &System) -> Result<Vec<PathBuf>, ResourceError> {
        let Some(wanted) = &self.entries else {
            return Ok(Vec::new());
        };
        let found = removal::entries(system, &self.path)?.into_iter();
        Ok(found
            .filter(|path| !wanted.iter().any(|name| path.ends_with(name)))
            .collect())
    }
}

fn default_mode() -> Mode {
    Mode(0o755)
}

impl Kind for Directory {
    fn target(&self) -> String {
        format!("directory {}", self.path.display())
    }

    fn check(&self, system: &System) -> Result<Status, ResourceError> {
        match std::fs::metadata(system.path(&self.path)) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Status::Drifted(
                vec![Change::create("mode", self.mode.to_string())],
            )),
            Err(error) => Err(io("read", &self.path)(error)),
            Ok(meta) if !meta.is_dir() => Err(ResourceError::Conflict(format!(
                "{} is a file where a directory is wanted; move it away",
                self.path.display()
            ))),
            Ok(_) => {
                let mut changes =
                    ownership::compare(system, &self.path, self.mode, &self.owner, &self.group)?;
                for path in self.unwanted(system)? {
                    changes.push(Change::remove("entries", path.display().to_string()));
                }
                Ok(Status::from_changes(changes))
            }
        }
    }

    fn way_back(&self, system: &System, saved: &Saved) -> Result<Vec<UndoStep>, ResourceError> {
        if let Ok(meta) = std::fs::metadata(system.path(&self.path)) {
            let mut steps = Vec::new();
            for path in self.unwanted(system)? {
                removal::way_back(system, saved, &path, &mut steps)?;
            }
            steps.push(UndoStep::SetOwnership {
                path: self.path.clone(),
                mode: meta.permissions().mode() & 0o7777,
                uid: meta.uid(),
                gid: meta.gid(),
            });
            return Ok(steps);
        }
        // Parents that are made on the way go as well; undo goes from the last step to the first.
        let missing: Vec<_> = self
            .path
            .ancestors()
            .take_while(|path| !system.path(path).exists())
            .collect();
        let steps =
            missing
                .into_iter()
                .rev()
                .map(|path| match self.exclusive && path == self.path {
                    true => UndoStep::RemoveTree { path: path.into() },
                    false => UndoStep::RemoveDirectory { path: path.into() },
                });
        Ok(steps.collect())
    }

    fn change(&self, system: &System) -> Result<(), ResourceError> {
        let at = system.path(&self.path);
        std::fs::create_dir_all(&at).map_err(io("create", &self.path))?;
        ownership::set(system, &self.path, &at, self.mode, &self.owner, &self.group)?;
        self.unwanted(system)?
            .iter()
            .try_for_each(|path| removal::remove_tree(system, path))
    }
}
