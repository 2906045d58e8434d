//! Makes pools that are not there: at the agent's start, and again where that failed.
//!
//! How far it is stands ready for whoever asks meanwhile what is wrong with a pool: a group that is not on
//! its disks is a fright where volumes were, and nothing at all before the pool was made.

use super::metadata::Shape;
use super::pools::{group_tag, ours};
use super::reserve::lent;
use super::{Agent, metadata};
use crate::config::PoolConfig;
use crate::object::{ObjectKind, Volume};
use crate::store;
use futures::future::join_all;
use ingot_lvm::{Command, Group, LvmError};
use ingot_volume_brain::{LvName, Phase, VgName};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// After so many rounds at most it is tried again, whatever the disks show: LVM is asked for it.
const SELDOM: u32 = 8;

#[derive(Debug)]
enum Making {
    UnderWay,
    Failed(Failed),
}

#[derive(Debug)]
struct Failed {
    error: LvmError,
    /// So many rounds lie between the attempts now.
    pause: u32,
    /// So many of them are left.
    left: u32,
}

/// Pools that are not made, or not yet, by their groups.
#[derive(Debug, Default)]
pub(super) struct Makings {
    all: Mutex<BTreeMap<VgName, Making>>,
    disks_changed: AtomicBool,
}

impl Makings {
    fn all(&self) -> MutexGuard<'_, BTreeMap<VgName, Making>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Somebody makes it now.
    pub(super) fn begin(&self, vg: &VgName) {
        self.all().insert(vg.clone(), Making::UnderWay);
    }

    /// What came of it, at the start or since disks have changed: more may come, so the next is soon.
    pub(super) fn end(&self, vg: &VgName, made: &Result<(), LvmError>) {
        self.ended(vg, made, 1);
    }

    /// What came of another attempt. The next is later, as this one was of no use.
    pub(super) fn end_again(&self, vg: &VgName, made: &Result<(), LvmError>) {
        let before = match self.all().get(vg) {
            Some(Making::Failed(failed)) => failed.pause,
            _ => 0,
        };
        self.ended(vg, made, (before * 2).clamp(1, SELDOM));
    }

    fn ended(&self, vg: &VgName, made: &Result<(), LvmError>, pause: u32) {
        match made {
            Ok(()) => self.all().remove(vg),
            Err(error) => {
                let failed = Failed {
                    error: error.clone(),
                    pause,
                    left: pause,
                };
                self.all().insert(vg.clone(), Making::Failed(failed))
            }
        };
    }

    /// Why a pool could not be made, if it could not.
    pub(super) fn failed(&self, vg: &VgName) -> Option<LvmError> {
        match self.all().get(vg) {
            Some(Making::Failed(failed)) => Some(failed.error.clone()),
            _ => None,
        }
    }

    /// Whether a pool that could not be made is tried again in this round.
    pub(super) fn due(&self, vg: &VgName) -> bool {
        match self.all().get_mut(vg) {
            Some(Making::Failed(failed)) => {
                failed.left = failed.left.saturating_sub(1);
                failed.left == 0
            }
            _ => false,
        }
    }

    /// The node's disks are not what they were when it failed.
    pub(super) fn disks_changed(&self) {
        self.disks_changed.store(true, Ordering::Relaxed);
    }

    /// The groups of pools that are to be tried at once, since disks have changed; nothing, if they have not.
    pub(super) fn hoping(&self) -> Option<Vec<VgName>> {
        if !self.disks_changed.swap(false, Ordering::Relaxed) {
            return None;
        }
        let all = self.all();
        let failed = all
            .iter()
            .filter(|(_, making)| matches!(making, Making::Failed(_)));
        Some(failed.map(|(vg, _)| vg.clone()).collect())
    }

    /// Why the group of a pool cannot be used, where reading it gave `found`.
    pub(super) fn trouble(&self, pool: &str, vg: &VgName, found: LvmError) -> String {
        let LvmError::GroupMissing { .. } = found else {
            return found.to_string();
        };
        match self.all().get(vg) {
            None => found.to_string(),
            Some(Making::Failed(failed)) => failed.error.to_string(),
            Some(Making::UnderWay) => being_made(pool, &format!("volume group {vg}")),
        }
    }

    /// Why a group has not the thin pool that its pool is configured with.
    pub(super) fn lacks_thin(&self, pool: &str, vg: &VgName, thin: &LvName) -> String {
        match self.all().get(vg) {
            None => format!(
                "volume group {vg} has no thin pool {thin}; start the agent of this node again to have an empty one made"
            ),
            Some(Making::Failed(failed)) => failed.error.to_string(),
            Some(Making::UnderWay) => being_made(pool, &format!("thin pool {vg}/{thin}")),
        }
    }
}

fn being_made(pool: &str, what: &str) -> String {
    format!("pool {pool} is being made; it takes volumes as soon as its {what} is there")
}

impl Agent {
    /// Makes what is missing of the configured pools. A group that is not ours is left alone.
    pub async fn prepare_pools(&self) -> Vec<(String, LvmError)> {
        // Side by side: a disk that hangs keeps no other pool waiting.
        let prepared = self.config.pools.iter().map(|pool| async move {
            self.makings.begin(&pool.volume_group);
            let made = self.prepare(pool).await;
            self.makings.end(&pool.volume_group, &made);
            made.err().map(|error| (pool.name.clone(), error))
        });
        let troubles = join_all(prepared).await.into_iter().flatten().collect();
        self.publish_pools().await;
        troubles
    }

    /// If the node's disks have changed, looks at once at what lies on them, and tries those pools that could
    /// not be made.
    pub(super) async fn follow_disks(&self) {
        let Some(hoping) = self.makings.hoping() else {
            return;
        };
        let pools = self.config.pools.iter().map(|pool| async {
            match hoping.contains(&pool.volume_group) {
                true => self.make_again(pool, Makings::end).await,
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
        end: impl FnOnce(&Makings, &VgName, &Result<(), LvmError>),
    ) {
        let vg = &pool.volume_group;
        let before = self.makings.failed(vg);
        let made = self.prepare(pool).await;
        end(&self.makings, vg, &made);
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
        self.makings.disks_changed();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_only_called_missing_where_nobody_makes_it() {
        let vg = VgName::new("ingot-fast").expect("a name");
        let missing = || LvmError::GroupMissing { vg: vg.clone() };
        let makings = Makings::default();
        let says = |found| makings.trouble("fast", &vg, found);
        assert_eq!(says(missing()), missing().to_string());

        makings.begin(&vg);
        let making = "pool fast is being made; it takes volumes as soon as its volume group ingot-fast is there";
        assert_eq!(says(missing()), making);
        // What else is wrong with it is not hidden by that.
        assert_eq!(says(LvmError::Crashed), LvmError::Crashed.to_string());
        let thin = LvName::new("pool").expect("a name");
        let lacks = || makings.lacks_thin("fast", &vg, &thin);
        let making = "pool fast is being made; it takes volumes as soon as its thin pool ingot-fast/pool is there";
        assert_eq!(lacks(), making);

        let refused = LvmError::Invalid {
            what: "the disk holds ext4".into(),
            remedy: "wipe it".into(),
        };
        makings.end(&vg, &Err(refused.clone()));
        assert_eq!(says(missing()), refused.to_string());
        assert_eq!(lacks(), refused.to_string());

        makings.begin(&vg);
        makings.end(&vg, &Ok(()));
        assert_eq!(says(missing()), missing().to_string());
        assert!(lacks().starts_with("volume group ingot-fast has no thin pool pool; start"));
    }

    #[test]
    fn a_pool_that_cannot_be_made_is_tried_ever_more_seldom_and_at_once_when_disks_change() {
        let vg = VgName::new("ingot-fast").expect("a name");
        let (makings, crashed) = (Makings::default(), Err(LvmError::Crashed));
        assert!(!makings.due(&vg), "nobody has tried it");
        makings.end(&vg, &crashed);
        let mut tried = Vec::new();
        for round in 1..=32 {
            if makings.due(&vg) {
                makings.end_again(&vg, &crashed);
                tried.push(round);
            }
        }
        assert_eq!(tried, [1, 3, 7, 15, 23, 31]);
        // Disks that come one after the other put nothing off.
        makings.end(&vg, &crashed);
        assert!(makings.due(&vg), "in the next round");

        assert_eq!(makings.hoping(), None);
        makings.disks_changed();
        assert_eq!(makings.hoping().as_deref(), Some(std::slice::from_ref(&vg)));
        assert_eq!(makings.hoping(), None, "once");
        makings.end_again(&vg, &Ok(()));
        makings.disks_changed();
        assert_eq!(makings.hoping(), Some(vec![]), "it is made");
        assert!(!makings.due(&vg) && makings.failed(&vg).is_none());
    }
}
