//! What a disk held before it joined a pool is overwritten before anything is made there.
//!
//! All that is free on such a disk goes to a logical volume of its own, so that nobody is given it. Its
//! end is overwritten, then given back, part by part: so its size says what is left to do, LVM keeps
//! that in one commit, and who goes on after a crash does at most one part again. When nothing is left
//! the disk is marked. Who makes or enlarges a thick volume sees to it first that this holds.

use super::Agent;
use super::pools::ours;
use crate::config::PoolConfig;
use futures::future::BoxFuture;
use ingot_lvm::{Command, Device, FreeSpace, Group, LvmError};
use ingot_volume_brain::{Bytes, LvName, VgName};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Mutex as Turn;

/// One command's worth: even a slow disk ends it within the deadline.
const STEP: Bytes = Bytes::gib(1);
/// Who needs the space of a reserve waits so long for the step that is under way.
const SOON: Duration = Duration::from_secs(30);
/// A disk is given back in so many parts, or in fewer: each is a change of the group.
const PARTS: u64 = 128;

/// The groups that are worked on.
#[derive(Debug)]
pub(super) struct Reserves {
    busy: Mutex<BTreeSet<VgName>>,
    /// Held while a device is open, since it cannot be removed then.
    turns: BTreeMap<VgName, Turn<()>>,
    /// How often one was taken back and begun anew, perhaps of the same name and size.
    begun_anew: AtomicU64,
}

impl Reserves {
    pub(super) fn of(pools: &[PoolConfig]) -> Self {
        let turn = |pool: &PoolConfig| (pool.volume_group.clone(), Turn::default());
        Self {
            busy: Mutex::default(),
            turns: pools.iter().map(turn).collect(),
            begun_anew: AtomicU64::new(0),
        }
    }

    fn busy(&self) -> MutexGuard<'_, BTreeSet<VgName>> {
        self.busy.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is overwritten now of one is no part of the next.
    pub(super) fn begin_anew(&self) {
        self.begun_anew.fetch_add(1, Ordering::SeqCst);
    }

    pub(super) async fn turn(&self, vg: &VgName) -> Option<tokio::sync::MutexGuard<'_, ()>> {
        match self.turns.get(vg) {
            Some(turn) => Some(turn.lock().await),
            None => None,
        }
    }
}

/// What is to be done so that nothing is made where the past shows.
fn apart(group: &Group) -> Vec<Command> {
    let open = group.pvs.iter().filter(|pv| !pv.missing && !pv.erased);
    let command = |pv: &ingot_lvm::Pv| {
        let lv = pv.reserve()?;
        if group.lv(&lv).is_some() {
            return None;
        }
        let (vg, device) = (group.vg.clone(), pv.device.clone());
        Some(match pv.free {
            // What lies on it is overwritten when it is removed.
            Bytes::ZERO => Command::MarkDisk {
                vg,
                device,
                free: FreeSpace::Erased,
            },
            size => Command::Reserve {
                vg,
                lv,
                device,
                size,
            },
        })
    };
    open.filter_map(command).collect()
}

/// What is to be done where nobody minds what shows: its space is given back as it is.
fn indifferent(group: &Group) -> Vec<Command> {
    let vg = &group.vg;
    let marked = group.pvs.iter().filter(|pv| pv.erased && !pv.missing);
    let unmark = marked.map(|pv| Command::MarkDisk {
        vg: vg.clone(),
        device: pv.device.clone(),
        free: FreeSpace::Unknown,
    });
    unmark
        .chain(group.reserves().map(|(_, lv)| remove(vg, &lv.lv)))
        .collect()
}

fn remove(vg: &VgName, lv: &LvName) -> Command {
    Command::Remove {
        vg: vg.clone(),
        lv: lv.clone(),
    }
}

/// The group as if nothing were kept apart in it.
pub(super) fn lent(group: &Group) -> Group {
    let mut whole = group.clone();
    for (pv, lv) in group.reserves() {
        let own = whole.pvs.iter_mut().find(|own| own.uuid == pv.uuid);
        if let Some(own) = own {
            own.free = own.free.saturating_add(lv.size);
        }
        whole.lvs.retain(|other| other.lv != lv.lv);
    }
    whole
}

/// The part at the end of a reserve that is overwritten next: where it begins.
fn next(reserve: Bytes, disk: Bytes, extent: Bytes) -> Bytes {
    let part = Bytes(disk.0 / PARTS).max(STEP).round_up(extent);
    reserve.saturating_sub(part)
}

impl Agent {
    /// Sees to it that nothing is made where a disk shows its past. Whoever calls holds the gate.
    pub(super) async fn keep_apart(&self, vg: &VgName) -> Result<(), LvmError> {
        let Some(pool) = self.pool_of(vg) else {
            return Ok(());
        };
        let group = self.inventory.group(vg).await?;
        ours(pool, &group)?;
        let group = self.unmark_remains(group).await?;
        let missing = group.pvs.iter().any(|pv| pv.missing);
        let commands = match pool.erase {
            true => apart(&group),
            // LVM lets no disk be marked meanwhile, and nobody waits for it.
            false if missing => Vec::new(),
            false => indifferent(&group),
        };
        for command in commands {
            let _turn = self.reserves.turn(vg).await;
            self.inventory.change_and_read(vg, command).await?;
        }
        Ok(())
    }

    /// Gives back what is kept apart, for a thin pool, which shows nothing of the past by itself. What
    /// is left of it is kept apart anew afterwards. Whoever calls holds the gate.
    pub(super) async fn release(&self, vg: &VgName) -> Result<(), LvmError> {
        let group = self.inventory.group(vg).await?;
        for (_, lv) in group.reserves() {
            let turn = tokio::time::timeout(SOON, self.reserves.turn(vg));
            let Ok(_turn) = turn.await else {
                return Err(LvmError::Hung {
                    lane: format!("volume group {vg}"),
                    command: format!("erasure of a part of {}", lv.lv),
                    seconds: SOON.as_secs(),
                });
            };
            let removed = self.inventory.change_and_read(vg, remove(vg, &lv.lv)).await;
            match removed {
                Ok(()) | Err(LvmError::NotFound { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// How much of a group is kept apart.
    pub(super) fn kept_apart(group: &Group) -> Bytes {
        Bytes(group.reserves().map(|(_, lv)| lv.size.0).sum())
    }

    /// Overwrites what is kept apart in a group, beside everything else.
    pub(super) fn begin_overwriting(&self, vg: &VgName, group: &Group) {
        let Some(agent) = self.me.upgrade() else {
            return;
        };
        if group.reserves().next().is_none() || !self.reserves.busy().insert(vg.clone()) {
            return;
        }
        let vg = vg.clone();
        // In a box: what comes next may begin such work again.
        let work: BoxFuture<'static, ()> = Box::pin(async move {
            let done = agent.overwrite(&vg).await;
            agent.reserves.busy().remove(&vg);
            if let Some(pool) = agent.pool_of(&vg) {
                let trouble = done.err().map(|error| {
                    format!("what disks held before cannot be overwritten: {error}; or set `erase: false` of the pool, to use them as they are")
                });
                agent.members.found(&pool.name, vg.as_str(), trouble);
            }
            agent.members.changed();
            agent.publish_pools().await;
        });
        tokio::spawn(work);
    }

    async fn overwrite(&self, vg: &VgName) -> Result<(), LvmError> {
        loop {
            let group = self.inventory.group(vg).await?;
            let reachable =
                |(pv, lv): &(&ingot_lvm::Pv, &ingot_lvm::Lv)| !pv.missing && lv.health.is_none();
            let Some((pv, lv)) = group.reserves().find(reachable) else {
                return Ok(());
            };
            if !lv.active {
                let (vg, lv) = (vg.clone(), lv.lv.clone());
                let activate = Command::Activate { vg: vg.clone(), lv };
                self.inventory.change_and_read(&vg, activate).await?;
            }
            let from = next(lv.size, pv.size, group.extent);
            let anew = self.reserves.begun_anew.load(Ordering::SeqCst);
            match self.overwrite_part(vg, &lv.lv, from, lv.size).await {
                Ok(()) => {
                    self.give_back(vg, &pv.device, &lv.lv, from, lv.size, anew)
                        .await?
                }
                // A thin pool may have needed its space meanwhile.
                Err(error) => {
                    let now = self.inventory.refresh(vg).await?;
                    if now.lv(&lv.lv).is_some_and(|now| now.size == lv.size) {
                        return Err(error);
                    }
                }
            }
            self.members.changed();
            self.publish_pools().await;
        }
    }

    async fn overwrite_part(
        &self,
        vg: &VgName,
        lv: &LvName,
        mut from: Bytes,
        to: Bytes,
    ) -> Result<(), LvmError> {
        while from < to {
            let length = to.saturating_sub(from).min(STEP);
            let erase = Command::Erase {
                device: Device::lv(vg, lv),
                from,
                length,
            };
            let _turn = self.reserves.turn(vg).await;
            self.executor.change(erase).await?;
            from = from.saturating_add(length);
        }
        Ok(())
    }

    /// Gives back the end of a reserve, which was overwritten, or all of it.
    async fn give_back(
        &self,
        vg: &VgName,
        device: &str,
        lv: &LvName,
        size: Bytes,
        before: Bytes,
        anew: u64,
    ) -> Result<(), LvmError> {
        let _gate = self.gate(vg).await;
        let group = self.inventory.group(vg).await?;
        // Somebody else may have given it back, and begun anew.
        let other = self.reserves.begun_anew.load(Ordering::SeqCst) != anew;
        if other || group.lv(lv).is_none_or(|now| now.size != before) {
            return Ok(());
        }
        if size > Bytes::ZERO {
            let (vg, lv) = (vg.clone(), lv.clone());
            let shrink = Command::Shrink {
                vg: vg.clone(),
                lv,
                size,
            };
            return self.inventory.change_and_read(&vg, shrink).await;
        }
        // First the mark: a disk that has neither begins anew.
        let mark = Command::MarkDisk {
            vg: vg.clone(),
            device: device.to_owned(),
            free: FreeSpace::Erased,
        };
        self.inventory.change_and_read(vg, mark).await?;
        self.inventory.change_and_read(vg, remove(vg, lv)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_disk_is_given_back_in_few_parts_and_a_small_one_at_once() {
        let extent = Bytes::mib(4);
        assert_eq!(next(Bytes::mib(800), Bytes::gib(2), extent), Bytes::ZERO);
        assert_eq!(next(Bytes::gib(10), Bytes::gib(20), extent), Bytes::gib(9));
        let (mut left, mut parts) = (Bytes::gib(10_000), 0);
        while left > Bytes::ZERO {
            left = next(left, Bytes::gib(10_000), extent);
            parts += 1;
        }
        assert_eq!(parts, PARTS);
    }
}
