//! Carries out the commands of the state machine: on the disk through LVM, or in the object store.

use super::actor::failure;
use super::{Agent, Located, restart};
use crate::object::{Volume, VolumeId};
use crate::store::StoreError;
use ingot_lvm::{Command as Lvm, Group, Layout, LvmError, Space, TagChange, Tags};
use ingot_volume_brain::{Bytes, Command, Failure, LvState, Phase, Report, Version, VgName};

/// Failure and the words for it.
pub(super) type Failed = (Failure, String);

pub(super) fn lvm(error: LvmError) -> Failed {
    (failure(&error), error.to_string())
}

pub(super) fn api(error: StoreError) -> Failed {
    let failure = match error {
        StoreError::Conflict(_) | StoreError::NotFound(_) | StoreError::Exists(_) => {
            Failure::Conflict
        }
        StoreError::Refused(..) | StoreError::Unavailable(_) | StoreError::Crashed => {
            Failure::Transient
        }
    };
    (failure, error.to_string())
}

type Wish = Option<(Version, Volume)>;

fn wanted(wish: Wish) -> Result<Volume, Failed> {
    // The machine asks for this only while there is an object; it may have gone since.
    let gone = || (Failure::Conflict, "its object is gone".to_owned());
    wish.map(|(_, volume)| volume).ok_or_else(gone)
}

impl Agent {
    pub(super) async fn perform(
        &self,
        command: Command,
        id: VolumeId,
        vg: &VgName,
        wish: Wish,
        words: Option<&str>,
    ) -> Result<(), Failed> {
        let key = id.key();
        match command {
            Command::Claim(version) => {
                let mut volume = wanted(wish)?;
                volume.report.phase = Phase::Claimed;
                let written = self.store.update(&key, version, volume.into()).await;
                written.map(drop).map_err(api)
            }
            Command::Report(version, report) => {
                let mut volume = wanted(wish)?;
                volume.message = message(&report, words);
                volume.in_use = false;
                volume.report = report;
                let written = self.store.update(&key, version, volume.into()).await;
                written.map(drop).map_err(api)
            }
            Command::Release(version) => {
                self.formats.forget(id.uid);
                self.store.delete(&key, version).await.map_err(api)
            }
            Command::CreateLv => self.create(&wanted(wish)?).await,
            Command::Grow(to) => self.grow(&wanted(wish)?, to).await,
            Command::MarkReady => {
                if let Some((_, volume)) = &wish {
                    if let Some(group) = &volume.group {
                        self.whole(id, vg, group).await?;
                    }
                    self.checked(id, volume).await?;
                }
                self.mark(id, LvState::Ready).await
            }
            Command::MarkDeleting => self.mark(id, LvState::Deleting).await,
            Command::Quarantine => self.mark(id, LvState::Quarantined).await,
            Command::RemoveLv => self.remove(id, vg).await,
        }
    }

    async fn grow(&self, volume: &Volume, to: Bytes) -> Result<(), Failed> {
        let _gate = self.gate(&volume.vg).await;
        let vg = &volume.vg;
        let group = self.inventory.recent(vg).await.map_err(lvm)?;
        self.clean_room(volume).await?;
        let lv = volume.lv();
        let size = group.lv(&lv).map_or(Bytes::ZERO, |found| found.size);
        let extend = Lvm::Extend {
            vg: vg.clone(),
            lv: lv.clone(),
            size: to,
        };
        let grown = if matches!(volume.layout, Layout::Thin { .. }) {
            self.room(volume, to.saturating_sub(size)).await?;
            let effect = |group: &mut Group| {
                if let Some(found) = group.lvs.iter_mut().find(|found| found.lv == lv) {
                    found.size = to;
                }
            };
            self.inventory.change(vg, extend, effect).await
        } else {
            self.inventory.change_and_read(vg, extend).await
        };
        grown.map_err(lvm)
    }

    /// Thick volumes are made where nothing shows of what a disk held before.
    pub(super) async fn clean_room(&self, volume: &Volume) -> Result<(), Failed> {
        match volume.layout {
            Layout::Thin { .. } => Ok(()),
            _ => self.keep_apart(&volume.vg).await.map_err(lvm),
        }
    }

    /// A thin pool takes any promise; so it is refused here. Thick ones LVM refuses itself.
    pub(super) async fn room(&self, volume: &Volume, more: Bytes) -> Result<(), Failed> {
        let Layout::Thin { pool } = &volume.layout else {
            return Ok(());
        };
        let group = self.inventory.group(&volume.vg).await.map_err(lvm)?;
        let configured = self.pool_of(&volume.vg);
        if let Some(failure) = configured.and_then(|pool| restart::failure(pool, &group)) {
            return Err((Failure::Transient, failure));
        }
        let guard = self.thin_guard(&volume.vg);
        let space = Space::of(&group, Some(pool));
        let room = space.largest(&volume.layout, guard);
        if more <= room {
            return Ok(());
        }
        let reason = match space.thin {
            Some(thin) if thin.data >= guard.stop || thin.metadata >= guard.stop => format!(
                "thin pool {}/{pool} is full to {:.0} % (metadata {:.0} %), nothing is promised from {:.0} % on; add a disk, or delete volumes or snapshots",
                volume.vg,
                thin.data * 100.0,
                thin.metadata * 100.0,
                guard.stop * 100.0
            ),
            Some(thin) => format!(
                "thin pool {}/{pool} of {} has promised {} and may promise {room} more at ratio {}, not {more}; add a disk, raise the ratio, or delete volumes",
                volume.vg, thin.size, thin.promised, guard.ratio
            ),
            None => format!("volume group {} has no thin pool {pool}", volume.vg),
        };
        Err((Failure::NoSpace, reason))
    }

    async fn mark(&self, id: VolumeId, state: LvState) -> Result<(), Failed> {
        let Some(located) = self.inventory.locate(id.uid) else {
            return Err((Failure::Transient, "it is gone from the disk".into()));
        };
        self.retag(&located, |tags| tags.state = state)
            .await
            .map_err(lvm)
    }

    /// Changes the tags of a volume in one commit.
    pub(crate) async fn retag(
        &self,
        located: &Located,
        change: impl Fn(&mut Tags),
    ) -> Result<(), LvmError> {
        let mut to = located.tags.clone();
        change(&mut to);
        let (vg, lv) = (&located.device.vg, &located.lv.lv);
        let retag = TagChange {
            vg: vg.clone(),
            lv: lv.clone(),
            from: located.tags.clone(),
            to,
        };
        // Only what is changed: the tags that it was located with may have been ahead of the disk.
        let effect = |group: &mut Group| {
            let found = group.lvs.iter_mut().find(|found| found.lv == *lv);
            if let Some(tags) = found.and_then(|found| found.tags.as_mut()) {
                change(tags);
            }
        };
        self.inventory.change(vg, Lvm::Tag(retag), effect).await
    }

    async fn remove(&self, id: VolumeId, vg: &VgName) -> Result<(), Failed> {
        let Some(located) = self.inventory.locate(id.uid) else {
            return Ok(());
        };
        // Whatever else is to be done to the volume would wait for it in line.
        if self.erasures.under_way(id.uid) {
            return self.erased(&located, id);
        }
        // Left over from an agent that died before a pod had it.
        let device = located.device.clone();
        match self.executor.change(Lvm::Withdraw { device }).await {
            Ok(()) | Err(LvmError::NotFound { .. }) => {}
            Err(error) => return Err(lvm(error)),
        }
        if located.tags.encrypted {
            let device = located.device.clone();
            match self.executor.change(Lvm::Close { device }).await {
                Ok(()) | Err(LvmError::NotFound { .. }) => {}
                Err(error) => return Err(lvm(error)),
            }
        }
        self.erased(&located, id)?;
        if self.pool_of(vg).is_some_and(|pool| pool.erase) {
            self.note_remains(&located).await.map_err(lvm)?;
        } else {
            // What it held will show where it was.
            self.keep_apart(vg).await.map_err(lvm)?;
        }
        let remove = Lvm::Remove {
            vg: vg.clone(),
            lv: located.lv.lv,
        };
        match self.inventory.change_and_read(vg, remove).await {
            Ok(()) | Err(LvmError::NotFound { .. }) => {
                self.erasures.forget(id.uid);
                Ok(())
            }
            Err(error) => Err(lvm(error)),
        }
    }
}

fn message(report: &Report, words: Option<&str>) -> String {
    let because = words.unwrap_or("no reason was given");
    match (report.phase, report.refused) {
        (Phase::Refused, _) => because.to_owned(),
        (Phase::Lost, _) => {
            "its logical volume is gone and with it the data; restore it from a snapshot or a backup, then delete it".into()
        }
        (_, Some(size)) => format!("cannot grow to {size}: {because}"),
        _ => String::new(),
    }
}
