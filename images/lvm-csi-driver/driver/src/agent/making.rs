//! Makes pools that are not there: at the agent's start, and again where that failed.

use super::attempts::Attempts;
use super::metadata::Shape;
use super::pools::{group_tag, ours};
use super::reserve::lent;
use super::{Agent, metadata};
use crate::config::PoolConfig;
use crate::object::{ObjectKind, Volume};
use crate::store;
use futures::future::join_all;
use ingot_lvm::{Command, Group, LvmError};
use ingot_volume_brain::{Phase, VgName};

impl Agent {
    /// Makes what is missing of the configured pools. A group that is not ours is left alone.
    pub async fn prepare_pools(&self) -> Vec<(String, LvmError)> {
        // Side by side: a disk that hangs keeps no other pool waiting.
        let prepared = self.config.pools.iter().map(|pool| async move {
            self.attempts.begin(&pool.volume_group);
            let made = self.prepare(pool).await;
            self.attempts.end(&pool.volume_group, &made);
            made.err().map(|error| (pool.name.clone(), error))
        });
        let troubles = join_all(prepared).await.into_iter().flatten().collect();
        self.publish_pools().await;
        troubles
    }

    /// If the node's disks have changed, looks at once at what lies on them, and tries those pools that could
    /// not be made.
    pub(super) async fn follow_disks(&self) {
        let Some(hoping) = self.attempts.hoping() else {
            return;
        };
        let pools = self.config.pools.iter().map(|pool| async {
            match hoping.contains(&pool.volume_group) {
                true => self.make_again(pool, Attempts::end).await,
                // What it says is in the pool's status.
                false => {
                    let _ = self.inventory.refresh(&pool.volume_group).await;
                    self.take_up(pool).await;
                }
            }
        });
        join_all(pools).await;
        self.publish_pools().await;
    }

    /// Somebody may have emptied a disk meanwhile, or plugged it in.
    pub(super) async fn make_again(
        &self,
        pool: &PoolConfig,
        end: impl FnOnce(&Attempts, &VgName, &Result<(), LvmError>),
    ) {
        let vg = &pool.volume_group;
        let before = self.attempts.failed(vg);
        let made = self.prepare(pool).await;
        end(&self.attempts, vg, &made);
        match made {
            Ok(()) => {
                eprintln!("pool {}: it could be made now", pool.name);
                // Should the store not answer, everything is looked at in some minutes.
                let _ = self.settle_group(vg).await;
            }
            Err(error) if before.as_ref() == Some(&error) => {}
            Err(error) => eprintln!("pool {}: {error}", pool.name),
        }
    }

    /// The node's disks are not what they were.
    pub fn disks_changed(&self) {
        self.attempts.disks_changed();
    }

    async fn prepare(&self, pool: &PoolConfig) -> Result<(), LvmError> {
        let vg = &pool.volume_group;
        // Who comes second finds what the first has made.
        let _gate = self.gate(vg).await;
        // Pods may stand still on what an agent that died had suspended.
        self.executor.change(Command::Resume(vg.clone())).await?;
        let group = match self.inventory.refresh(vg).await {
            Err(LvmError::GroupMissing { .. }) => {
                self.nothing_on_record(pool).await?;
                let create = Command::CreateGroup {
                    vg: vg.clone(),
                    tag: group_tag(&pool.name),
                };
                self.executor.change(create).await?;
                self.inventory.refresh(vg).await?
            }
            group => group?,
        };
        ours(pool, &group)?;
        Self::log_strays(pool, &group);
        let group = self.join_disks(pool, group).await;
        self.make_thin_pool(pool, &group).await?;
        self.keep_apart(vg).await?;
        let group = self.inventory.group(vg).await?;
        self.begin_overwriting(vg, &group);
        Ok(())
    }

    /// A group of which volumes are on record is not made anew on other disks: they would be lost.
    async fn nothing_on_record(&self, pool: &PoolConfig) -> Result<(), LvmError> {
        let vg = &pool.volume_group;
        let unknown = || LvmError::GroupMissing { vg: vg.clone() };
        let volumes = store::volumes(&*self.store, ObjectKind::Volume).await;
        let volumes = volumes.map_err(|_| unknown())?;
        let made = |volume: &Volume| volume.report.phase == Phase::Ready && !volume.deleting;
        let here = volumes.iter().filter(|(_, volume)| {
            volume.node == self.config.node && volume.vg == *vg && made(volume)
        });
        match here.count() {
            0 => Ok(()),
            count => Err(LvmError::Invalid {
                what: format!(
                    "volume group {vg} is on none of the disks of pool {}, and {count} volumes of it are on record; it was not made anew",
                    pool.name
                ),
                remedy: format!(
                    "name its own disks again; if they are gone for good, give the pool another volumeGroup and name {vg} under `abandoned`"
                ),
            }),
        }
    }

    async fn make_thin_pool(&self, pool: &PoolConfig, group: &Group) -> Result<(), LvmError> {
        let vg = &pool.volume_group;
        let Some(thin) = &pool.thin else {
            return Ok(());
        };
        if group.lv(&thin.pool).is_some() {
            return Ok(());
        }
        self.release(vg).await?;
        let Shape { chunk, metadata } = metadata::shape(&lent(group), thin);
        let create = Command::CreatePool {
            vg: vg.clone(),
            pool: thin.pool.clone(),
            // LVM takes no other sizes than whole extents, or warns of them.
            size: thin.size.round_up(group.extent),
            metadata,
            chunk,
        };
        self.inventory.change_and_read(vg, create).await
    }
}
