//! Makes RAIDs with checksums. LVM does that in several commits: the RAID, the space for the checksums of
//! each image, both together. Where it ends between them, space is left that nothing else would free.

use super::Real;
use crate::backend::Reply;
use crate::command::{Command, NewLv};
use crate::error::LvmError;
use crate::group::Group;
use std::cmp::Reverse;

/// The disks with room for the largest images. LVM by itself takes those with the largest piece, which may
/// not have room for the checksums.
fn roomiest(group: &Group, count: u32) -> Vec<String> {
    let mut pvs: Vec<_> = group.pvs.iter().filter(|pv| !pv.missing).collect();
    pvs.sort_by_key(|pv| Reverse(pv.checked_image(group.extent)));
    pvs.truncate(count as usize);
    pvs.into_iter().map(|pv| pv.device.clone()).collect()
}

impl Real {
    pub(super) fn create_checked(&self, new: &NewLv) -> Result<Reply, LvmError> {
        let create = Command::Create(new.clone());
        let disks = roomiest(&self.report(&new.vg)?, new.layout.disks());
        let make = || self.lvm_with(&new.vg, &create, &disks);
        let refused = match make() {
            Err(refused) => refused,
            done => return done,
        };
        // What is left of an earlier attempt is in the way of this one, once.
        match self.remove_left_over(new)? {
            true if !matches!(refused, LvmError::NoSpace { .. }) => {
                let again = make();
                if again.is_err() {
                    self.remove_left_over(new)?;
                }
                again
            }
            _ => Err(refused),
        }
    }

    /// Frees what was kept for checksums of a volume that does not exist. Tells whether there was any.
    fn remove_left_over(&self, new: &NewLv) -> Result<bool, LvmError> {
        if self.report(&new.vg)?.lv(&new.lv).is_some() {
            return Ok(false);
        }
        let mut any = false;
        for image in 0..new.layout.disks() {
            let remove = Command::Remove {
                vg: new.vg.clone(),
                lv: new.lv.checksums(image),
            };
            match self.lvm(&new.vg, &remove) {
                Ok(_) => any = true,
                Err(LvmError::NotFound { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(any)
    }
}
