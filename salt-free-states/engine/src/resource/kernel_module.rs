//! `kernel_module`: a feature of the kernel, loaded as a module where it is not built in.
//!
//! Minimal hosts may lack modprobe, and kernels may have the feature built in without a trace under
//! /sys/module; so a module may name what shows that its feature is there.

use super::{Kind, ResourceError, Status};
use crate::change::Change;
use crate::journal::Saved;
use crate::system::System;
use crate::undo::UndoStep;
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// A kernel module.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct KernelModule {
    /// Its name, with underscores.
    pub name: String,
    /// A path whose existence shows that the feature is there.
    #[serde(default)]
    pub provides: Option<PathBuf>,
    /// A file system type of /proc/filesystems that shows it.
    #[serde(default)]
    pub filesystem: Option<String>,
}

impl KernelModule {
    fn present(&self, system: &System) -> bool {
        let exists = |path: &Path| system.path(path).exists();
        if exists(&Path::new("/sys/module").join(&self.name))
            || self.provides.as_deref().is_some_and(exists)
        {
            return true;
        }
        let Some(wanted) = &self.filesystem else {
            return false;
        };
        std::fs::read_to_string(system.path(Path::new("/proc/filesystems"))).is_ok_and(|text| {
            text.lines()
                .any(|line| line.split_whitespace().last() == Some(wanted))
        })
    }
}

impl Kind for KernelModule {
    fn target(&self) -> String {
        format!("kernel module {}", self.name)
    }

    fn check(&self, system: &System) -> Result<Status, ResourceError> {
        if self.present(system) {
            return Ok(Status::InSync);
        }
        Ok(Status::Drifted(vec![Change::create("loaded", "true")]))
    }

    fn way_back(&self, _system: &System, _saved: &Saved) -> Result<Vec<UndoStep>, ResourceError> {
        // A loaded module may be in use by others by now; leaving it costs nothing.
        Ok(Vec::new())
    }

    fn change(&self, system: &System) -> Result<(), ResourceError> {
        system.commands.must("modprobe", &["--", &self.name])?;
        if self.present(system) {
            return Ok(());
        }
        Err(ResourceError::Conflict(format!(
            "modprobe loaded {}, but the kernel does not show its feature; a newer kernel may be needed",
            self.name
        )))
    }
}
