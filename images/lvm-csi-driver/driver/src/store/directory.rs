//! The store in a directory: controller and agent as processes of one machine, without an API server.
//!
//! One JSON file an object. Writers take turns by a lock on one file; a write is a rename. Changes
//! of other processes show at the counter of versions, whose replacement the kernel tells of.

mod look;
mod replaced;

use self::look::look;
use super::{Store, StoreError, Stored};
use crate::object::{Key, Object, ObjectKind};
use ingot_volume_brain::Version;
use nix::fcntl::{Flock, FlockArg};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::broadcast;

/// Objects in a directory.
#[derive(Debug)]
pub struct DirectoryStore {
    folder: PathBuf,
    changes: broadcast::Sender<Key>,
}

#[derive(Serialize, Deserialize)]
struct OnFile {
    version: Version,
    object: Object,
}

fn unavailable(path: &Path, error: impl std::fmt::Display) -> StoreError {
    StoreError::Unavailable(format!("{}: {error}", path.display()))
}

/// Writes down that a name is there, or gone: an intent must not be lost with the power after the
/// disk was changed for it.
fn durable(path: &Path) -> Result<(), StoreError> {
    let folder = path.parent().unwrap_or(path);
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(|error| unavailable(folder, error))
}

impl DirectoryStore {
    /// Opens a directory and makes it if it is not there.
    pub fn open(folder: &Path) -> Result<Arc<Self>, StoreError> {
        for kind in ObjectKind::ALL {
            let path = folder.join(kind.plural());
            fs::create_dir_all(&path).map_err(|error| unavailable(&path, error))?;
        }
        let store = Arc::new(Self {
            folder: folder.to_owned(),
            changes: broadcast::channel(1024).0,
        });
        store.alone(|| store.catch_up())?;
        if tokio::runtime::Handle::try_current().is_ok() {
            tokio::spawn(look(Arc::downgrade(&store)));
        }
        Ok(store)
    }

    fn path(&self, key: &Key) -> PathBuf {
        let folder = self.folder.join(key.kind.plural());
        folder.join(format!("{}.json", key.name))
    }

    fn read(&self, key: &Key) -> Result<Option<Stored>, StoreError> {
        let path = self.path(key);
        match fs::read(&path) {
            Ok(bytes) => {
                let OnFile { version, object } =
                    serde_json::from_slice(&bytes).map_err(|error| unavailable(&path, error))?;
                Ok(Some(Stored { version, object }))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(unavailable(&path, error)),
        }
    }

    /// Everything of a kind, with one look at the directory.
    fn all(&self, kind: ObjectKind) -> Result<Vec<(Key, Stored)>, StoreError> {
        let folder = self.folder.join(kind.plural());
        let mut names = Vec::new();
        for entry in fs::read_dir(&folder).map_err(|error| unavailable(&folder, error))? {
            let name = entry
                .map_err(|error| unavailable(&folder, error))?
                .file_name();
            if let Some(name) = name.to_str().and_then(|name| name.strip_suffix(".json")) {
                names.push(name.to_owned());
            }
        }
        names.sort();
        let mut found = Vec::new();
        for name in names {
            let key = Key { kind, name };
            // It may have gone between the two looks.
            if let Some(stored) = self.read(&key)? {
                found.push((key, stored));
            }
        }
        Ok(found)
    }

    fn counter(&self) -> PathBuf {
        self.folder.join("version")
    }

    fn last(&self) -> Result<u64, StoreError> {
        let path = self.counter();
        match fs::read_to_string(&path) {
            Ok(text) => text
                .trim()
                .parse()
                .map_err(|error| unavailable(&path, error)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(0),
            Err(error) => Err(unavailable(&path, error)),
        }
    }

    /// A power cut may leave an older counter than the last, or an empty one. Whoever knew a version
    /// ended with it, so the greatest that is written down is the last.
    fn catch_up(&self) -> Result<(), StoreError> {
        let greatest = self.versions()?.into_values().max().map_or(0, |v| v.0);
        match self.last() {
            Ok(last) if last >= greatest => Ok(()),
            _ => self.count(greatest),
        }
    }

    fn count(&self, last: u64) -> Result<(), StoreError> {
        self.replace(&self.counter(), last.to_string().as_bytes(), false)
    }

    fn replace(&self, path: &Path, bytes: &[u8], lasting: bool) -> Result<(), StoreError> {
        let temporary = self.folder.join("writing");
        let write = || {
            let mut file = File::create(&temporary)?;
            std::io::Write::write_all(&mut file, bytes)?;
            if lasting {
                file.sync_all()?;
            }
            fs::rename(&temporary, path)
        };
        write().map_err(|error| unavailable(path, error))?;
        match lasting {
            true => durable(path),
            false => Ok(()),
        }
    }

    /// Runs a write while no other process writes.
    fn alone<T>(&self, write: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
        let path = self.folder.join("lock");
        let file = File::create(&path).map_err(|error| unavailable(&path, error))?;
        let lock = Flock::lock(file, FlockArg::LockExclusive)
            .map_err(|(_, error)| unavailable(&path, error))?;
        let result = write();
        drop(lock);
        result
    }

    fn put(&self, key: &Key, object: Object) -> Result<Version, StoreError> {
        let version = Version(self.last()? + 1);
        // The counter first: a version is never given twice, whatever comes between.
        self.count(version.0)?;
        let path = self.path(key);
        let bytes = serde_json::to_vec_pretty(&OnFile { version, object })
            .map_err(|error| unavailable(&path, error))?;
        self.replace(&path, &bytes, true)?;
        Ok(version)
    }

    fn at(&self, key: &Key, version: Version) -> Result<(), StoreError> {
        match self.read(key)? {
            None => Err(StoreError::NotFound(key.clone())),
            Some(found) if found.version != version => Err(StoreError::Conflict(key.clone())),
            Some(_) => Ok(()),
        }
    }

    fn versions(&self) -> Result<BTreeMap<Key, Version>, StoreError> {
        let mut versions = BTreeMap::new();
        for kind in ObjectKind::ALL {
            let all = self.all(kind)?.into_iter();
            versions.extend(all.map(|(key, stored)| (key, stored.version)));
        }
        Ok(versions)
    }
}

#[tonic::async_trait]
impl Store for DirectoryStore {
    async fn get(&self, key: &Key) -> Result<Option<Stored>, StoreError> {
        self.read(key)
    }

    async fn list(&self, kind: ObjectKind) -> Result<Vec<(Key, Stored)>, StoreError> {
        self.all(kind)
    }

    async fn create(&self, key: &Key, object: Object) -> Result<Version, StoreError> {
        self.alone(|| match self.read(key)? {
            Some(_) => Err(StoreError::Exists(key.clone())),
            None => self.put(key, object),
        })
    }

    async fn update(
        &self,
        key: &Key,
        version: Version,
        object: Object,
    ) -> Result<Version, StoreError> {
        self.alone(|| {
            self.at(key, version)?;
            self.put(key, object)
        })
    }

    async fn delete(&self, key: &Key, version: Version) -> Result<(), StoreError> {
        self.alone(|| {
            self.at(key, version)?;
            let path = self.path(key);
            fs::remove_file(&path).map_err(|error| unavailable(&path, error))?;
            durable(&path)?;
            let removed = self.folder.join("removed");
            self.replace(&removed, key.to_string().as_bytes(), false)
        })
    }

    fn watch(&self) -> broadcast::Receiver<Key> {
        self.changes.subscribe()
    }
}

#[cfg(test)]
mod tests;
