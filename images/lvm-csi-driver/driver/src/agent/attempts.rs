//! How far pools are that are not there yet, and when those that could not be made are tried again.
//!
//! How far it is stands ready for whoever asks meanwhile what is wrong with a pool: a group that is not on
//! its disks is a fright where volumes were, and nothing at all before the pool was made.

use ingot_lvm::LvmError;
use ingot_volume_brain::{LvName, VgName};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// After so many rounds at most it is tried again, whatever the disks show: LVM is asked for it.
const SELDOM: u32 = 8;

#[derive(Debug)]
enum Attempt {
    UnderWay,
    Failed(Failed),
}

#[derive(Debug)]
struct Failed {
    error: LvmError,
    /// So many rounds lie between the attempts now.
    pause: u32,
    /// So many of them are left.
    left: u32,
}

/// Pools that are not made, or not yet, by their groups.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    all: Mutex<BTreeMap<VgName, Attempt>>,
    disks_changed: AtomicBool,
}

impl Attempts {
    fn all(&self) -> MutexGuard<'_, BTreeMap<VgName, Attempt>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Somebody makes it now. Why it could not be made before says more, and stays until that is known.
    pub(super) fn begin(&self, vg: &VgName) {
        self.all().entry(vg.clone()).or_insert(Attempt::UnderWay);
    }

    /// What came of it, at the start or since disks have changed: more may come, so the next is soon.
    pub(super) fn end(&self, vg: &VgName, made: &Result<(), LvmError>) {
        self.ended(vg, made, 1);
    }

    /// What came of another attempt. The next is later, as this one was of no use.
    pub(super) fn end_again(&self, vg: &VgName, made: &Result<(), LvmError>) {
        let before = match self.all().get(vg) {
            Some(Attempt::Failed(failed)) => failed.pause,
            _ => 0,
        };
        self.ended(vg, made, (before * 2).clamp(1, SELDOM));
    }

    fn ended(&self, vg: &VgName, made: &Result<(), LvmError>, pause: u32) {
        match made {
            Ok(()) => self.all().remove(vg),
            Err(error) => {
                let failed = Failed {
                    error: error.clone(),
                    pause,
                    left: pause,
                };
                self.all().insert(vg.clone(), Attempt::Failed(failed))
            }
        };
    }

    /// Why a pool could not be made, if it could not.
    pub(super) fn failed(&self, vg: &VgName) -> Option<LvmError> {
        match self.all().get(vg) {
            Some(Attempt::Failed(failed)) => Some(failed.error.clone()),
            _ => None,
        }
    }

    /// Whether a pool that could not be made is tried again in this round.
    pub(super) fn due(&self, vg: &VgName) -> bool {
        match self.all().get_mut(vg) {
            Some(Attempt::Failed(failed)) => {
                failed.left = failed.left.saturating_sub(1);
                failed.left == 0
            }
            _ => false,
        }
    }

    /// The node's disks are not what they were when it failed.
    pub(super) fn disks_changed(&self) {
        self.disks_changed.store(true, Ordering::Relaxed);
    }

    /// The groups of pools that are to be tried at once, since disks have changed; nothing, if they have not.
    pub(super) fn hoping(&self) -> Option<Vec<VgName>> {
        if !self.disks_changed.swap(false, Ordering::Relaxed) {
            return None;
        }
        let all = self.all();
        let failed = all
            .iter()
            .filter(|(_, making)| matches!(making, Attempt::Failed(_)));
        Some(failed.map(|(vg, _)| vg.clone()).collect())
    }

    /// Why the group of a pool cannot be used, where reading it gave `found`.
    pub(super) fn trouble(&self, pool: &str, vg: &VgName, found: LvmError) -> String {
        let LvmError::GroupMissing { .. } = found else {
            return found.to_string();
        };
        match self.all().get(vg) {
            None => found.to_string(),
            Some(Attempt::Failed(failed)) => failed.error.to_string(),
            Some(Attempt::UnderWay) => being_made(pool, &format!("volume group {vg}")),
        }
    }

    /// Why a group has not the thin pool that its pool is configured with.
    pub(super) fn lacks_thin(&self, pool: &str, vg: &VgName, thin: &LvName) -> String {
        match self.all().get(vg) {
            None => format!(
                "volume group {vg} has no thin pool {thin}; start the agent of this node again to have an empty one made"
            ),
            Some(Attempt::Failed(failed)) => failed.error.to_string(),
            Some(Attempt::UnderWay) => being_made(pool, &format!("thin pool {vg}/{thin}")),
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
        let attempts = Attempts::default();
        let says = |found| attempts.trouble("fast", &vg, found);
        assert_eq!(says(missing()), missing().to_string());

        attempts.begin(&vg);
        let making = "pool fast is being made; it takes volumes as soon as its volume group ingot-fast is there";
        assert_eq!(says(missing()), making);
        // What else is wrong with it is not hidden by that.
        assert_eq!(says(LvmError::Crashed), LvmError::Crashed.to_string());
        let thin = LvName::new("pool").expect("a name");
        let lacks = || attempts.lacks_thin("fast", &vg, &thin);
        let making = "pool fast is being made; it takes volumes as soon as its thin pool ingot-fast/pool is there";
        assert_eq!(lacks(), making);

        let refused = LvmError::Invalid {
            what: "the disk holds ext4".into(),
            remedy: "wipe it".into(),
        };
        attempts.end(&vg, &Err(refused.clone()));
        assert_eq!(says(missing()), refused.to_string());
        assert_eq!(lacks(), refused.to_string());

        attempts.begin(&vg);
        assert_eq!(says(missing()), refused.to_string(), "as long as it may");
        attempts.end(&vg, &Ok(()));
        assert_eq!(says(missing()), missing().to_string());
        assert!(lacks().starts_with("volume group ingot-fast has no thin pool pool; start"));
    }

    #[test]
    fn a_pool_that_cannot_be_made_is_tried_ever_more_seldom_and_at_once_when_disks_change() {
        let vg = VgName::new("ingot-fast").expect("a name");
        let (attempts, crashed) = (Attempts::default(), Err(LvmError::Crashed));
        assert!(!attempts.due(&vg), "nobody has tried it");
        attempts.end(&vg, &crashed);
        let mut tried = Vec::new();
        for round in 1..=32 {
            if attempts.due(&vg) {
                attempts.end_again(&vg, &crashed);
                tried.push(round);
            }
        }
        assert_eq!(tried, [1, 3, 7, 15, 23, 31]);
        // Disks that come one after the other put nothing off.
        attempts.end(&vg, &crashed);
        assert!(attempts.due(&vg), "in the next round");

        assert_eq!(attempts.hoping(), None);
        attempts.disks_changed();
        assert_eq!(
            attempts.hoping().as_deref(),
            Some(std::slice::from_ref(&vg))
        );
        assert_eq!(attempts.hoping(), None, "once");
        attempts.end_again(&vg, &Ok(()));
        attempts.disks_changed();
        assert_eq!(attempts.hoping(), Some(vec![]), "it is made");
        assert!(!attempts.due(&vg) && attempts.failed(&vg).is_none());
    }
}
