//! How far the making of the pools is, for whoever asks meanwhile what is wrong with one.
//!
//! A group that is not on its disks is a fright where volumes were, and nothing at all before the
//! pool was made for the first time.

use ingot_lvm::LvmError;
use ingot_volume_brain::{LvName, VgName};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

#[derive(Debug)]
enum Making {
    UnderWay,
    Failed(LvmError),
}

/// Pools that are not made, or not yet, by their groups.
#[derive(Debug, Default)]
pub(super) struct Makings(Mutex<BTreeMap<VgName, Making>>);

impl Makings {
    fn all(&self) -> MutexGuard<'_, BTreeMap<VgName, Making>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Somebody makes it now.
    pub(super) fn begin(&self, vg: &VgName) {
        self.all().insert(vg.clone(), Making::UnderWay);
    }

    /// What came of it.
    pub(super) fn end(&self, vg: &VgName, made: &Result<(), LvmError>) {
        match made {
            Ok(()) => self.all().remove(vg),
            Err(error) => self.all().insert(vg.clone(), Making::Failed(error.clone())),
        };
    }

    /// Why the group of a pool cannot be used, where reading it gave `found`.
    pub(super) fn trouble(&self, pool: &str, vg: &VgName, found: LvmError) -> String {
        let LvmError::GroupMissing { .. } = found else {
            return found.to_string();
        };
        match self.all().get(vg) {
            None => found.to_string(),
            Some(Making::Failed(error)) => error.to_string(),
            Some(Making::UnderWay) => being_made(pool, &format!("volume group {vg}")),
        }
    }

    /// Why a group has not the thin pool that its pool is configured with.
    pub(super) fn lacks_thin(&self, pool: &str, vg: &VgName, thin: &LvName) -> String {
        match self.all().get(vg) {
            None => format!(
                "volume group {vg} has no thin pool {thin}; start the agent of this node again to have an empty one made"
            ),
            Some(Making::Failed(error)) => error.to_string(),
            Some(Making::UnderWay) => being_made(pool, &format!("thin pool {vg}/{thin}")),
        }
    }
}

fn being_made(pool: &str, what: &str) -> String {
    format!("pool {pool} is being made; it takes volumes as soon as its {what} is there")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_only_called_missing_where_nobody_makes_it() {
        let vg = VgName::new("ingot-fast").expect("a name");
        let missing = || LvmError::GroupMissing { vg: vg.clone() };
        let makings = Makings::default();
        let says = |found| makings.trouble("fast", &vg, found);
        assert_eq!(says(missing()), missing().to_string());

        makings.begin(&vg);
        let making = "pool fast is being made; it takes volumes as soon as its volume group ingot-fast is there";
        assert_eq!(says(missing()), making);
        // What else is wrong with it is not hidden by that.
        assert_eq!(says(LvmError::Crashed), LvmError::Crashed.to_string());
        let thin = LvName::new("pool").expect("a name");
        let lacks = || makings.lacks_thin("fast", &vg, &thin);
        let making = "pool fast is being made; it takes volumes as soon as its thin pool ingot-fast/pool is there";
        assert_eq!(lacks(), making);

        let refused = LvmError::Invalid {
            what: "the disk holds ext4".into(),
            remedy: "wipe it".into(),
        };
        makings.end(&vg, &Err(refused.clone()));
        assert_eq!(says(missing()), refused.to_string());
        assert_eq!(lacks(), refused.to_string());

        makings.begin(&vg);
        makings.end(&vg, &Ok(()));
        assert_eq!(says(missing()), missing().to_string());
        assert!(lacks().starts_with("volume group ingot-fast has no thin pool pool; start"));
    }
}
