//! Pools: enlarged by new disks, guarded while they fill, published for the controller. How they are made
//! is in [`super::making`].

use super::attempts::Attempts;
use super::reserve::lent;
use super::{Agent, growth, members, restart};
use crate::config::PoolConfig;
use crate::object::{Ailing, Key, NodePool, Object, ObjectKind, Quarantined};
use crate::store::StoreError;
use futures::future::join_all;
use ingot_lvm::{Group, Lane, LvmError, Space, ThinGuard};
use ingot_volume_brain::{Bytes, VgName};
use tokio::sync::MutexGuard;

/// Marks a volume group as ours, with the name of the pool behind it.
pub fn group_tag(pool: &str) -> String {
    format!("ingot1.pool={pool}")
}

impl Agent {
    pub(crate) async fn gate(&self, vg: &VgName) -> Option<MutexGuard<'_, ()>> {
        match self.gates.get(vg) {
            Some(gate) => Some(gate.lock().await),
            None => None,
        }
    }

    pub(super) fn thin_guard(&self, vg: &VgName) -> ThinGuard {
        let thin = self.pool_of(vg).and_then(|pool| pool.thin.as_ref());
        thin.map(|thin| thin.guard).unwrap_or_default()
    }

    /// Lets thin pools grow that fill up, while their group has room, and looks whether groups that
    /// could not be read whole are there again, and disks that are to join one. Pools that could not be
    /// made are tried again.
    pub async fn guard_pools(&self) {
        // Side by side: a disk that hangs keeps no other pool waiting.
        let guarded = self.config.pools.iter().map(|pool| self.guard(pool));
        join_all(guarded).await;
        self.publish_pools().await;
    }

    async fn guard(&self, pool: &PoolConfig) {
        let vg = &pool.volume_group;
        if self.attempts.failed(vg).is_some() {
            if self.attempts.due(vg) {
                self.make_again(pool, Attempts::end_again).await;
            }
            // What is not there need not be looked at in between: that starts LVM.
            if self.attempts.failed(vg).is_some() && self.inventory.group(vg).await.is_err() {
                return;
            }
        }
        if let Some(thin) = &pool.thin {
            let group = self.inventory.with_fill(vg, &thin.pool).await;
            // As long as nothing is wrong and nothing is to grow, the kernel's word is enough.
            if group.is_none_or(|group| growth::next(&lent(&group), pool).is_some()) {
                self.guard_thin(pool).await;
            }
        } else {
            let whole = |group: Group| !group.pvs.iter().any(|pv| pv.missing);
            if !self.inventory.group(vg).await.is_ok_and(whole) {
                let _ = self.inventory.refresh(vg).await;
            }
        }
        self.take_up(pool).await;
        self.look_after_disks(pool).await;
    }

    async fn guard_thin(&self, pool: &PoolConfig) {
        let vg = &pool.volume_group;
        let mut group = self.inventory.refresh(vg).await;
        if self.restart_failed(pool).await {
            group = self.inventory.group(vg).await;
        }
        // Metadata and data, each at most once a round.
        for _ in 0..2 {
            let found = group.as_ref().ok();
            let Some(growth) = found.and_then(|group| growth::next(&lent(group), pool)) else {
                return;
            };
            let gate = self.gate(vg).await;
            let grown = match self.release(vg).await {
                Ok(()) => self.executor.change(growth).await,
                held => held,
            };
            drop(gate);
            // What cannot grow is seen in its fill.
            group = self.inventory.refresh(vg).await;
            if grown.is_err() {
                return;
            }
        }
    }

    /// Disks may come later than the agent, and be emptied by people; what was begun is gone on with.
    async fn look_after_disks(&self, pool: &PoolConfig) {
        let vg = &pool.volume_group;
        let Ok(group) = self.inventory.group(vg).await else {
            return;
        };
        if ours(pool, &group).is_err() {
            return;
        }
        {
            let _gate = self.gate(vg).await;
            self.join_disks(pool, group).await;
            // Who makes a thick volume sees to it again, and is told why it fails.
            let _ = self.keep_apart(vg).await;
        }
        if let Ok(group) = self.inventory.group(vg).await {
            self.begin_overwriting(vg, &group);
        }
    }

    /// Writes down what is free, where it changed.
    pub(crate) async fn publish_pools(&self) {
        for pool in &self.config.pools {
            let key = Key::pool(&self.config.node, &pool.name);
            // Two actors may publish at once; the later reads again.
            for _ in 0..8 {
                match self.publish(pool, &key).await {
                    Err(StoreError::Conflict(_) | StoreError::Exists(_)) => {}
                    // The next change publishes again; nothing depends on this one.
                    Ok(()) | Err(_) => break,
                }
            }
        }
    }

    /// Takes back what was said of pools that are not configured any more: nobody looks after their
    /// room, and nothing may be placed there.
    pub(super) async fn retire_pools(&self) -> Result<(), StoreError> {
        let configured = |name: &str| self.config.pools.iter().any(|pool| pool.name == name);
        for (key, stored) in self.store.list(ObjectKind::Pool).await? {
            let Some(pool) = stored.object.pool() else {
                continue;
            };
            if pool.node == self.config.node && !configured(&pool.pool) {
                match self.store.delete(&key, stored.version).await {
                    // The next look sees what became of it.
                    Ok(()) | Err(StoreError::Conflict(_) | StoreError::NotFound(_)) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }

    async fn publish(&self, pool: &PoolConfig, key: &Key) -> Result<(), StoreError> {
        let stored = self.store.get(key).await?;
        // Read after the object: what is written is never older than what it replaces.
        let status = Object::Pool(Box::new(self.pool_status(pool).await));
        match stored {
            None => self.store.create(key, status).await.map(drop),
            Some(stored) if stored.object == status => Ok(()),
            Some(stored) => self
                .store
                .update(key, stored.version, status)
                .await
                .map(drop),
        }
    }

    /// What can be said of a pool now.
    pub async fn pool_status(&self, pool: &PoolConfig) -> NodePool {
        let thin = pool.thin.as_ref();
        let mut status = NodePool {
            node: self.config.node.clone(),
            topology: self.config.topology(),
            pool: pool.name.clone(),
            vg: pool.volume_group.clone(),
            thin: thin.map(|thin| thin.pool.clone()),
            guard: thin.map(|thin| thin.guard).unwrap_or_default(),
            space: Space::default(),
            quarantined: Vec::new(),
            overwriting: Bytes::ZERO,
            ailing: Vec::new(),
            missing: Vec::new(),
            trouble: None,
        };
        let lane = Lane::Group(pool.volume_group.clone());
        let blocked = self.executor.blocked(&lane);
        match self.inventory.group(&pool.volume_group).await {
            Ok(group) => {
                status.space = Space::of(&group, status.thin.as_ref());
                status.quarantined = Quarantined::of(&group);
                status.overwriting = Self::kept_apart(&group);
                let foreign = ours(pool, &group).err();
                let known = blocked.or(foreign).map(|error| error.to_string());
                let lacking = thin.filter(|thin| group.lv(&thin.pool).is_none());
                let lacking = lacking.map(|thin| {
                    let vg = &pool.volume_group;
                    self.attempts.lacks_thin(&pool.name, vg, &thin.pool)
                });
                status.ailing = Ailing::of(&group);
                status.missing = members::missing(pool, &group);
                let trouble = known.or(lacking).or_else(|| members::protected(&group));
                let trouble = trouble.or_else(|| restart::failure(pool, &group));
                status.trouble = trouble.or_else(|| members::incomplete(pool, &status.missing));
            }
            Err(error) => {
                let attempts = &self.attempts;
                let found = blocked.unwrap_or(error);
                status.trouble = Some(attempts.trouble(&pool.name, &pool.volume_group, found));
            }
        }
        if status.trouble.is_some() {
            status.space = Space::default();
        }
        status
    }
}

/// Whether a group was made for that pool.
pub(super) fn ours(pool: &PoolConfig, group: &Group) -> Result<(), LvmError> {
    let tag = group_tag(&pool.name);
    if group.tags.contains(&tag) {
        return Ok(());
    }
    Err(LvmError::Invalid {
        what: format!(
            "volume group {} exists and was not made for pool {}; nothing in it was touched",
            group.vg, pool.name
        ),
        remedy: format!(
            "give the pool another volumeGroup, or hand this one over with `vgchange --addtag {tag} {}`",
            group.vg
        ),
    })
}
