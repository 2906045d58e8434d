//! Volumes whose filesystem is made and whose tag does not say so yet: one empty file each, in a
//! directory that outlives the agent and the power. To write it takes a millisecond, to change the
//! metadata of a group as long as to make a volume; so a pod waits for the one, and the tag follows.

use super::Agent;
use ingot_lvm::Tags;
use ingot_volume_brain::{FilesystemTag, VolumeUid};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The records of a node.
#[derive(Debug, Default)]
pub struct FormatRecords {
    /// Without one every tag is written at once.
    folder: Option<PathBuf>,
    known: Mutex<BTreeSet<VolumeUid>>,
}

impl FormatRecords {
    /// The records in a directory, which is made if it is not there.
    ///
    /// # Errors
    /// When it cannot be made or read.
    pub fn within(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let mut known = BTreeSet::new();
        for entry in fs::read_dir(folder)? {
            let name = entry?.file_name();
            // Whatever else is there is not ours.
            let uid = name
                .to_str()
                .and_then(|name| name.parse::<VolumeUid>().ok());
            known.extend(uid);
        }
        Ok(Self {
            folder: Some(folder.to_owned()),
            known: Mutex::new(known),
        })
    }

    /// Where they are, if they are kept.
    pub(super) fn folder(&self) -> Option<&Path> {
        self.folder.as_deref()
    }

    fn known(&self) -> MutexGuard<'_, BTreeSet<VolumeUid>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes down, on the disk, that a volume's filesystem is made. Says no where nothing is kept.
    pub(crate) fn note(&self, uid: VolumeUid) -> io::Result<bool> {
        let Some(folder) = &self.folder else {
            return Ok(false);
        };
        File::create(folder.join(uid.to_string()))?.sync_all()?;
        File::open(folder)?.sync_all()?;
        self.known().insert(uid);
        Ok(true)
    }

    /// What is known of a volume: by its tags, and by a record that is ahead of them.
    pub(crate) fn ahead(&self, mut tags: Tags) -> Tags {
        if self.known().contains(&tags.uid) {
            tags.filesystem = FilesystemTag::Formatted;
        }
        tags
    }

    /// The tag says it now, or the volume is no more. A record that comes back after a power cut says
    /// nothing that is wrong.
    pub(super) fn forget(&self, uid: VolumeUid) {
        let Some(folder) = &self.folder else { return };
        match fs::remove_file(folder.join(uid.to_string())) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                eprintln!(
                    "volume {uid}: its record is left in {}: {error}",
                    folder.display()
                );
            }
            _ => {
                self.known().remove(&uid);
            }
        }
    }
}

impl Agent {
    /// Lets the tags follow the records. What cannot be written now is tried again with the next call.
    pub async fn tag_formatted(&self) {
        let behind: Vec<VolumeUid> = self.formats.known().iter().copied().collect();
        for uid in behind {
            // Its disk may come back; a volume that is deleted takes its record along.
            if self.inventory.locate(uid).is_none() {
                continue;
            }
            let actor = self.actor(uid);
            // A pod may be waiting for one that is at work.
            let Ok(_turn) = actor.try_lock() else {
                continue;
            };
            let Some(located) = self.inventory.locate(uid) else {
                continue;
            };
            let tagged = match located.tags.filesystem {
                FilesystemTag::Formatted => Ok(()),
                FilesystemTag::Unformatted | FilesystemTag::Formatting => {
                    let formatted = |tags: &mut Tags| tags.filesystem = FilesystemTag::Formatted;
                    self.retag(&located, formatted).await
                }
            };
            match tagged {
                Ok(()) => self.formats.forget(uid),
                Err(error) => eprintln!("{}: its tag is behind: {error}", located.device),
            }
        }
    }
}
