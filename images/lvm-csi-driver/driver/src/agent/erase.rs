//! Overwrites what a deleted thick volume held, before its extents go to the next one.
//!
//! It may take hours, so it goes on beside everything else; until it has ended the removal counts
//! as failed and is tried again. What was done is not remembered across lives of the agent. What cannot
//! be reached, since a disk is missing, is left to [`super::remains`].

use super::perform::Failed;
use super::{Agent, Located};
use crate::object::VolumeId;
use ingot_lvm::{Command, LvmError};
use ingot_volume_brain::{Bytes, Failure, VolumeUid};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// One command's worth: even a slow disk ends it within the deadline.
const STEP: Bytes = Bytes::gib(1);

/// The header of an encrypted volume, with some room: without it nobody can read the rest.
const HEADER: Bytes = Bytes::mib(32);

#[derive(Debug)]
enum Erasure {
    UnderWay,
    Ended(Result<(), LvmError>),
}

/// The erasures of this life of the agent.
#[derive(Debug, Default)]
pub(super) struct Erasures(Mutex<BTreeMap<VolumeUid, Erasure>>);

impl Erasures {
    fn all(&self) -> MutexGuard<'_, BTreeMap<VolumeUid, Erasure>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there is nothing to do for it but to wait.
    pub(super) fn under_way(&self, uid: VolumeUid) -> bool {
        matches!(self.all().get(&uid), Some(Erasure::UnderWay))
    }

    /// The volume is gone.
    pub(super) fn forget(&self, uid: VolumeUid) {
        self.all().remove(&uid);
    }
}

impl Agent {
    /// Succeeds once nothing of the volume can be read any more; begins to see to it if need be.
    pub(super) fn erased(&self, located: &Located, id: VolumeId) -> Result<(), Failed> {
        let Some(length) = self.to_erase(located) else {
            return Ok(());
        };
        let mut all = self.erasures.all();
        match all.remove(&id.uid) {
            Some(done @ Erasure::Ended(Ok(()))) => {
                all.insert(id.uid, done);
                return Ok(());
            }
            Some(Erasure::Ended(Err(error))) => {
                let text = format!(
                    "what it held cannot be erased: {error}; or set `erase: false` of its pool, to give its space back as it is"
                );
                return Err((Failure::Transient, text));
            }
            Some(Erasure::UnderWay) => {}
            None => self.begin(located.clone(), id, length),
        }
        all.insert(id.uid, Erasure::UnderWay);
        let text = "what it held is being overwritten".to_owned();
        Err((Failure::Transient, text))
    }

    /// How much of a volume is to be overwritten, from its beginning on.
    fn to_erase(&self, located: &Located) -> Option<Bytes> {
        let pool = self.pool_of(&located.device.vg)?;
        // New chunks of a thin pool are zeroed. Of a RAID what is there is reached without what is not;
        // other layouts have no device while a disk is missing.
        if !pool.erase || located.lv.pool.is_some() || !located.lv.readable {
            return None;
        }
        let all = located.lv.size;
        // A journal beside the data may hold the header, too, until as much was written as it takes.
        let header = located.tags.encrypted && located.lv.integrity.is_none();
        Some(if header { all.min(HEADER) } else { all })
    }

    fn begin(&self, located: Located, id: VolumeId, length: Bytes) {
        let Some(agent) = self.me.upgrade() else {
            return;
        };
        tokio::spawn(async move {
            let done = agent.erase(&located, length).await;
            agent.erasures.all().insert(id.uid, Erasure::Ended(done));
            agent.reconcile_later(id, located.device.vg).await;
        });
    }

    async fn erase(&self, located: &Located, length: Bytes) -> Result<(), LvmError> {
        let device = &located.device;
        if !located.lv.active {
            let activate = Command::Activate {
                vg: device.vg.clone(),
                lv: device.lv.clone(),
            };
            self.inventory.change_and_read(&device.vg, activate).await?;
        }
        let mut from = Bytes::ZERO;
        while from < length {
            let part = length.saturating_sub(from).min(STEP);
            let erase = Command::Erase {
                device: device.clone(),
                from,
                length: part,
            };
            self.executor.change(erase).await?;
            from = from.saturating_add(part);
        }
        Ok(())
    }
}
