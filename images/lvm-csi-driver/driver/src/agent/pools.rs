//! Pools: enlarged by new disks, guarded while they fill. How they are made is in [`super::making`], what
//! the controller is told of them in [`super::publish`].

use super::attempts::Attempts;
use super::reserve::lent;
use super::{Agent, growth};
use crate::config::PoolConfig;
use futures::future::join_all;
use ingot_lvm::{Group, LvmError, ThinGuard};
use ingot_volume_brain::VgName;
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
