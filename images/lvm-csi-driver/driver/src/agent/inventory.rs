//! What is on the node's disks: as last read, and as changed by us since. A change whose effect is
//! known is written into the picture; after any other, and after a failure, the group is read again.

use ingot_lvm::{Command, Device, Executor, Fill, Group, Lane, Lv, LvmError, Tags};
use ingot_volume_brain::{Bytes, Known, LvName, OnDisk, VgName, VolumeUid};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Mutex as Turn;

/// For how long the fill of a pool is believed: pods write without asking. Thin pools are looked at
/// every minute anyway.
const FRESH: Duration = Duration::from_secs(120);

/// A group, and when it was read.
struct Read {
    at: Instant,
    group: Result<Group, LvmError>,
    /// It could not be read before; what waits for it has not been told yet.
    returned: bool,
}

/// The node's volume groups.
pub struct Inventory {
    executor: Executor,
    groups: Mutex<BTreeMap<VgName, Read>>,
    /// Reports of a group and changes to it are put down in the order in which they were made, or an
    /// older one would hide what a newer one has shown.
    order: Mutex<BTreeMap<VgName, Arc<Turn<()>>>>,
    /// Groups that a person gave up: nothing is in them.
    abandoned: BTreeSet<VgName>,
}

/// A logical volume of ours, and where it is.
#[derive(Debug, Clone)]
pub struct Located {
    /// Its device.
    pub device: Device,
    /// As reported.
    pub lv: Lv,
    /// Its tags.
    pub tags: Tags,
}

impl Located {
    /// What the state machine needs of it.
    pub fn on_disk(&self) -> OnDisk {
        OnDisk {
            uid: self.tags.uid,
            state: self.tags.state,
            size: self.lv.size,
            filesystem: self.tags.filesystem,
        }
    }
}

impl Inventory {
    pub(super) fn new(executor: Executor, abandoned: BTreeSet<VgName>) -> Self {
        Self {
            executor,
            abandoned,
            groups: Mutex::default(),
            order: Mutex::default(),
        }
    }

    fn groups(&self) -> std::sync::MutexGuard<'_, BTreeMap<VgName, Read>> {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn order(&self, vg: &VgName) -> Arc<Turn<()>> {
        let mut all = self.order.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(all.entry(vg.clone()).or_default())
    }

    /// Reads a group.
    pub async fn refresh(&self, vg: &VgName) -> Result<Group, LvmError> {
        let order = self.order(vg);
        let _order = order.lock().await;
        self.read(vg).await
    }

    async fn read(&self, vg: &VgName) -> Result<Group, LvmError> {
        let group = match self.abandoned.contains(vg) {
            true => Ok(empty(vg)),
            false => self.executor.scan(vg).await,
        };
        let mut groups = self.groups();
        let before = groups.get(vg);
        let returned = before.is_some_and(|read| read.group.is_err() || read.returned);
        let read = Read {
            at: Instant::now(),
            group: group.clone(),
            returned: returned && group.is_ok(),
        };
        groups.insert(vg.clone(), read);
        group
    }

    /// Carries out a change of a group and writes its effect down, for which nobody need look.
    pub async fn change(
        &self,
        vg: &VgName,
        command: Command,
        effect: impl FnOnce(&mut Group),
    ) -> Result<(), LvmError> {
        let order = self.order(vg);
        let _order = order.lock().await;
        let changed = self.executor.change(command).await;
        if changed.is_ok()
            && let Some(Read {
                group: Ok(group), ..
            }) = self.groups().get_mut(vg)
        {
            effect(group);
            return changed;
        }
        // A failure may have been a success whose answer was lost. A group that cannot be read is in
        // the pool's status.
        let _ = self.read(vg).await;
        changed
    }

    /// Carries out a change of a group whose effect LVM decides, such as where it lies.
    pub async fn change_and_read(&self, vg: &VgName, command: Command) -> Result<(), LvmError> {
        let order = self.order(vg);
        let _order = order.lock().await;
        let changed = self.executor.change(command).await;
        let _ = self.read(vg).await;
        changed
    }

    /// The group as last read; reads it if it never was.
    pub async fn group(&self, vg: &VgName) -> Result<Group, LvmError> {
        let known = self.groups().get(vg).map(|read| read.group.clone());
        match known {
            Some(group) => group,
            None => self.refresh(vg).await,
        }
    }

    /// The group, read again if that was long ago or failed.
    pub async fn recent(&self, vg: &VgName) -> Result<Group, LvmError> {
        let known = self.groups().get(vg).and_then(|read| {
            let fresh = read.at.elapsed() < FRESH;
            read.group.as_ref().ok().filter(|_| fresh).cloned()
        });
        match known {
            Some(group) => Ok(group),
            None => self.refresh(vg).await,
        }
    }

    /// Looks at a group again that could not be read. Says once that it is back, whoever found it so.
    pub async fn returned(&self, vg: &VgName) -> bool {
        if self.group(vg).await.is_err() {
            // What it says is in the pool's status.
            let _ = self.refresh(vg).await;
        }
        let mut groups = self.groups();
        let read = groups.get_mut(vg);
        read.is_some_and(|read| std::mem::take(&mut read.returned))
    }

    /// The group with the fill that its thin pool has now. Nothing, if LVM is to be asked: since something is
    /// wrong, or was.
    pub async fn with_fill(&self, vg: &VgName, pool: &LvName) -> Option<Group> {
        let order = self.order(vg);
        let _order = order.lock().await;
        let fill = self.executor.thin_fill(vg, pool).await.ok()?;
        let group = self.filled(vg, pool, fill)?;
        // Nobody of ours reads: an agent died that did.
        if fill.held && self.executor.idle(&Lane::Metadata(vg.clone())) {
            let (vg, pool) = (vg.clone(), pool.clone());
            // The next look finds it again.
            let release = Command::ReleaseMetadata { vg, pool };
            let _ = self.executor.change(release).await;
        }
        Some(group)
    }

    fn filled(&self, vg: &VgName, pool: &LvName, fill: Fill) -> Option<Group> {
        let mut groups = self.groups();
        let read = groups.get_mut(vg)?;
        let group = read.group.as_mut().ok()?;
        let whole = group.pvs.iter().all(|pv| !pv.missing && !pv.read_only);
        let lv = group.lvs.iter_mut().find(|lv| lv.lv == *pool)?;
        if !fill.well || !whole || lv.health.is_some() {
            return None;
        }
        let usage = lv.thin.as_mut()?;
        (usage.data, usage.metadata) = (fill.data, fill.metadata);
        read.at = Instant::now();
        Some(group.clone())
    }

    /// Whether the volume is in that group. A group that cannot be read tells nothing.
    pub async fn find(&self, vg: &VgName, uid: VolumeUid) -> (Known<OnDisk>, Option<LvmError>) {
        match self.group(vg).await {
            Err(error) => (Known::Unknown, Some(error)),
            Ok(group) => {
                let found = located(&group).find(|found| found.tags.uid == uid);
                let fact = found.map_or(Known::Absent, |found| Known::Present(found.on_disk()));
                (fact, None)
            }
        }
    }

    /// Everything of ours in the groups that were read.
    pub fn all(&self) -> Vec<Located> {
        let groups = self.groups();
        let readable = groups.values().filter_map(|read| read.group.as_ref().ok());
        readable.flat_map(located).collect()
    }

    /// The volume of that uid, wherever it is.
    pub fn locate(&self, uid: VolumeUid) -> Option<Located> {
        self.all().into_iter().find(|found| found.tags.uid == uid)
    }
}

fn empty(vg: &VgName) -> Group {
    Group {
        vg: vg.clone(),
        tags: Vec::new(),
        extent: Bytes::mib(4),
        pvs: Vec::new(),
        lvs: Vec::new(),
    }
}

fn located(group: &Group) -> impl Iterator<Item = Located> {
    group.lvs.iter().filter_map(|lv| {
        Some(Located {
            device: Device::lv(&group.vg, &lv.lv),
            lv: lv.clone(),
            tags: lv.tags.clone()?,
        })
    })
}
