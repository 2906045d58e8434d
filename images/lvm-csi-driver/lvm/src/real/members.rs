//! Which disks a volume group has, what they are called, and how one more joins it.
//!
//! A disk that the configuration does not name any more stays in use as long as the group has it:
//! LVM knows it by an identity of its own, and without it whatever lies on it would be gone.

use super::Real;
use super::selection;
use crate::backend::Reply;
use crate::command::Command;
use crate::disks::{BlockDisk, scan};
use crate::error::LvmError;
use crate::group::Group;
use ingot_volume_brain::VgName;
use std::fs;
use std::path::{Path, PathBuf};

/// Where udev shows physical volumes by LVM's identity of them.
const BY_UUID: &str = "/dev/disk/by-id/lvm-pv-uuid-";

/// The device of a disk that a group lacks, if it is there under a name that nobody has configured.
fn elsewhere(uuid: &str) -> Option<String> {
    let link = format!("{BY_UUID}{uuid}");
    fs::metadata(&link).is_ok().then_some(link)
}

fn node(device: &str) -> Option<PathBuf> {
    fs::canonicalize(device).ok()
}

impl Real {
    /// Reports a group with all of its disks that are there.
    pub(super) fn scan(&self, vg: &VgName) -> Result<Group, LvmError> {
        let mut group = self.report(vg)?;
        let lacking = group.pvs.iter().filter(|pv| pv.missing);
        let found: Vec<String> = lacking.filter_map(|pv| elsewhere(&pv.uuid)).collect();
        if self.keep(vg, found)? {
            group = self.report(vg)?;
        }
        self.name_disks(vg, &mut group)?;
        Ok(group)
    }

    /// From now on looks at these disks too. Tells whether any is new.
    fn keep(&self, vg: &VgName, found: Vec<String>) -> Result<bool, LvmError> {
        let mut strays = self.group(vg)?.strays();
        let before = strays.len();
        strays.extend(found);
        Ok(strays.len() > before)
    }

    /// Writes down what else each disk is called.
    fn name_disks(&self, vg: &VgName, group: &mut Group) -> Result<(), LvmError> {
        let configured = &self.group(vg)?.devices;
        let found = scan(Path::new("/"));
        for pv in &mut group.pvs {
            let Some(node) = node(&pv.device) else {
                continue;
            };
            let same = |device: &&String| fs::canonicalize(device).is_ok_and(|own| own == node);
            pv.names.extend(configured.iter().filter(same).cloned());
            if let Some(disk) = disk(&found, &node) {
                pv.read_only = disk.read_only;
                let links = disk
                    .names
                    .iter()
                    .map(|name| format!("/dev/disk/by-id/{name}"));
                pv.names.extend(links);
                pv.names.extend(disk.serial.clone());
            }
            pv.names.sort();
            pv.names.dedup();
        }
        // People know a disk by what they configured, or by a name that does not change.
        let pvs = &group.pvs;
        let named = |disk: &String| {
            let pv = pvs.iter().find(|pv| pv.device == *disk);
            pv.and_then(|pv| pv.names.first()).unwrap_or(disk).clone()
        };
        for integrity in group.lvs.iter_mut().filter_map(|lv| lv.integrity.as_mut()) {
            integrity.on = integrity.on.iter().map(named).collect();
        }
        Ok(())
    }

    /// Makes a disk part of a group, if there is nothing on it or it may be emptied.
    pub(super) fn extend_group(&self, vg: &VgName, disk: &str) -> Result<Reply, LvmError> {
        let found = scan(Path::new("/"));
        let device = self.configured(vg, disk, &found)?;
        let group = self.scan(vg)?;
        let here = node(&device);
        let content = selection::content(&device)?;
        // By its identity too: LVM may not have seen it just now, and it must not be emptied then.
        let member = group.pvs.iter().any(|pv| {
            let known = content.as_ref().and_then(|content| content.uuid.as_ref());
            known == Some(&pv.uuid) || (here.is_some() && node(&pv.device) == here)
        });
        if member {
            return Err(LvmError::Exists {
                what: format!("disk {disk} of volume group {vg}"),
            });
        }
        self.empty(vg, &found, &device)?;
        let extend = Command::ExtendGroup {
            vg: vg.clone(),
            disk: device,
        };
        self.lvm(vg, &extend)
    }

    /// The device of a disk that the configuration names.
    fn configured(&self, vg: &VgName, disk: &str, found: &[BlockDisk]) -> Result<String, LvmError> {
        let serials = self.serials.get(vg).map(Vec::as_slice).unwrap_or_default();
        if serials.iter().any(|serial| serial == disk) {
            return selection::path(found, disk).ok_or_else(|| selection::no_disk(disk));
        }
        if !self.group(vg)?.devices.iter().any(|device| device == disk) {
            return Err(LvmError::Invalid {
                what: format!("disk {disk} is not configured for volume group {vg}"),
                remedy: "add it to the disks of its pool".into(),
            });
        }
        match fs::metadata(disk) {
            Ok(_) => Ok(disk.to_owned()),
            Err(_) => Err(LvmError::NotFound {
                what: format!("disk {disk}"),
            }),
        }
    }
}

/// The disk behind a device node.
fn disk<'a>(found: &'a [BlockDisk], node: &Path) -> Option<&'a BlockDisk> {
    let name = node.file_name()?.to_str()?;
    found.iter().find(|disk| disk.kernel_name == name)
}
