//! The disks of a group: how they join it, and what they show of the past.

use super::spec::SimDisk;
use super::state::{Disk, EXTENT, GroupState, State, missing};
use crate::backend::Reply;
use crate::command::FreeSpace;
use crate::error::LvmError;
use crate::group::{Pv, UNKNOWN};
use crate::layout::Layout;
use ingot_volume_brain::{Bytes, LvName, VgName};
use std::hash::{DefaultHasher, Hash, Hasher};

impl Disk {
    pub fn new(disk: &SimDisk) -> Self {
        // The first MiB is LVM's own.
        let extents = disk.size.saturating_sub(Bytes::mib(1)).0 / EXTENT.0;
        Self {
            name: disk.name.clone(),
            joined: false,
            extents,
            used: 0,
            missing: false,
            behind: false,
            read_only: false,
            holds: None,
            erased: disk.erased,
            past: Vec::new(),
            dirty: if disk.erased { 0 } else { extents },
        }
    }

    /// Whether LVM counts it as missing.
    pub fn lost(&self) -> bool {
        self.missing || self.behind
    }

    /// LVM's identity of it: no disk of another group has the same.
    fn identity(&self) -> String {
        let mut hasher = DefaultHasher::new();
        self.name.hash(&mut hasher);
        format!("sim-{:016x}", hasher.finish())
    }

    /// As LVM reports it.
    pub fn report(&self, number: usize) -> Pv {
        // Of one that is not there LVM knows its identity only.
        let (device, names) = match self.missing {
            true => (UNKNOWN.to_owned(), Vec::new()),
            false => (format!("/dev/sim{number}"), vec![self.name.clone()]),
        };
        Pv {
            device,
            uuid: self.identity(),
            names,
            size: Bytes(self.extents * EXTENT.0),
            free: Bytes((self.extents - self.used) * EXTENT.0),
            pieces: 1,
            missing: self.lost(),
            read_only: self.read_only,
            erased: self.erased,
        }
    }

    /// Takes the disk, unless something is on it that nobody has given up.
    fn join(&mut self, may_be_emptied: bool) -> Result<(), LvmError> {
        let name = &self.name;
        if self.missing {
            return Err(missing(format!("disk {name}")));
        }
        if let Some(holds) = self.holds.take_if(|_| !may_be_emptied) {
            let refused = LvmError::Invalid {
                what: format!("{name} is not empty, it holds {holds}; nothing was changed"),
                remedy: format!(
                    "if nobody needs it, empty it with `wipefs --all {name}`, or name its serial number {name} under `wipe`"
                ),
            };
            self.holds = Some(holds);
            return Err(refused);
        }
        self.holds = None;
        self.joined = true;
        Ok(())
    }
}

impl State {
    pub fn create_group(&mut self, vg: &VgName, tag: &str) -> Result<Reply, LvmError> {
        let wipe = self.wipe.clone();
        let group = self
            .groups
            .get_mut(vg)
            .ok_or_else(|| missing(format!("a disk for volume group {vg}")))?;
        if group.made {
            return Err(LvmError::Exists {
                what: format!("volume group {vg}"),
            });
        }
        let mut disks = group.disks.clone();
        for disk in &mut disks {
            let may = wipe.contains(&disk.name);
            disk.join(may)?;
        }
        group.disks = disks;
        group.made = true;
        group.tags = vec![tag.to_owned()];
        Ok(Reply::Done)
    }

    /// What changes the group now the disks do not see that are not there.
    pub fn leave_behind(&mut self, vg: &VgName) {
        if let Ok(group) = self.group(vg) {
            for disk in &mut group.disks {
                disk.behind |= disk.joined && disk.missing;
            }
        }
    }

    pub fn restore_disk(&mut self, vg: &VgName, device: &str) -> Result<Reply, LvmError> {
        let mut disks = self.group(vg)?.disks.iter_mut().enumerate();
        let found = disks.find(|(number, disk)| disk.report(*number).device == device);
        let Some((_, disk)) = found.filter(|(_, disk)| !disk.missing) else {
            return Err(missing(format!("disk {device} of volume group {vg}")));
        };
        disk.behind = false;
        Ok(Reply::Done)
    }

    pub fn extend_group(&mut self, vg: &VgName, name: &str) -> Result<Reply, LvmError> {
        let may = self.wipe.contains(name);
        let disk = self.group(vg)?.disks.iter().find(|disk| disk.name == name);
        match disk {
            Some(disk) if !disk.missing && disk.joined => Err(LvmError::Exists {
                what: format!("disk {name} of volume group {vg}"),
            }),
            Some(disk) if !disk.missing => {
                let disks = &mut self.whole(vg)?.disks;
                let mut named = disks.iter_mut().filter(|disk| disk.name == name);
                named.try_for_each(|disk| disk.join(may))?;
                Ok(Reply::Done)
            }
            _ => Err(missing(format!("disk {name}"))),
        }
    }

    pub fn reserve(
        &mut self,
        vg: &VgName,
        lv: &LvName,
        device: &str,
        size: Bytes,
    ) -> Result<Reply, LvmError> {
        let group = self.whole(vg)?;
        let number = group.numbered(device)?;
        group
            .alone_on(number, |group| {
                group.take(&Layout::Linear, size.0 / EXTENT.0)
            })
            .ok_or_else(|| LvmError::NoSpace {
                vg: vg.clone(),
                wanted: size,
                reason: "insufficient free space".into(),
            })
            .map(|segments| {
                let volume = super::volumes::new_volume(size, Layout::Linear);
                let volume = super::state::Volume {
                    segments,
                    active: true,
                    ..volume
                };
                group.lvs.insert(lv.clone(), volume);
                Reply::Done
            })
    }

    pub fn mark_disk(
        &mut self,
        vg: &VgName,
        device: &str,
        free: FreeSpace,
    ) -> Result<Reply, LvmError> {
        let group = self.whole(vg)?;
        let number = group.numbered(device)?;
        group.disks[number].erased = free == FreeSpace::Erased;
        Ok(Reply::Done)
    }

    /// A new disk, beside those that the group has.
    pub fn plug(&mut self, vg: &VgName, disk: &SimDisk) {
        if let Some(group) = self.groups.get_mut(vg) {
            group.disks.push(Disk::new(disk));
        }
    }

    /// The disk of that name.
    pub fn disk(&mut self, vg: &VgName, name: &str) -> Option<&mut Disk> {
        let group = self.groups.get_mut(vg)?;
        group.disks.iter_mut().find(|disk| disk.name == name)
    }
}

impl GroupState {
    fn numbered(&self, device: &str) -> Result<usize, LvmError> {
        let here =
            |(number, disk): (usize, &Disk)| disk.joined && disk.report(number).device == device;
        let mut disks = self.disks.iter().enumerate();
        let found = disks.position(here);
        found.ok_or_else(|| missing(format!("disk {device} of the group")))
    }

    /// Does something as if the group had that disk only.
    fn alone_on<T>(&mut self, number: usize, act: impl FnOnce(&mut Self) -> T) -> T {
        let missing: Vec<bool> = self.disks.iter().map(|disk| disk.missing).collect();
        for (other, disk) in self.disks.iter_mut().enumerate() {
            disk.missing |= other != number;
        }
        let done = act(self);
        for (disk, missing) in self.disks.iter_mut().zip(missing) {
            disk.missing = missing;
        }
        done
    }
}
