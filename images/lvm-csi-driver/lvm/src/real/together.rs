//! Snapshots of several volumes in one go, and devices that a dead agent left suspended.
//!
//! LVM takes one snapshot at a time, so they are not of one instant. Suspending all volumes before it
//! is no way out: LVM 2.03.16 does not send a pool the message that makes a snapshot while the origin
//! was suspended by somebody else, and takes nothing more in that pool.

use super::Real;
use super::program::Program;
use crate::backend::Reply;
use crate::command::{Command, NewCopy};
use crate::error::LvmError;
use ingot_volume_brain::{LvName, VgName};
use std::fs;
use std::path::Path;

impl Real {
    /// One right after the other, while nothing else is done to the group; all or none.
    pub(super) fn copy_together(&self, vg: &VgName, copies: &[NewCopy]) -> Result<Reply, LvmError> {
        let mut made: Vec<&LvName> = Vec::new();
        for NewCopy { source, lv, tags } in copies {
            let copy = Command::Copy {
                vg: vg.clone(),
                source: source.clone(),
                lv: lv.clone(),
                read_only: true,
                tags: tags.clone(),
            };
            if let Err(error) = self.lvm(vg, &copy) {
                for lv in made {
                    let (vg, lv) = (vg.clone(), lv.clone());
                    // What is left is found by its tags.
                    let _ = self.lvm(&vg.clone(), &Command::Remove { vg, lv });
                }
                return Err(error);
            }
            made.push(lv);
        }
        Ok(Reply::Done)
    }

    /// Lets suspended devices of a group go on, by the tables that LVM's metadata says.
    pub(super) fn resume(&self, vg: &VgName) -> Result<Reply, LvmError> {
        let Ok(folder) = fs::read_dir("/sys/block") else {
            return Ok(Reply::Done);
        };
        let read = |path: &Path| fs::read_to_string(path).unwrap_or_default();
        let suspended: Vec<String> = folder
            .filter_map(|entry| Some(entry.ok()?.path().join("dm")))
            .filter(|dm| read(&dm.join("suspended")).trim() == "1")
            .map(|dm| read(&dm.join("name")).trim().to_owned())
            .collect();
        let ours = format!("{}-", vg.as_str().replace('-', "--"));
        let inside =
            |name: &&String| name.starts_with(&ours) && !name[ours.len()..].starts_with('-');
        if suspended.iter().any(|name| inside(&name)) {
            self.lvm(vg, &Command::Resume(vg.clone()))?;
        }
        // Decrypted and read-only views are not LVM's; which group they are of is no matter.
        for name in suspended.iter().filter(|name| name.starts_with("ingot-")) {
            if !inside(&name) {
                Program::new("dmsetup").args(["resume", name]).run()?;
            }
        }
        Ok(Reply::Done)
    }
}
