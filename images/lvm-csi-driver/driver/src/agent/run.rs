//! Keeps the agent going: at its start, on every change, and after failures.

use super::Agent;
use crate::object::{Key, ObjectKind, Volume, VolumeId};
use crate::store;
use ingot_volume_brain::VgName;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;

/// How often failures are tried again and pools are looked at.
const RETRY: Duration = Duration::from_secs(5);
/// How many retries pass between two scans of everything.
const SCAN_EVERY: u32 = 60;

impl Agent {
    /// Reads everything again and brings every volume to rest, one after the other.
    pub async fn settle(&self) -> Result<(), store::StoreError> {
        for pool in &self.config.pools {
            // A group that cannot be read is in the pool's status.
            let _ = self.inventory.refresh(&pool.volume_group).await;
        }
        for (id, vg) in self.known().await?.into_values() {
            self.reconcile(id, &vg, true).await;
        }
        self.publish_pools().await;
        Ok(())
    }

    /// Everything wanted here and everything found here, by its logical volume.
    async fn known(
        &self,
    ) -> Result<BTreeMap<ingot_volume_brain::LvName, (VolumeId, VgName)>, store::StoreError> {
        let mut known = BTreeMap::new();
        for located in self.inventory.all() {
            let id = VolumeId {
                kind: located.tags.kind,
                name: located.tags.name,
                uid: located.tags.uid,
            };
            known.insert(located.lv.lv, (id, located.device.vg));
        }
        for kind in [ObjectKind::Volume, ObjectKind::Snapshot] {
            for (_, volume) in store::volumes(&*self.store, kind).await? {
                if volume.node == self.config.node {
                    known.insert(volume.lv(), (VolumeId::of(&volume), volume.vg));
                }
            }
        }
        Ok(known)
    }

    /// Runs for ever: prepares the pools, then follows changes.
    pub async fn run(self: Arc<Self>) {
        let mut changes = self.store.watch();
        for (pool, error) in self.prepare_pools().await {
            eprintln!("pool {pool}: {error}");
        }
        let mut ticks = 0_u32;
        let mut behind = true;
        let mut timer = tokio::time::interval(RETRY);
        loop {
            if behind && self.settle().await.is_ok() {
                behind = false;
            }
            tokio::select! {
                change = changes.recv() => match change {
                    Ok(key) => self.follow(key),
                    Err(RecvError::Lagged(_)) => behind = true,
                    Err(RecvError::Closed) => return,
                },
                _ = timer.tick() => {
                    ticks += 1;
                    if ticks.is_multiple_of(SCAN_EVERY) {
                        behind = true;
                    }
                    self.retry_parked().await;
                    if self.config.pools.iter().any(|pool| pool.thin.is_some())
                        && ticks.is_multiple_of(12)
                    {
                        self.guard_pools().await;
                    }
                }
            }
        }
    }

    fn follow(self: &Arc<Self>, key: Key) {
        if !matches!(key.kind, ObjectKind::Volume | ObjectKind::Snapshot) {
            return;
        }
        let agent = Arc::clone(self);
        tokio::spawn(async move {
            if let Ok(Some((_, volume))) = store::volume(&*agent.store, &key).await
                && volume.node == agent.config.node
            {
                agent.wake(&volume, false).await;
            }
        });
    }

    async fn wake(&self, volume: &Volume, retry: bool) {
        self.reconcile(VolumeId::of(volume), &volume.vg, retry)
            .await;
    }

    async fn retry_parked(self: &Arc<Self>) {
        let parked = {
            let actors: Vec<_> = self
                .actors()
                .iter()
                .map(|(uid, a)| (*uid, Arc::clone(a)))
                .collect();
            let mut parked = Vec::new();
            for (uid, actor) in actors {
                // One that is at work is not parked.
                if actor.try_lock().is_ok_and(|actor| actor.parked()) {
                    parked.push(uid);
                }
            }
            parked
        };
        if parked.is_empty() {
            return;
        }
        for pool in &self.config.pools {
            let _ = self.inventory.refresh(&pool.volume_group).await;
        }
        let Ok(known) = self.known().await else {
            return;
        };
        for (id, vg) in known
            .into_values()
            .filter(|(id, _)| parked.contains(&id.uid))
        {
            let agent = Arc::clone(self);
            tokio::spawn(async move { agent.reconcile(id, &vg, true).await });
        }
    }
}
