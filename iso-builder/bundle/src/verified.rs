//! A bundle whose signature held: its table of contents, and whether it suits the caller.
//!
//! Never reads a blob; see `blob` for that.

use crate::digest::Digest;
use crate::keys::KeyId;
use crate::manifest::{Component, Manifest};
use crate::source::Source;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use thiserror::Error;

/// A bundle whose table of contents was signed by a trusted key. Cheap to clone and shared
/// by threads.
#[derive(Clone, Debug)]
pub struct VerifiedBundle {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) path: PathBuf,
    pub(crate) source: Source,
    pub(crate) manifest: Manifest,
    pub(crate) signed_by: KeyId,
    /// Every blob that bundle.json names, with the first component that needs it.
    pub(crate) blobs: BTreeMap<Digest, BlobFacts>,
}

#[derive(Clone, Debug)]
pub(crate) struct BlobFacts {
    pub(crate) size: u64,
    pub(crate) components: Vec<String>,
}

/// The bundle is for other machines.
#[derive(Debug, Error, PartialEq, Eq)]
#[error(
    "the bundle {path} is for {found} and these servers are {wanted}; \
     get the {wanted} bundle of the same version"
)]
pub struct ArchitectureError {
    /// The bundle.
    pub path: PathBuf,
    /// Its architecture, in Go spelling.
    pub found: String,
    /// The architecture asked for.
    pub wanted: String,
}

/// The bundle lacks parts that the caller needs.
#[derive(Debug, Error, PartialEq, Eq)]
#[error(
    "the bundle {path} (version {version}) lacks {missing}; \
     build it from a catalogue that lists every one of them, or get a complete bundle"
)]
pub struct ComponentsError {
    /// The bundle.
    pub path: PathBuf,
    /// Its product version.
    pub version: String,
    /// The missing components, joined with commas.
    pub missing: String,
}

impl VerifiedBundle {
    /// The signed table of contents.
    pub fn manifest(&self) -> &Manifest {
        &self.inner.manifest
    }

    /// Where the bundle lies.
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    /// The key that signed it.
    pub fn signed_by(&self) -> KeyId {
        self.inner.signed_by
    }

    /// The component of this name.
    pub fn component(&self, name: &str) -> Option<&Component> {
        let components = &self.inner.manifest.components;
        components.iter().find(|component| component.name == name)
    }

    /// Refuses a bundle for another CPU architecture.
    ///
    /// # Errors
    /// Names both architectures. `wanted` is in Go spelling (`amd64`).
    pub fn check_architecture(&self, wanted: &str) -> Result<(), ArchitectureError> {
        let found = &self.inner.manifest.architecture;
        if found == wanted {
            return Ok(());
        }
        Err(ArchitectureError {
            path: self.inner.path.clone(),
            found: found.clone(),
            wanted: wanted.to_owned(),
        })
    }

    /// Refuses a bundle that lacks any of the components.
    ///
    /// # Errors
    /// Names all that are missing.
    pub fn require_components(&self, names: &[&str]) -> Result<(), ComponentsError> {
        let missing: Vec<&str> = names
            .iter()
            .copied()
            .filter(|name| self.component(name).is_none())
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        Err(ComponentsError {
            path: self.inner.path.clone(),
            version: self.inner.manifest.version.clone(),
            missing: missing.join(", "),
        })
    }
}
