//! Snapshots of several volumes in one go, and devices that a dead agent left suspended.
//!
//! LVM takes one snapshot at a time; the pods stand still meanwhile, so all are of one instant.
//! Suspending all volumes before it is no way out: LVM 2.03.16 does not send a pool the message that
//! makes a snapshot while the origin was suspended by somebody else, and takes nothing more in that pool.

use super::Real;
use super::program::Program;
use super::still::{self, Still};
use super::tool::Tool;
use crate::backend::Reply;
use crate::command::{Command, NewCopy};
use crate::error::LvmError;
use ingot_volume_brain::{LvName, VgName};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

impl Real {
    /// One right after the other, while the pods stand still and nothing else is done to the group;
    /// all or none.
    pub(super) fn copy_together(
        &self,
        vg: &VgName,
        copies: &[NewCopy],
        pods: &BTreeSet<String>,
    ) -> Result<Reply, LvmError> {
        // Programs of a dead agent are waited for before anybody is held still.
        let hold = &self.group(vg)?.hold;
        drop(hold.share()?);
        let [record, _] = hold.records("still");
        let still = Still::hold(&self.guardian, &record, pods)?;
        let mut made: Vec<&LvName> = Vec::new();
        let taken = self.copy_each(vg, copies, &mut made);
        let taken = taken.and_then(|()| still.as_ref().map_or(Ok(()), Still::held));
        // Before anything is removed: nobody need wait for that.
        drop(still);
        if let Err(error) = taken {
            for lv in made {
                let remove = Command::Remove {
                    vg: vg.clone(),
                    lv: lv.clone(),
                };
                // What is left is found by its tags.
                let _ = self.lvm(vg, &remove);
            }
            return Err(error);
        }
        Ok(Reply::Done)
    }

    fn copy_each<'a>(
        &self,
        vg: &VgName,
        copies: &'a [NewCopy],
        made: &mut Vec<&'a LvName>,
    ) -> Result<(), LvmError> {
        for NewCopy { source, lv, tags } in copies {
            let copy = Command::Copy {
                vg: vg.clone(),
                source: source.clone(),
                lv: lv.clone(),
                read_only: true,
                tags: tags.clone(),
            };
            self.lvm(vg, &copy)?;
            made.push(lv);
        }
        Ok(())
    }

    /// Lets pods go on that were held still, and suspended devices of a group, by the tables that LVM's
    /// metadata says.
    pub(super) fn resume(&self, vg: &VgName) -> Result<Reply, LvmError> {
        let [record, former] = self.group(vg)?.hold.records("still");
        still::go_on(&record)?;
        match still::go_on(&former) {
            // What is there is not an agent's.
            Err(LvmError::Invalid { .. }) => {}
            done => done?,
        }
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
                Program::new(Tool::Dmsetup).args(["resume", name]).run()?;
            }
        }
        Ok(Reply::Done)
    }
}
