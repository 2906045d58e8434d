//! The agent of a node: one actor per volume that it owns, fed by the object store and the disks.
//!
//! What happens to a volume is decided by `ingot-volume-brain`; here its commands are carried out.
//! Reads go to the source each time before a decision; the inventory is read again after each
//! change of ours, so nothing is polled while nothing happens.

mod actor;
mod attempts;
mod create;
mod erase;
mod formatted;
mod growth;
mod inventory;
mod making;
mod members;
mod metadata;
mod observe;
mod perform;
mod pools;
mod publish;
mod remains;
mod reserve;
mod restart;
mod returned;
mod run;
mod shared;
mod together;

pub use actor::Actor;
pub use formatted::FormatRecords;
pub use inventory::{Inventory, Located};
pub use members::DiskNote;
pub(crate) use members::{missing as missing_disks, protected};
pub(crate) use restart::failure;

use crate::config::{NodeConfig, PoolConfig};
use crate::store::Store;
use ingot_lvm::{Device, Executor, LvmError, Mount};
use ingot_volume_brain::{State, VgName, VolumeUid};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use tokio::sync::Mutex as Turn;

/// The agent. Share it by `Arc`.
pub struct Agent {
    pub(crate) config: NodeConfig,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) executor: Executor,
    pub(crate) inventory: Inventory,
    actors: Mutex<BTreeMap<VolumeUid, Arc<Turn<Actor>>>>,
    /// One growth of a pool's promises at a time, so that two do not count the same room.
    gates: BTreeMap<VgName, Turn<()>>,
    erasures: erase::Erasures,
    attempts: attempts::Attempts,
    pub(crate) formats: FormatRecords,
    members: members::Members,
    remains: remains::Remains,
    reserves: reserve::Reserves,
    seen: observe::Seen,
    published: shared::Shared,
    /// For work that goes on beside whoever began it.
    me: Weak<Agent>,
}

impl Agent {
    /// An agent that has read nothing yet, and writes each tag at once.
    pub fn new(config: NodeConfig, store: Arc<dyn Store>, executor: Executor) -> Arc<Self> {
        Self::with_records(config, store, executor, FormatRecords::default())
    }

    /// An agent that keeps records where tags would keep pods waiting.
    pub fn with_records(
        config: NodeConfig,
        store: Arc<dyn Store>,
        executor: Executor,
        formats: FormatRecords,
    ) -> Arc<Self> {
        let gates = config
            .pools
            .iter()
            .map(|pool| (pool.volume_group.clone(), Turn::default()));
        let gates = gates.collect();
        Arc::new_cyclic(|me| Self {
            me: Weak::clone(me),
            erasures: erase::Erasures::default(),
            attempts: attempts::Attempts::default(),
            remains: remains::Remains::beside(&formats),
            formats,
            members: members::Members::default(),
            reserves: reserve::Reserves::of(&config.pools),
            seen: observe::Seen::default(),
            published: shared::Shared::default(),
            gates,
            inventory: Inventory::new(executor.clone(), config.abandoned.clone()),
            config,
            store,
            executor,
            actors: Mutex::default(),
        })
    }

    fn actors(&self) -> MutexGuard<'_, BTreeMap<VolumeUid, Arc<Turn<Actor>>>> {
        self.actors.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The actor of a volume; whoever works on the volume holds it meanwhile.
    pub(crate) fn actor(&self, uid: VolumeUid) -> Arc<Turn<Actor>> {
        Arc::clone(self.actors().entry(uid).or_default())
    }

    /// Forgets the actor of a volume that is neither wanted nor there, unless somebody is at work on it.
    pub(crate) fn forget(&self, uid: VolumeUid) {
        let mut actors = self.actors();
        if actors
            .get(&uid)
            .is_some_and(|actor| Arc::strong_count(actor) == 1)
        {
            actors.remove(&uid);
        }
    }

    /// Where each known volume is in its life.
    pub async fn states(&self) -> BTreeMap<VolumeUid, State> {
        let actors: Vec<_> = self
            .actors()
            .iter()
            .map(|(u, a)| (*u, Arc::clone(a)))
            .collect();
        let mut states = BTreeMap::new();
        for (uid, actor) in actors {
            let state = actor.lock().await.state();
            drop(actor);
            if state == Some(State::Absent) {
                // Whoever brought it there may have found it held here.
                self.forget(uid);
            }
            if let Some(state) = state {
                states.insert(uid, state);
            }
        }
        states
    }

    /// The volume on the disks; they are read again before it is said to be missing.
    pub(crate) async fn found(&self, uid: VolumeUid) -> Result<Option<Located>, LvmError> {
        if let Some(found) = self.inventory.locate(uid) {
            return Ok(Some(found));
        }
        let mut trouble = None;
        for pool in &self.config.pools {
            let read = self.inventory.refresh(&pool.volume_group).await;
            trouble = read.err().or(trouble);
        }
        match (self.inventory.locate(uid), trouble) {
            (None, Some(error)) => Err(error),
            (found, _) => Ok(found),
        }
    }

    pub(crate) fn pool_of(&self, vg: &VgName) -> Option<&PoolConfig> {
        self.config
            .pools
            .iter()
            .find(|pool| pool.volume_group == *vg)
    }

    /// Where a device and its decrypted view are mounted.
    pub(crate) async fn mounts_of(&self, device: &Device) -> Result<Vec<Mount>, LvmError> {
        let mut mounts = self.executor.mounts().await?;
        mounts.retain(|mount| mount.device.vg == device.vg && mount.device.lv == device.lv);
        Ok(mounts)
    }
}
