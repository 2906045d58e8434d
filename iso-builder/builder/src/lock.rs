//! The lock file of Debian packages: what was asked, what apt resolved it to, pinned by digest.
//!
//! (Go modules are locked by go.sum, crates by Cargo.lock.) Never resolves by itself during a
//! build: a stale lock file is an error.

use crate::catalog::{ComponentPlan, DebSpec, SourceSpec};
use crate::source::deb::{self, DebError, Package};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Name of the lock file, beside the trains.
pub const FILE: &str = "packages.lock.yaml";

/// The lock file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Lock {
    /// Every request of the components.
    pub requests: Vec<Request>,
    /// Every package, by name.
    pub packages: Vec<Package>,
}

/// One deb source, resolved.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// What was asked for.
    pub packages: Vec<String>,
    /// What was taken as installed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub assume: Vec<String>,
    /// All that is needed, by name.
    pub needs: Vec<String>,
}

/// Why the lock file cannot be used.
#[derive(Debug, Error)]
pub enum LockError {
    /// It cannot be read.
    #[error("cannot read {path}; run `iso-builder lock`")]
    Read {
        /// The lock file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It has another shape.
    #[error("{path} is not understood; run `iso-builder lock` to write it anew")]
    Parse {
        /// The lock file.
        path: PathBuf,
        /// What the parser said.
        source: serde_yaml::Error,
    },
    /// A request is not in it.
    #[error("{path} does not have the packages {packages}; run `iso-builder lock`")]
    Stale {
        /// The lock file.
        path: PathBuf,
        /// What was asked for.
        packages: String,
    },
    /// apt could not resolve a request.
    #[error("cannot resolve the packages of {component}")]
    Resolve {
        /// The component.
        component: String,
        /// Why.
        source: DebError,
    },
    /// It cannot be written.
    #[error("cannot write {path}")]
    Write {
        /// The lock file.
        path: PathBuf,
        /// What went wrong.
        source: std::io::Error,
    },
    /// Two requests need different versions of one package.
    #[error("apt gave two versions of {package} in one run; run `iso-builder lock` again")]
    Moved {
        /// The package.
        package: String,
    },
}

impl Lock {
    /// Reads the lock file; an absent one is empty.
    ///
    /// # Errors
    /// When it is malformed.
    pub fn load(path: &Path) -> Result<Self, LockError> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self::default());
            }
            Err(source) => {
                return Err(LockError::Read {
                    path: path.to_owned(),
                    source,
                });
            }
        };
        serde_yaml::from_str(&text).map_err(|source| LockError::Parse {
            path: path.to_owned(),
            source,
        })
    }

    /// The packages of a deb source, sorted by name.
    ///
    /// # Errors
    /// When the request was never locked.
    pub fn packages_of(&self, spec: &DebSpec, path: &Path) -> Result<Vec<Package>, LockError> {
        let stale = || LockError::Stale {
            path: path.to_owned(),
            packages: spec.packages.join(", "),
        };
        let request = self
            .requests
            .iter()
            .find(|request| request.packages == spec.packages && request.assume == spec.assume)
            .ok_or_else(stale)?;
        request
            .needs
            .iter()
            .map(|name| {
                self.packages
                    .iter()
                    .find(|package| package.name == *name)
                    .cloned()
                    .ok_or_else(stale)
            })
            .collect()
    }

    /// Resolves all deb sources of the components anew, each request once.
    ///
    /// # Errors
    /// When apt cannot.
    pub fn resolve(components: &[ComponentPlan], scratch: &Path) -> Result<Self, LockError> {
        let mut requests: BTreeSet<Request> = BTreeSet::new();
        let mut packages: BTreeMap<String, Package> = BTreeMap::new();
        for component in components {
            for source in &component.spec.sources {
                let SourceSpec::Deb(spec) = source else {
                    continue;
                };
                let same = |known: &Request| {
                    known.packages == spec.packages && known.assume == spec.assume
                };
                if requests.iter().any(same) {
                    continue;
                }
                let found =
                    deb::resolve(&spec.packages, &spec.assume, scratch).map_err(|source| {
                        LockError::Resolve {
                            component: component.name.clone(),
                            source,
                        }
                    })?;
                requests.insert(Request {
                    packages: spec.packages.clone(),
                    assume: spec.assume.clone(),
                    needs: found.iter().map(|package| package.name.clone()).collect(),
                });
                for package in found {
                    let name = package.name.clone();
                    let before = packages.insert(name.clone(), package.clone());
                    if before.is_some_and(|before| before != package) {
                        return Err(LockError::Moved { package: name });
                    }
                }
            }
        }
        Ok(Self {
            requests: requests.into_iter().collect(),
            packages: packages.into_values().collect(),
        })
    }

    /// Writes the lock file.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), LockError> {
        let failed = |source| LockError::Write {
            path: path.to_owned(),
            source,
        };
        let body = serde_yaml::to_string(self).map_err(|e| failed(std::io::Error::other(e)))?;
        let text =
            format!("# Written by `iso-builder lock`. Debian packages, pinned by SHA-256.\n{body}");
        std::fs::write(path, text).map_err(failed)
    }
}
