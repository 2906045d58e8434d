//! What the kernel has of the volumes: which are active, and what it has given up when their disks went.

use super::state::State;
use crate::backend::Reply;
use crate::device::MountKind;
use crate::error::LvmError;
use crate::layout::Layout;
use ingot_volume_brain::{LvName, VgName};

impl State {
    pub fn reboot(&mut self) {
        for mount in std::mem::take(&mut self.mounts) {
            // What was below the mounts is still there: kubelet's directories survive.
            let _ = mount;
        }
        self.opened.clear();
        self.views.clear();
        self.limits.clear();
        self.still.clear();
        for group in self.groups.values_mut() {
            for volume in group.lvs.values_mut() {
                volume.active = false;
                (volume.stale, volume.lags) = (false, false);
                // The kernel counts anew.
                volume.rotten.clear();
            }
        }
    }

    pub fn unplug(&mut self, vg: &VgName, disk: usize, missing: bool) {
        let Some(group) = self.groups.get_mut(vg) else {
            return;
        };
        if let Some(disk) = group.disks.get_mut(disk) {
            disk.missing = missing;
        }
        // When it comes back it is another device to the kernel, for a thin pool and all in it, too. A RAID
        // goes on without it.
        let names: Vec<LvName> = group.lvs.keys().cloned().collect();
        for name in names {
            let below = group.lvs.get(&name).map(|lv| group.below(lv));
            let there = below.is_some_and(|lv| lv.segments.iter().any(|part| part.disk == disk));
            let lost = below.is_some_and(|lv| !group.readable(lv));
            if let Some(volume) = group.lvs.get_mut(&name) {
                // A pool is active with whatever lies in it.
                let active = volume.active || volume.thin_pool.is_some();
                volume.stale |= missing && there && lost && active;
                volume.lags |= missing && there && !lost && active;
            }
        }
    }

    pub fn refresh(&mut self, vg: &VgName, lv: &LvName) -> Result<Reply, LvmError> {
        let volume = self.volume(vg, lv)?.clone();
        let group = self.group(vg)?;
        let below = group.below(&volume).segments.iter();
        let reason = if below
            .into_iter()
            .any(|segment| group.disks[segment.disk].lost())
        {
            "a disk is missing"
        } else if volume.stale && matches!(volume.layout, Layout::Thin { .. }) {
            // The kernel has given the pool up, and takes no new table for what lies in it.
            "device-mapper: reload ioctl on failed: Invalid argument"
        } else {
            let volume = self.volume(vg, lv)?;
            (volume.stale, volume.lags) = (false, false);
            return Ok(Reply::Done);
        };
        Err(LvmError::Failed {
            command: format!("lvchange --refresh {vg}/{lv}"),
            reason: reason.into(),
        })
    }

    /// Like LVM, it takes away what it can, also where somebody uses the rest; a raw volume in a pod that
    /// does not hold it open counts as not used.
    pub fn deactivate(&mut self, vg: &VgName, pool: &LvName) -> Result<Reply, LvmError> {
        let mounted = self
            .mounts
            .iter()
            .filter(|m| m.kind == MountKind::Filesystem);
        let used: Vec<LvName> = mounted.map(|m| m.device.lv.clone()).collect();
        let inside = Layout::Thin { pool: pool.clone() };
        let lvs = self.group(vg)?.lvs.iter_mut();
        let (held, idle): (Vec<_>, Vec<_>) = lvs
            .filter(|(name, volume)| *name == pool || volume.layout == inside)
            .partition(|(name, _)| used.contains(name));
        for (_, volume) in idle {
            volume.active = false;
            volume.stale &= !held.is_empty();
        }
        match held.first() {
            None => Ok(Reply::Done),
            Some((name, _)) => Err(LvmError::InUse {
                what: format!("{vg}/{name}"),
            }),
        }
    }

    pub fn activate(&mut self, vg: &VgName, lv: &LvName) -> Result<Reply, LvmError> {
        let volume = self.volume(vg, lv)?;
        if volume.stale && matches!(volume.layout, Layout::Thin { .. }) {
            return Err(LvmError::Failed {
                command: format!("lvchange --activate y {vg}/{lv}"),
                reason: "device-mapper: reload ioctl on failed: Invalid argument".into(),
            });
        }
        let volume = volume.clone();
        if !volume.active && self.group(vg)?.only_whole(&volume) {
            return Err(LvmError::checked_and_incomplete(vg, lv));
        }
        self.volume(vg, lv)?.active = true;
        Ok(Reply::Done)
    }
}
