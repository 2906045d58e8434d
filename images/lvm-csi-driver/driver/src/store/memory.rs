//! The store in memory: for tests, and for controller and agent in one process.

use super::{Store, StoreError, Stored};
use crate::object::{Key, Object, ObjectKind};
use ingot_volume_brain::Version;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::broadcast;

/// Objects in memory.
#[derive(Debug)]
pub struct MemoryStore {
    objects: Mutex<Objects>,
    changes: broadcast::Sender<Key>,
}

#[derive(Debug, Default)]
struct Objects {
    last: u64,
    all: BTreeMap<Key, Stored>,
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self {
            objects: Mutex::default(),
            changes: broadcast::channel(1024).0,
        }
    }
}

impl MemoryStore {
    fn objects(&self) -> MutexGuard<'_, Objects> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn changed(&self, key: &Key) {
        // Nobody listening is no fault.
        let _ = self.changes.send(key.clone());
    }
}

impl Objects {
    fn put(&mut self, key: &Key, object: Object) -> Version {
        self.last += 1;
        let version = Version(self.last);
        self.all.insert(key.clone(), Stored { version, object });
        version
    }

    fn at(&self, key: &Key, version: Version) -> Result<(), StoreError> {
        match self.all.get(key) {
            None => Err(StoreError::NotFound(key.clone())),
            Some(found) if found.version != version => Err(StoreError::Conflict(key.clone())),
            Some(_) => Ok(()),
        }
    }
}

#[tonic::async_trait]
impl Store for MemoryStore {
    async fn get(&self, key: &Key) -> Result<Option<Stored>, StoreError> {
        Ok(self.objects().all.get(key).cloned())
    }

    async fn list(&self, kind: ObjectKind) -> Result<Vec<(Key, Stored)>, StoreError> {
        let objects = self.objects();
        let of_kind = objects.all.iter().filter(|(key, _)| key.kind == kind);
        Ok(of_kind.map(|(k, s)| (k.clone(), s.clone())).collect())
    }

    async fn create(&self, key: &Key, object: Object) -> Result<Version, StoreError> {
        let version = {
            let mut objects = self.objects();
            if objects.all.contains_key(key) {
                return Err(StoreError::Exists(key.clone()));
            }
            objects.put(key, object)
        };
        self.changed(key);
        Ok(version)
    }

    async fn update(
        &self,
        key: &Key,
        version: Version,
        object: Object,
    ) -> Result<Version, StoreError> {
        let version = {
            let mut objects = self.objects();
            objects.at(key, version)?;
            objects.put(key, object)
        };
        self.changed(key);
        Ok(version)
    }

    async fn delete(&self, key: &Key, version: Version) -> Result<(), StoreError> {
        {
            let mut objects = self.objects();
            objects.at(key, version)?;
            objects.all.remove(key);
        }
        self.changed(key);
        Ok(())
    }

    fn watch(&self) -> broadcast::Receiver<Key> {
        self.changes.subscribe()
    }
}
