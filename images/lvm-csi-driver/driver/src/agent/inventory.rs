//! What is on the node's disks, as last read. Read again after each change of ours, and on a scan.

use ingot_lvm::{Device, Executor, Group, Lv, LvmError, Tags};
use ingot_volume_brain::{Bytes, Known, OnDisk, VgName, VolumeUid};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Mutex as Turn;

/// The node's volume groups.
pub struct Inventory {
    executor: Executor,
    groups: Mutex<BTreeMap<VgName, Result<Group, LvmError>>>,
    /// Reports of a group are put down in the order in which they were made, or an older one would
    /// hide what a newer one has shown.
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

    fn groups(&self) -> std::sync::MutexGuard<'_, BTreeMap<VgName, Result<Group, LvmError>>> {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads a group.
    pub async fn refresh(&self, vg: &VgName) -> Result<Group, LvmError> {
        let order = {
            let mut all = self.order.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(all.entry(vg.clone()).or_default())
        };
        let _order = order.lock().await;
        let group = match self.abandoned.contains(vg) {
            true => Ok(empty(vg)),
            false => self.executor.scan(vg).await,
        };
        self.groups().insert(vg.clone(), group.clone());
        group
    }

    /// The group as last read; reads it if it never was.
    pub async fn group(&self, vg: &VgName) -> Result<Group, LvmError> {
        let known = self.groups().get(vg).cloned();
        match known {
            Some(group) => group,
            None => self.refresh(vg).await,
        }
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
        let readable = groups.values().filter_map(|group| group.as_ref().ok());
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
