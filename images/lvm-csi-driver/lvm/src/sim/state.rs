//! What the simulated node holds, and which part carries out which command.

use super::content::Content;
use super::ranges::Ranges;
use super::spec::SimGroup;
use crate::backend::Reply;
use crate::command::{Command, Limits};
use crate::device::{Device, Mount};
use crate::error::LvmError;
use crate::group::REFRESH;
use crate::layout::Layout;
use ingot_volume_brain::{Bytes, LvName, VgName};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// LVM's default.
pub(super) const EXTENT: Bytes = Bytes::mib(4);

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct State {
    pub groups: BTreeMap<VgName, GroupState>,
    pub mounts: Vec<Mount>,
    /// Encrypted volumes that are open.
    pub opened: BTreeSet<LvName>,
    /// Volumes with a view that is only to be read.
    #[serde(default)]
    pub views: BTreeSet<LvName>,
    /// Limits by volume and pod.
    pub limits: Vec<(LvName, String, Limits)>,
    /// Pods that stand still, and whom each attempt held.
    #[serde(default)]
    pub still: BTreeSet<String>,
    #[serde(skip)]
    pub held: Vec<BTreeSet<String>>,
    /// How often blocks were written.
    #[serde(default)]
    pub blocks_written: u64,
    /// Disks that may be emptied.
    #[serde(skip)]
    pub wipe: BTreeSet<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct GroupState {
    pub made: bool,
    pub hidden: bool,
    pub tags: Vec<String>,
    pub disks: Vec<Disk>,
    pub lvs: BTreeMap<LvName, Volume>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Disk {
    pub name: String,
    /// Whether it is part of the group.
    pub joined: bool,
    pub extents: u64,
    pub used: u64,
    pub missing: bool,
    /// Its group has changed without it.
    #[serde(default)]
    pub behind: bool,
    /// It takes no writes.
    #[serde(default)]
    pub read_only: bool,
    /// What is on it, as blkid would say.
    pub holds: Option<String>,
    /// The tag that it shows nothing of the past.
    pub erased: bool,
    /// What the extents show that were not overwritten, and how many of them are free.
    pub past: Vec<String>,
    pub dirty: u64,
}

/// Extents on a disk, the first of which show what was there before.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Segment {
    pub disk: usize,
    pub extents: u64,
    pub dirty: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Volume {
    pub size: Bytes,
    pub layout: Layout,
    pub segments: Vec<Segment>,
    pub tags: BTreeSet<String>,
    pub thin_pool: Option<PoolState>,
    pub active: bool,
    pub read_only: bool,
    /// What it has taken of its pool.
    pub written: Bytes,
    pub formatted: u32,
    pub content: Content,
    /// Its device leads to a disk that went.
    #[serde(default)]
    pub stale: bool,
    /// A RAID that goes on without a disk which was away.
    #[serde(default)]
    pub lags: bool,
    /// What LVM finds wrong with it although all of its disks are there.
    #[serde(default)]
    pub ails: Option<String>,
    /// How often its checksums did not fit, by disk.
    #[serde(default)]
    pub rotten: BTreeMap<usize, u64>,
    /// What was overwritten with zeros since it was written to.
    pub erased: Ranges,
    /// Of a thin one, which block of the pool stands for which of its chunks.
    #[serde(default)]
    pub map: BTreeMap<u64, u64>,
}

impl Volume {
    /// What LVM finds wrong with it although all of its disks are there. The kernel gives a thin pool up
    /// whose disk goes, and all in it.
    pub fn ailment(&self) -> Option<String> {
        let thin = self.thin_pool.is_some() || matches!(self.layout, Layout::Thin { .. });
        let failed = self.stale && thin;
        let lags = self.lags.then(|| REFRESH.to_owned());
        failed
            .then(|| "failed".to_owned())
            .or(lags)
            .or(self.ails.clone())
    }
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct PoolState {
    pub metadata: Bytes,
    pub chunk: Bytes,
}

pub(super) fn missing(what: impl ToString) -> LvmError {
    LvmError::NotFound {
        what: what.to_string(),
    }
}

impl State {
    pub fn new(groups: impl IntoIterator<Item = SimGroup>) -> Self {
        let groups = groups.into_iter().map(|group| {
            let disks = group.disks.iter().map(|disk| Disk {
                joined: group.made,
                ..Disk::new(disk)
            });
            let state = GroupState {
                made: group.made,
                hidden: false,
                tags: group.tags,
                disks: disks.collect(),
                lvs: BTreeMap::new(),
            };
            (group.vg, state)
        });
        Self {
            groups: groups.collect(),
            ..Self::default()
        }
    }

    pub fn group(&mut self, vg: &VgName) -> Result<&mut GroupState, LvmError> {
        match self.groups.get_mut(vg) {
            Some(group) if group.made && !group.hidden => Ok(group),
            _ => Err(LvmError::GroupMissing { vg: vg.clone() }),
        }
    }

    pub fn volume(&mut self, vg: &VgName, lv: &LvName) -> Result<&mut Volume, LvmError> {
        let group = self.group(vg)?;
        group
            .lvs
            .get_mut(lv)
            .ok_or_else(|| missing(format!("logical volume {vg}/{lv}")))
    }

    pub fn run(&mut self, command: &Command) -> Result<Reply, LvmError> {
        match command {
            Command::Scan(vg) => self.scan(vg),
            Command::ThinFill { vg, pool } => self.thin_fill(vg, pool),
            Command::ThinBlocks(query) => self.thin_blocks(query),
            // Its pictures of metadata never outlive a look.
            Command::ReleaseMetadata { .. } => Ok(Reply::Done),
            Command::CreateGroup { vg, tag } => self.create_group(vg, tag),
            Command::ExtendGroup { vg, disk } => self.extend_group(vg, disk),
            Command::RestoreDisk { vg, device } => self.restore_disk(vg, device),
            Command::Reserve {
                vg,
                lv,
                device,
                size,
            } => self.reserve(vg, lv, device, *size),
            Command::Shrink { vg, lv, size } => self.shrink(vg, lv, *size),
            Command::MarkDisk { vg, device, free } => self.mark_disk(vg, device, *free),
            Command::CreatePool {
                vg,
                pool,
                size,
                metadata,
                chunk,
            } => self.create_pool(vg, pool, *size, *metadata, *chunk),
            Command::Create(new) => self.create(new),
            Command::Copy {
                vg,
                source,
                lv,
                read_only,
                tags,
            } => self.copy(vg, source, lv, *read_only, tags),
            Command::CopyTogether { vg, copies, pods } => {
                self.held.push(pods.clone());
                self.copy_together(vg, copies)
            }
            Command::Resume(_) => {
                self.still.clear();
                Ok(Reply::Done)
            }
            Command::Tag(change) => {
                self.leave_behind(&change.vg);
                self.tag(change)
            }
            Command::Extend { vg, lv, size } => self.extend(vg, lv, *size),
            Command::ExtendMetadata { vg, pool, size } => self.extend_metadata(vg, pool, *size),
            Command::Remove { vg, lv } => {
                self.leave_behind(vg);
                self.remove(vg, lv)
            }
            Command::Activate { vg, lv } => self.activate(vg, lv),
            Command::Refresh { vg, lv } => self.refresh(vg, lv),
            Command::Deactivate { vg, pool } => self.deactivate(vg, pool),
            Command::Probe(device) => self.probe(device),
            Command::DeviceSize(device) => self.device_size(device),
            Command::Erase {
                device,
                from,
                length,
            } => self.erase(device, *from, *length),
            Command::MakeFilesystem { device, filesystem } => {
                self.make_filesystem(device, *filesystem)
            }
            Command::GrowFilesystem {
                device,
                target,
                filesystem,
            } => self.grow_filesystem(device, target, *filesystem),
            Command::Mounts => Ok(Reply::Mounts(self.mounts.clone())),
            Command::Mount {
                device,
                target,
                filesystem,
                copied,
                read_only,
                options: _,
            } => self.mount(device, target, *filesystem, *copied, *read_only),
            Command::Bind {
                device,
                source,
                target,
                kind,
                read_only,
            } => self.bind(device, source, target, *kind, *read_only),
            Command::ShowReadOnly { device } => self.show_read_only(device),
            Command::Withdraw { device } => self.withdraw(device),
            Command::Unmount { target } => self.unmount(target),
            Command::Usage { target } => self.usage(target),
            Command::Encrypt { device, key } => self.encrypt(device, key),
            Command::Open { device, key } => self.open(device, key),
            Command::Close { device } => self.close(device),
            Command::ResizeOpen { device, key } => self.resize_open(device, key),
            Command::Limit {
                device,
                pod,
                limits,
            } => self.limit(device, pod, *limits),
        }
    }

    pub fn lose(&mut self, vg: &VgName, lv: &LvName) {
        if let Ok(group) = self.group(vg) {
            group.free(lv);
        }
        self.opened.remove(lv);
        self.views.remove(lv);
        self.mounts.retain(|mount| mount.device.lv != *lv);
    }

    pub fn hide(&mut self, vg: &VgName, hidden: bool) {
        if let Some(group) = self.groups.get_mut(vg) {
            group.hidden = hidden;
        }
    }

    pub fn formatted(&mut self, vg: &VgName, lv: &LvName) -> u32 {
        self.volume(vg, lv).map_or(0, |volume| volume.formatted)
    }

    /// Whether somebody has the device open.
    pub fn busy(&self, device: &Device) -> bool {
        let mounted = |mount: &Mount| mount.device == *device;
        self.mounts.iter().any(mounted)
            || self.views.contains(&device.lv)
            || (!device.decrypted && self.opened.contains(&device.lv))
    }
}
