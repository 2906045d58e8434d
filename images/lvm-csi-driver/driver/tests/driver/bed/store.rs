//! The store as one life of a driver sees it: with a fuse in the way of each write, and reads that
//! may be stale.

use ingot_lvm::{Fuse, Passage};
use ingot_lvm_csi::object::{Key, Object, ObjectKind};
use ingot_lvm_csi::store::{MemoryStore, Store, StoreError, Stored};
use ingot_volume_brain::Version;
use std::sync::{Arc, Mutex};
use tokio::sync::broadcast;

pub struct FusedStore {
    pub inner: Arc<MemoryStore>,
    pub fuse: Fuse,
    /// What the next reads of single objects show instead.
    pub stale: Mutex<Option<Option<Stored>>>,
    /// While it is held no update of a pool or a disk comes through; each says that it has come.
    pub slow: tokio::sync::Mutex<()>,
    pub come: tokio::sync::Notify,
}

impl FusedStore {
    pub fn new(inner: Arc<MemoryStore>, fuse: Fuse) -> Arc<Self> {
        Arc::new(Self {
            inner,
            fuse,
            stale: Mutex::default(),
            slow: tokio::sync::Mutex::default(),
            come: tokio::sync::Notify::new(),
        })
    }

    fn alive(&self) -> Result<(), StoreError> {
        if self.fuse.blown() {
            Err(StoreError::Crashed)
        } else {
            Ok(())
        }
    }

    async fn write<T>(
        &self,
        name: String,
        write: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        match self.fuse.step(&name) {
            Passage::Through => write.await,
            // The store commits a write in one: it has no half.
            Passage::Before | Passage::During => Err(StoreError::Crashed),
            Passage::After => {
                let _ = write.await;
                Err(StoreError::Crashed)
            }
        }
    }
}

#[tonic::async_trait]
impl Store for FusedStore {
    async fn get(&self, key: &Key) -> Result<Option<Stored>, StoreError> {
        self.alive()?;
        let stale = self.stale.lock().expect("whole").clone();
        match stale {
            Some(stale) => Ok(stale),
            None => self.inner.get(key).await,
        }
    }

    async fn list(&self, kind: ObjectKind) -> Result<Vec<(Key, Stored)>, StoreError> {
        self.alive()?;
        self.inner.list(kind).await
    }

    async fn create(&self, key: &Key, object: Object) -> Result<Version, StoreError> {
        // The status of pools and disks is only a picture; it is not a step of any volume.
        if matches!(key.kind, ObjectKind::Pool | ObjectKind::Disk) {
            self.alive()?;
            return self.inner.create(key, object).await;
        }
        let name = format!("creation of {}", key.kind.plural());
        self.write(name, self.inner.create(key, object)).await
    }

    async fn update(
        &self,
        key: &Key,
        version: Version,
        object: Object,
    ) -> Result<Version, StoreError> {
        if matches!(key.kind, ObjectKind::Pool | ObjectKind::Disk) {
            self.alive()?;
            self.come.notify_one();
            let _turn = self.slow.lock().await;
            return self.inner.update(key, version, object).await;
        }
        let name = format!("update of {}", key.kind.plural());
        self.write(name, self.inner.update(key, version, object))
            .await
    }

    async fn delete(&self, key: &Key, version: Version) -> Result<(), StoreError> {
        let name = format!("release of {}", key.kind.plural());
        self.write(name, self.inner.delete(key, version)).await
    }

    fn watch(&self) -> broadcast::Receiver<Key> {
        self.inner.watch()
    }
}
