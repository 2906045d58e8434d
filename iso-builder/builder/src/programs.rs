//! Compiled Go programs, made group by group when first asked for.
//!
//! All programs of a train are compiled by one call, so that shared packages compile once even
//! when several components are built at the same time.

use crate::process::ProcessError;
use crate::source::go::{self, Group};
use crate::train::Train;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use thiserror::Error;

/// The programs of a build.
pub struct Programs {
    groups: BTreeMap<Group, Mutex<State>>,
    /// Where programs are put.
    folder: PathBuf,
}

enum State {
    Wanted(BTreeSet<String>),
    Built(BTreeMap<String, PathBuf>),
    Failed,
}

/// Why there are no programs.
#[derive(Debug, Error)]
pub enum ProgramsError {
    /// Compiling failed.
    #[error("cannot compile the train {train}")]
    Compile {
        /// The train.
        train: String,
        /// What the go command said.
        source: ProcessError,
    },
    /// Another component met the failure.
    #[error("the train {train} did not compile; see the first component that needs it")]
    Before {
        /// The train.
        train: String,
    },
    /// The system refused.
    #[error("cannot make {path}")]
    Folder {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

impl Programs {
    /// Prepares for these packages of each group; `folder` must outlive the programs.
    pub fn new(wanted: BTreeMap<Group, BTreeSet<String>>, folder: PathBuf) -> Self {
        let groups = wanted
            .into_iter()
            .map(|(group, packages)| (group, Mutex::new(State::Wanted(packages))))
            .collect();
        Self { groups, folder }
    }

    /// The programs of a group by package. Whoever asks first compiles, others wait.
    ///
    /// # Errors
    /// When compiling fails or failed before.
    pub fn of(
        &self,
        train: &Train,
        group: &Group,
    ) -> Result<BTreeMap<String, PathBuf>, ProgramsError> {
        let before = || ProgramsError::Before {
            train: group.train.clone(),
        };
        let state = self.groups.get(group).ok_or_else(before)?;
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        let packages = match &*state {
            State::Built(programs) => return Ok(programs.clone()),
            State::Failed => return Err(before()),
            State::Wanted(packages) => packages.clone(),
        };
        *state = State::Failed;
        let number = self
            .groups
            .keys()
            .position(|known| known == group)
            .unwrap_or_default();
        let path = self.folder.join(number.to_string());
        std::fs::create_dir_all(&path).map_err(|source| ProgramsError::Folder {
            path: path.clone(),
            source,
        })?;
        let programs =
            go::build(train, group, &packages, &path).map_err(|source| ProgramsError::Compile {
                train: group.train.clone(),
                source,
            })?;
        *state = State::Built(programs.clone());
        Ok(programs)
    }
}
