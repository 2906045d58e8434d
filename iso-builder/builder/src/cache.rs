//! What was built before: blobs by digest, and components by the digest of their inputs.
//!
//! Entries appear whole or not at all (written aside, then renamed), and are checked when
//! used: a damaged one is built again. Never decides what the inputs are.

use ingot_bundle::{Component, Descriptor, Digest, digest_of_file};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Raise when the way of building changes, so that nothing from before is used.
pub const RECIPE: &str = "1";

/// The cache directory.
#[derive(Clone, Debug)]
pub struct Cache {
    root: PathBuf,
}

/// The cache cannot be used.
#[derive(Debug, Error)]
#[error("cannot use the cache {path}: check its rights and room, or set INGOT_CACHE")]
pub struct CacheError {
    path: PathBuf,
    source: io::Error,
}

impl Cache {
    /// Opens the cache at `$INGOT_CACHE`, else `$XDG_CACHE_HOME/ingot`, else `~/.cache/ingot`.
    ///
    /// # Errors
    /// When its directories cannot be made.
    pub fn open() -> Result<Self, CacheError> {
        let from = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let root = from("INGOT_CACHE").map(PathBuf::from).unwrap_or_else(|| {
            let base = from("XDG_CACHE_HOME")
                .map(PathBuf::from)
                .unwrap_or_else(|| {
                    PathBuf::from(from("HOME").unwrap_or_else(|| "/root".into())).join(".cache")
                });
            base.join("ingot")
        });
        Self::at(&root)
    }

    /// Opens the cache in a given directory.
    ///
    /// # Errors
    /// When its directories cannot be made.
    pub fn at(root: &Path) -> Result<Self, CacheError> {
        for name in ["blobs", "components", "debs", "outputs", "work"] {
            let path = root.join(name);
            fs::create_dir_all(&path).map_err(|source| CacheError { path, source })?;
        }
        Ok(Self {
            root: root.to_owned(),
        })
    }

    /// A directory of the cache.
    pub fn folder(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// A fresh directory on the same file system; removed when dropped.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn scratch(&self) -> Result<tempfile::TempDir, CacheError> {
        let path = self.root.join("work");
        tempfile::tempdir_in(&path).map_err(|source| CacheError { path, source })
    }

    /// Where a blob lies, if it does.
    pub fn blob(&self, digest: &Digest) -> PathBuf {
        self.root.join("blobs").join(digest.hex())
    }

    /// Takes a finished file in as a blob.
    ///
    /// # Errors
    /// When it cannot be moved.
    pub fn adopt(&self, digest: &Digest, file: &Path) -> Result<(), CacheError> {
        let path = self.blob(digest);
        fs::rename(file, &path).map_err(|source| CacheError { path, source })
    }

    /// Stores bytes as a blob.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn store(&self, blob: &Descriptor, bytes: &[u8]) -> Result<(), CacheError> {
        let scratch = self.scratch()?;
        let path = scratch.path().join("blob");
        fs::write(&path, bytes).map_err(|source| CacheError {
            path: path.clone(),
            source,
        })?;
        self.adopt(&blob.digest, &path)
    }

    /// The component that was built from these inputs, if it is still whole.
    pub fn component(&self, key: &Digest) -> Option<Component> {
        let bytes = fs::read(self.entry(key)).ok()?;
        let component: Component = serde_json::from_slice(&bytes).ok()?;
        let whole = component.all_blobs().all(|blob| self.whole(blob));
        whole.then_some(component)
    }

    /// Remembers a component whose blobs were stored.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn remember(&self, key: &Digest, component: &Component) -> Result<(), CacheError> {
        self.write("components", &key.hex(), component)
    }

    /// Reads a record of another kind.
    pub fn record<T: serde::de::DeserializeOwned>(&self, folder: &str, name: &str) -> Option<T> {
        let bytes = fs::read(self.root.join(folder).join(format!("{name}.json"))).ok()?;
        serde_json::from_slice(&bytes).ok()
    }

    /// Writes a record atomically.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write<T: serde::Serialize>(
        &self,
        folder: &str,
        name: &str,
        value: &T,
    ) -> Result<(), CacheError> {
        let path = self.root.join(folder).join(format!("{name}.json"));
        let failed = |source| CacheError {
            path: path.clone(),
            source,
        };
        let scratch = self.scratch()?;
        let aside = scratch.path().join("record");
        let bytes = serde_json::to_vec_pretty(value).map_err(|e| failed(e.into()))?;
        fs::write(&aside, bytes).map_err(failed)?;
        fs::rename(&aside, &path).map_err(failed)
    }

    fn entry(&self, key: &Digest) -> PathBuf {
        self.root
            .join("components")
            .join(format!("{}.json", key.hex()))
    }

    fn whole(&self, blob: &Descriptor) -> bool {
        digest_of_file(&self.blob(&blob.digest))
            .is_ok_and(|(d, s)| d == blob.digest && s == blob.size)
    }
}

/// Digest over a list of texts; the lengths keep neighbours apart.
pub fn key(parts: &[&str]) -> Digest {
    let mut hasher = ingot_bundle::Hasher::new();
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    hasher.finish()
}
