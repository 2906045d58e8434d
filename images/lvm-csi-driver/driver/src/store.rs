//! Where the objects are: a store with compare-and-swap and a watch.
//!
//! The Kubernetes API is one. What is asked of it is only what that API gives, so that nothing
//! else need be highly available.

mod directory;
pub mod kube;
mod memory;

pub use directory::DirectoryStore;
pub use memory::MemoryStore;

use crate::object::{Key, Object, ObjectKind, Volume};
use ingot_volume_brain::Version;
use tokio::sync::broadcast;

/// An object and the version that was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    /// The version, for the write that follows.
    pub version: Version,
    /// The object.
    pub object: Object,
}

/// A read or write that did not happen, or whose outcome is not known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// One of that name is there already.
    #[error("{0} exists")]
    Exists(Key),
    /// It is gone.
    #[error("{0} does not exist")]
    NotFound(Key),
    /// It was changed since it was read.
    #[error("{0} was changed by somebody else")]
    Conflict(Key),
    /// The store keeps no object like that.
    #[error(
        "the object store does not take {0} like that: {1}; see that driver and definitions are of one version"
    )]
    Refused(Key, String),
    /// The store cannot be reached or does not answer as it should.
    #[error("the object store does not work: {0}; check that it can be reached and try again")]
    Unavailable(String),
    /// A test told it to die here.
    #[error("the simulated crash")]
    Crashed,
}

/// A store of objects.
#[tonic::async_trait]
pub trait Store: Send + Sync + 'static {
    /// Reads an object, not from a cache.
    async fn get(&self, key: &Key) -> Result<Option<Stored>, StoreError>;

    /// Reads all objects of a kind, by name.
    async fn list(&self, kind: ObjectKind) -> Result<Vec<(Key, Stored)>, StoreError>;

    /// Writes an object that must not be there.
    async fn create(&self, key: &Key, object: Object) -> Result<Version, StoreError>;

    /// Writes an object that must be at that version.
    async fn update(
        &self,
        key: &Key,
        version: Version,
        object: Object,
    ) -> Result<Version, StoreError>;

    /// Removes an object that must be at that version.
    async fn delete(&self, key: &Key, version: Version) -> Result<(), StoreError>;

    /// Names objects after they changed. May repeat, and may leave out what a reader was too slow for.
    fn watch(&self) -> broadcast::Receiver<Key>;
}

/// Reads a volume or snapshot.
pub async fn volume(store: &dyn Store, key: &Key) -> Result<Option<(Version, Volume)>, StoreError> {
    let stored = store.get(key).await?;
    Ok(stored.and_then(|stored| match stored.object {
        Object::Volume(volume) => Some((stored.version, *volume)),
        _ => None,
    }))
}

/// Reads all volumes, or all snapshots.
pub async fn volumes(
    store: &dyn Store,
    kind: ObjectKind,
) -> Result<Vec<(Version, Volume)>, StoreError> {
    let all = store.list(kind).await?.into_iter();
    Ok(all
        .filter_map(|(_, stored)| match stored.object {
            Object::Volume(volume) => Some((stored.version, *volume)),
            _ => None,
        })
        .collect())
}
