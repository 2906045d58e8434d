//! Disks on which something may show that a deleted volume held: of a volume with a missing disk only
//! that is overwritten which can be reached. LVM lets no disk be marked while one of its group is missing,
//! so it is written down on the node, one empty file each, until the mark is taken off.

use super::formatted::FormatRecords;
use super::{Agent, Located};
use ingot_lvm::{Command, FreeSpace, Group, LvmError, Pv};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What the names of the files begin with; LVM's identity of the disk follows.
const PREFIX: &str = "unerased-";

/// The disks of a node that show more than their marks say.
#[derive(Debug, Default)]
pub(super) struct Remains {
    /// Without one it is known as long as the agent lives.
    folder: Option<PathBuf>,
    known: Mutex<BTreeSet<String>>,
}

impl Remains {
    /// Keeps them beside the records of filesystems.
    pub(super) fn beside(records: &FormatRecords) -> Self {
        let folder = records.folder().map(ToOwned::to_owned);
        let entries = folder.as_ref().and_then(|folder| fs::read_dir(folder).ok());
        let names = entries.into_iter().flatten().flatten();
        let known = names.filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            name.strip_prefix(PREFIX).map(str::to_owned)
        });
        Self {
            known: Mutex::new(known.collect()),
            folder,
        }
    }

    fn known(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Those disks of a group.
    fn of<'a>(&self, group: &'a Group) -> Vec<&'a Pv> {
        let known = self.known();
        let pvs = group.pvs.iter();
        pvs.filter(|pv| known.contains(&pv.uuid)).collect()
    }

    /// Writes down, on the disk, that something may show there.
    fn note(&self, pvs: &[&Pv]) -> io::Result<()> {
        if let Some(folder) = &self.folder {
            for pv in pvs {
                File::create(folder.join(format!("{PREFIX}{}", pv.uuid)))?.sync_all()?;
            }
            File::open(folder)?.sync_all()?;
        }
        self.known().extend(pvs.iter().map(|pv| pv.uuid.clone()));
        Ok(())
    }

    fn forget(&self, uuid: &str) {
        if let Some(folder) = &self.folder
            && let Err(error) = fs::remove_file(folder.join(format!("{PREFIX}{uuid}")))
            && error.kind() != ErrorKind::NotFound
        {
            // It is overwritten once more; that does no harm.
            eprintln!(
                "disk {uuid}: its record is left in {}: {error}",
                folder.display()
            );
        }
        self.known().remove(uuid);
    }
}

impl Agent {
    /// Writes down where a volume shows that is about to be given back.
    pub(super) async fn note_remains(&self, located: &Located) -> Result<(), LvmError> {
        // New chunks of a thin pool are zeroed.
        if located.lv.pool.is_some() {
            return Ok(());
        }
        // A disk may have gone while it was overwritten.
        let group = self.inventory.refresh(&located.device.vg).await?;
        let lv = group.lv(&located.lv.lv).unwrap_or(&located.lv);
        // A leg that was away for a moment takes no writes until it is refreshed.
        let behind = lv
            .health
            .as_ref()
            .is_some_and(|health| health.contains("refresh"));
        if !lv.partial() && !behind {
            return Ok(());
        }
        let shows = |pv: &&Pv| pv.missing || !lv.readable || behind;
        let pvs: Vec<&Pv> = group.pvs.iter().filter(shows).collect();
        self.remains.note(&pvs).map_err(|error| LvmError::Failed {
            command: format!("record of what {} leaves", located.device),
            reason: error.to_string(),
        })
    }

    /// Takes the marks off those disks that show something, as soon as LVM lets it be done. Whoever calls
    /// holds the gate.
    pub(super) async fn unmark_remains(&self, group: Group) -> Result<Group, LvmError> {
        let vg = &group.vg.clone();
        if self.remains.of(&group).is_empty() {
            return Ok(group);
        }
        // What was missing may be back, and something be made there.
        let group = match group.pvs.iter().any(|pv| pv.missing) {
            true => self.inventory.refresh(vg).await?,
            false => group,
        };
        if group.pvs.iter().any(|pv| pv.missing) {
            return Ok(group);
        }
        for pv in self.remains.of(&group) {
            // What is being overwritten does not contain what was given back since.
            if let Some((_, lv)) = group.reserves().find(|(of, _)| of.uuid == pv.uuid) {
                let remove = Command::Remove {
                    vg: vg.clone(),
                    lv: lv.lv.clone(),
                };
                let _turn = self.reserves.turn(vg).await;
                self.reserves.begin_anew();
                match self.inventory.change_and_read(vg, remove).await {
                    Ok(()) | Err(LvmError::NotFound { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
            if pv.erased {
                let unmark = Command::MarkDisk {
                    vg: vg.clone(),
                    device: pv.device.clone(),
                    free: FreeSpace::Unknown,
                };
                self.inventory.change_and_read(vg, unmark).await?;
            }
            self.remains.forget(&pv.uuid);
        }
        self.inventory.group(vg).await
    }
}
