//! Keeps the agent going: at its start, on every change, and after failures.

use super::Agent;
use crate::object::{Key, ObjectKind, Volume, VolumeId};
use crate::store;
use futures::future::join_all;
use ingot_lvm::LvmError;
use ingot_volume_brain::{LvName, VgName, VolumeUid};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::MissedTickBehavior;

/// How often failures are tried again and pools are looked at.
const RETRY: Duration = Duration::from_secs(5);
/// How many retries pass between two looks at the fill of thin pools.
const GUARD_EVERY: u32 = 12;
/// How many retries pass between two scans of everything.
const SCAN_EVERY: u32 = 60;

/// Volumes by their logical volumes, each with its group.
type Known = BTreeMap<LvName, (VolumeId, VgName)>;

impl Agent {
    /// Reads everything again and brings every volume to rest: one after the other within a group,
    /// the groups side by side, so that a dead disk keeps nobody else waiting.
    pub async fn settle(&self) -> Result<(), store::StoreError> {
        let pools = self.config.pools.iter().map(|pool| &pool.volume_group);
        let groups = pools
            .chain(&self.config.abandoned)
            .map(|vg| self.settle_group(vg));
        for settled in join_all(groups).await {
            settled?;
        }
        self.publish_pools().await;
        self.retire_pools().await?;
        // First who is there: one that comes meanwhile is not known yet.
        let actors = self.actors().keys().copied().collect();
        self.forget_unknown(actors, &self.known().await?);
        Ok(())
    }

    /// Forgets those actors of which the volumes are neither wanted nor there: kubelet asks about some.
    fn forget_unknown(&self, actors: BTreeSet<VolumeUid>, known: &Known) {
        let known: BTreeSet<VolumeUid> = known.values().map(|(id, _)| id.uid).collect();
        for uid in actors.difference(&known) {
            self.forget(*uid);
        }
    }

    pub(super) async fn settle_group(&self, vg: &VgName) -> Result<(), store::StoreError> {
        // A group that cannot be read is in the pool's status.
        let _ = self.inventory.refresh(vg).await;
        for (id, of) in self.known().await?.into_values() {
            if of == *vg {
                self.reconcile(id, vg, true).await;
            }
        }
        Ok(())
    }

    /// Everything wanted here and everything found here, by its logical volume.
    async fn known(&self) -> Result<Known, store::StoreError> {
        let mut known = BTreeMap::new();
        for located in self.inventory.all() {
            let id = VolumeId::tagged(&located.tags);
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

    /// Runs for ever: prepares the pools, then follows changes and looks after what failed.
    pub async fn run(self: Arc<Self>) {
        // Before the first look at what is there: nothing falls between the two.
        let changes = self.store.watch();
        let behind = AtomicBool::new(true);
        let prepared = async {
            for (pool, error) in self.prepare_pools().await {
                eprintln!("pool {pool}: {error}");
            }
            // Volumes of a pool that was made just now could not be.
            behind.store(true, Ordering::Relaxed);
        };
        // Side by side: what hangs in the one must not keep the other from what is new. The pools
        // first, so that devices which are suspended are resumed before anything looks at them.
        tokio::join!(
            prepared,
            self.follow_changes(changes, &behind),
            self.look_after(&behind)
        );
    }

    async fn follow_changes(self: &Arc<Self>, mut changes: Receiver<Key>, behind: &AtomicBool) {
        loop {
            match changes.recv().await {
                Ok(key) => self.follow(key),
                Err(RecvError::Lagged(_)) => behind.store(true, Ordering::Relaxed),
                Err(RecvError::Closed) => return,
            }
        }
    }

    async fn look_after(self: &Arc<Self>, behind: &AtomicBool) {
        let mut ticks = 0_u32;
        let mut timer = tokio::time::interval(RETRY);
        // What a long round leaves out is not made up for: one look sees it all.
        timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            timer.tick().await;
            ticks += 1;
            if ticks.is_multiple_of(SCAN_EVERY) {
                behind.store(true, Ordering::Relaxed);
            }
            if behind.swap(false, Ordering::Relaxed) && self.settle().await.is_err() {
                behind.store(true, Ordering::Relaxed);
            }
            self.follow_disks().await;
            self.look_again().await;
            self.tag_formatted().await;
            self.retry_parked().await;
            self.seen.round();
            if ticks.is_multiple_of(GUARD_EVERY) {
                self.guard_pools().await;
            }
        }
    }

    /// Looks at the groups that could not be read: disks may come later than the agent. What waits in
    /// one that is back goes on.
    async fn look_again(&self) {
        let groups = self.config.pools.iter().map(|pool| async move {
            let vg = &pool.volume_group;
            // Until its disks change LVM would only be asked in vain.
            if let Some(LvmError::Invalid { .. }) = self.attempts.failed(vg) {
                return false;
            }
            let returned = self.inventory.returned(vg).await;
            if returned {
                // What its thin pool met meanwhile the kernel does not forget by itself.
                self.restart_failed(pool).await;
                // Should the store not answer, everything is looked at in some minutes.
                let _ = self.settle_group(vg).await;
            }
            returned
        });
        if join_all(groups).await.contains(&true) {
            self.publish_pools().await;
        }
    }

    fn follow(self: &Arc<Self>, key: Key) {
        if !matches!(key.kind, ObjectKind::Volume | ObjectKind::Snapshot) {
            return;
        }
        let agent = Arc::clone(self);
        tokio::spawn(async move {
            match store::volume(&*agent.store, &key).await {
                Ok(Some((_, volume))) if volume.node == agent.config.node => {
                    agent.wake(&volume, false).await;
                }
                // Its object was removed: what is still on the disk is kept apart, and told at once.
                Ok(None) => {
                    if let Some((id, vg)) = agent.here(&key) {
                        agent.reconcile(id, &vg, true).await;
                    }
                }
                // Another node's; or everything is looked at in some minutes.
                Ok(Some(_)) | Err(_) => {}
            }
        });
    }

    /// What is on the disks under the name of an object.
    fn here(&self, key: &Key) -> Option<(VolumeId, VgName)> {
        let mut found = self.inventory.all().into_iter();
        found.find_map(|located| {
            let id = VolumeId::tagged(&located.tags);
            (id.key() == *key).then_some((id, located.device.vg))
        })
    }

    async fn wake(&self, volume: &Volume, retry: bool) {
        self.reconcile(VolumeId::of(volume), &volume.vg, retry)
            .await;
    }

    async fn retry_parked(self: &Arc<Self>) {
        // None is taken out of the map: held outside, one that is done could not be forgotten meanwhile.
        let parked: BTreeSet<VolumeUid> = {
            let actors = self.actors();
            // One that is at work is not parked.
            let parked = actors
                .iter()
                .filter(|(_, actor)| actor.try_lock().is_ok_and(|actor| actor.parked()));
            let uids = parked.map(|(uid, _)| *uid);
            uids.filter(|uid| !self.erasures.under_way(*uid)).collect()
        };
        if parked.is_empty() {
            return;
        }
        let groups = self
            .config
            .pools
            .iter()
            .map(|pool| self.inventory.refresh(&pool.volume_group));
        let _ = join_all(groups).await;
        let Ok(known) = self.known().await else {
            return;
        };
        let waiting = known.values().filter(|(id, _)| parked.contains(&id.uid));
        for (id, vg) in waiting {
            let agent = Arc::clone(self);
            tokio::spawn(agent.reconcile_later(*id, vg.clone()));
        }
        // What failed may have been a deletion that was finished otherwise.
        self.forget_unknown(parked, &known);
    }
}
