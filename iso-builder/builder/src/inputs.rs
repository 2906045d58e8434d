//! All that decides what a build gives: trains, lock file, toolchains, source digests.
//!
//! From it comes the cache key of each component. Reads and asks for versions; builds nothing.

use crate::cache::{self, RECIPE};
use crate::catalog::{Cgo, ComponentPlan, Plan, SourceSpec};
use crate::layer::ZSTD_LEVEL;
use crate::lock::{self, Lock, LockError};
use crate::process::ProcessError;
use crate::source::cargo::CargoError;
use crate::source::deb::Package;
use crate::source::go::Group;
use crate::source::{cargo, go};
use crate::train::{Train, TrainError};
use ingot_bundle::Digest;
use std::collections::BTreeMap;
use std::path::PathBuf;
use thiserror::Error;

/// The inputs of all components of a plan.
#[derive(Debug)]
pub struct Inputs {
    /// Trains by name.
    pub trains: BTreeMap<String, Train>,
    /// The lock file.
    pub lock: Lock,
    /// Where it lies.
    pub lock_file: PathBuf,
    /// Cache key of each component, in the plan's order.
    pub keys: Vec<Digest>,
    /// Digest of the sources of each cargo package.
    pub cargo_sources: BTreeMap<String, Digest>,
}

/// Why the inputs are not known.
#[derive(Debug, Error)]
pub enum InputsError {
    /// A train.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// The lock file.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// A toolchain.
    #[error(transparent)]
    Toolchain(#[from] ProcessError),
    /// Sources of this workspace.
    #[error(transparent)]
    Cargo(#[from] CargoError),
}

impl Inputs {
    /// Reads the inputs of every component.
    ///
    /// # Errors
    /// When a train, the lock file or a toolchain is missing.
    pub fn read(plan: &Plan) -> Result<Self, InputsError> {
        let lock_file = plan.trains.with_file_name(lock::FILE);
        let mut inputs = Self {
            trains: BTreeMap::new(),
            lock: Lock::load(&lock_file)?,
            lock_file,
            keys: Vec::new(),
            cargo_sources: BTreeMap::new(),
        };
        let mut toolchains = Toolchains::default();
        for component in &plan.components {
            let key = inputs.key(plan, component, &mut toolchains)?;
            inputs.keys.push(key);
        }
        Ok(inputs)
    }

    /// The packages a deb source adds to those of the deb sources before it.
    ///
    /// # Errors
    /// When the lock file does not have them.
    pub fn packages_of(
        &self,
        component: &ComponentPlan,
        number: usize,
    ) -> Result<Vec<Package>, LockError> {
        let mut before: Vec<Package> = Vec::new();
        for (index, source) in component.spec.sources.iter().enumerate() {
            let SourceSpec::Deb(spec) = source else {
                continue;
            };
            let needed = self.lock.packages_of(spec, &self.lock_file)?;
            let new: Vec<Package> = needed
                .into_iter()
                .filter(|package| !before.contains(package))
                .collect();
            if index == number {
                return Ok(new);
            }
            before.extend(new);
        }
        Ok(Vec::new())
    }

    fn key(
        &mut self,
        plan: &Plan,
        component: &ComponentPlan,
        toolchains: &mut Toolchains,
    ) -> Result<Digest, InputsError> {
        let catalog = &plan.catalog;
        let mut parts = vec![
            RECIPE.to_owned(),
            ZSTD_LEVEL.to_string(),
            catalog.created.clone(),
            catalog.architecture.clone(),
            component.name.clone(),
            component.text.clone(),
        ];
        if component.spec.version == "catalog" {
            parts.push(catalog.version.clone());
        }
        for (number, source) in component.spec.sources.iter().enumerate() {
            match source {
                SourceSpec::Go(spec) => {
                    if !self.trains.contains_key(&spec.train) {
                        let folder = plan.trains.join(&spec.train);
                        let train = Train::load(&folder, &catalog.kubernetes, &catalog.created)?;
                        self.trains.insert(spec.train.clone(), train);
                    }
                    parts.push(self.trains[&spec.train].inputs.clone());
                    parts.push(Group::of(spec).identity());
                    parts.push(toolchains.go()?);
                    if spec.cgo == Cgo::Static {
                        parts.push(toolchains.c()?);
                    }
                }
                SourceSpec::Deb(_) => {
                    for package in self.packages_of(component, number)? {
                        parts.push(package.sha256);
                    }
                }
                SourceSpec::Cargo(spec) => {
                    let digest = cargo::source_digest(&plan.workspace, spec)?;
                    self.cargo_sources.insert(spec.package.clone(), digest);
                    parts.push(digest.to_string());
                    parts.push(toolchains.rust()?);
                }
                SourceSpec::Oci(spec) => parts.push(spec.digest.to_string()),
                // Part of the text above.
                SourceSpec::Links(_) | SourceSpec::LinksOf(_) | SourceSpec::Files(_) => {}
            }
        }
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        Ok(cache::key(&parts))
    }
}

/// Versions of compilers, each asked for once and only if needed.
#[derive(Default)]
struct Toolchains {
    go: Option<String>,
    c: Option<String>,
    rust: Option<String>,
}

impl Toolchains {
    fn go(&mut self) -> Result<String, ProcessError> {
        remember(&mut self.go, go::toolchain)
    }

    fn c(&mut self) -> Result<String, ProcessError> {
        remember(&mut self.c, go::c_toolchain)
    }

    fn rust(&mut self) -> Result<String, ProcessError> {
        remember(&mut self.rust, cargo::toolchain)
    }
}

fn remember(
    slot: &mut Option<String>,
    ask: fn() -> Result<String, ProcessError>,
) -> Result<String, ProcessError> {
    if let Some(known) = slot {
        return Ok(known.clone());
    }
    let answer = ask()?;
    *slot = Some(answer.clone());
    Ok(answer)
}
