//! What steps back are about, to tell which changes build on each other.

use super::UndoStep;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Paths, units and other names that steps put back.
#[derive(Debug, Default)]
pub(super) struct Subjects {
    paths: BTreeSet<PathBuf>,
    names: BTreeSet<String>,
}

impl Subjects {
    /// Those of the steps of one change.
    pub(super) fn of<'a>(steps: impl IntoIterator<Item = &'a UndoStep>) -> Self {
        let mut all = Self::default();
        for step in steps {
            match step {
                UndoStep::RemoveFile { path }
                | UndoStep::RestoreFile { path, .. }
                | UndoStep::RestoreSymlink { path, .. }
                | UndoStep::RemoveDirectory { path }
                | UndoStep::RemoveTree { path }
                | UndoStep::RestoreDirectory { path, .. }
                | UndoStep::SetOwnership { path, .. }
                | UndoStep::Unmount { path } => _ = all.paths.insert(path.clone()),
                UndoStep::SetService { unit, .. } => _ = all.names.insert(unit.clone()),
                UndoStep::SetSysctl { key, .. } => _ = all.names.insert(key.clone()),
                UndoStep::RemoveUser { name }
                | UndoStep::SetUser { name, .. }
                | UndoStep::RemoveGroup { name }
                | UndoStep::RestoreGroup { name, .. } => _ = all.names.insert(name.clone()),
                // The program must still be there when the step is tried again.
                UndoStep::Run { program, .. } if Path::new(program).is_absolute() => {
                    all.paths.insert(program.into());
                }
                UndoStep::Run { .. } | UndoStep::ReloadUnits => {}
            }
        }
        all
    }

    /// Whether something of one lies at, above or below something of the other. The unit file of a service
    /// belongs to the service.
    pub(super) fn overlap(&self, other: &Self) -> bool {
        let paths = self.paths.iter().any(|one| {
            other
                .paths
                .iter()
                .any(|two| one.starts_with(two) || two.starts_with(one))
        });
        paths || self.same_name(other) || self.unit_file_of(other) || other.unit_file_of(self)
    }

    /// Whether both are about the same unit, setting or account.
    pub(super) fn same_name(&self, other: &Self) -> bool {
        !self.names.is_disjoint(&other.names)
    }

    fn unit_file_of(&self, other: &Self) -> bool {
        self.paths.iter().any(|path| {
            path.components().any(|part| {
                let part = part.as_os_str().to_string_lossy();
                let unit = part.strip_suffix(".d").unwrap_or(&part);
                other.names.contains(unit)
            })
        })
    }

    pub(super) fn add(&mut self, other: Self) {
        self.paths.extend(other.paths);
        self.names.extend(other.names);
    }
}
