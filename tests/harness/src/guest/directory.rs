//! A guest's files, and how to take a guest apart whatever state it is in.
//!
//! ```text
//! <state>/.guests/<guest>/       a guest of its own
//! <state>/<lab>/guests/<guest>/  a guest of a lab
//!   guest.json                   GuestRecord
//!   initrd root.qcow2 disk-<n>.qcow2 console.log qemu.log monitor session
//!   driver/                      id_ed25519, known_hosts; a guest of a lab uses the lab's
//! ```
//!
//! Every process of a guest (QEMU, ssh) runs under the name [`ARGV0`] and has the guest's directory
//! in its command line: that is how they are found when no record is left.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::name::Name;
use crate::process::{self, ProcessId};
use crate::ssh_keys;
use crate::state::{self, LabDir, StateDir, StateError};
use crate::teardown::{self, TeardownError};

/// What `ps` shows for all processes of guests.
pub(super) const ARGV0: &str = "ingot-guest";

/// What a guest is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct GuestRecord {
    /// Random; tells a guest from a later one of the same name.
    pub(crate) id: String,
    pub(crate) creator: Option<ProcessId>,
    /// Number in its lab, counted with the hosts of the lab.
    pub(crate) index: Option<u8>,
    /// Public SSH host key: type and base64, without a comment.
    pub(crate) host_key: String,
}

/// The directory of one guest.
#[derive(Debug, Clone)]
pub(crate) struct GuestDir {
    path: PathBuf,
    name: Name,
    lab: Option<LabDir>,
}

impl GuestDir {
    pub(crate) fn new(state: &StateDir, lab: Option<LabDir>, name: &Name) -> GuestDir {
        let parent = match &lab {
            None => own_guests(state),
            Some(lab) => lab_guests(lab),
        };
        GuestDir {
            path: parent.join(name.as_str()),
            name: name.clone(),
            lab,
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn name(&self) -> &Name {
        &self.name
    }

    pub(super) fn lab(&self) -> Option<&LabDir> {
        self.lab.as_ref()
    }

    pub(super) fn driver(&self) -> PathBuf {
        match &self.lab {
            None => self.path.join("driver"),
            Some(lab) => lab.driver(),
        }
    }

    pub(super) fn console(&self) -> PathBuf {
        self.path.join("console.log")
    }

    pub(super) fn record(&self) -> Result<Option<GuestRecord>, StateError> {
        state::read_record(&self.path.join("guest.json"))
    }

    pub(super) fn write_record(&self, record: &GuestRecord) -> Result<(), StateError> {
        state::write_record(&self.path.join("guest.json"), record)
    }

    /// Removes everything of the guest, unless a later one has taken its name since.
    pub(super) fn remove(&self, id: &str) -> Result<(), TeardownError> {
        let lock = match &self.lab {
            Some(lab) if lab.path().exists() => Some(lab.state().lock(lab.name())?),
            _ => None,
        };
        // A record that cannot be read does not protect its guest.
        if matches!(self.record(), Ok(Some(record)) if record.id != id) {
            return Ok(());
        }
        kill_below(&self.path)?;
        state::remove_tree(&self.path)?;
        let Some((lab, _lock)) = self.lab.as_ref().zip(lock) else {
            return Ok(());
        };
        match lab.record() {
            // The guest's key may stay in known_hosts until the next change; nothing depends on it.
            Ok(Some(record)) => drop(ssh_keys::write_known_hosts(lab, record.bridges)),
            // The lab was removed while we waited for its lock, which has a file again now.
            Ok(None) if !lab.path().exists() => lab.state().remove_lock(lab.name())?,
            _ => {}
        }
        Ok(())
    }
}

/// Kills every process of every guest whose directory is `dir` or lies below it.
pub(crate) fn kill_below(dir: &Path) -> Result<(), TeardownError> {
    let dir = dir.to_string_lossy();
    let inside = format!("{dir}/");
    let ours = |word: &str| word == dir || word.contains(&inside);
    teardown::kill(process::with_word(ARGV0, ours))
}

/// Where guests of their own live. No lab can have this name.
fn own_guests(state: &StateDir) -> PathBuf {
    state.path().join(".guests")
}

/// Where guests of a lab live.
pub(crate) fn lab_guests(lab: &LabDir) -> PathBuf {
    lab.path().join("guests")
}

/// Number and public host key of every host and guest of a lab.
pub(crate) fn members(lab: &LabDir) -> Result<Vec<(u8, String)>, StateError> {
    let mut members = Vec::new();
    for name in lab.host_names()? {
        let record = lab.host(&name).record()?;
        members.extend(record.map(|record| (record.index, record.host_key)));
    }
    for name in state::directory_names(&lab_guests(lab))? {
        let record = GuestDir::new(lab.state(), Some(lab.clone()), &name).record()?;
        members.extend(record.and_then(|r| Some((r.index?, r.host_key))));
    }
    Ok(members)
}

/// A directory is there a moment before its record; one that stays without belongs to nobody.
fn is_being_made(dir: &GuestDir) -> bool {
    let made = fs::metadata(dir.path()).and_then(|metadata| metadata.modified());
    let age = made.ok().and_then(|time| time.elapsed().ok());
    matches!(dir.record(), Ok(None)) && age.is_none_or(|age| age < Duration::from_secs(60))
}

/// Removes the guests whose creators are gone; says which those were.
pub(super) fn remove_orphans(state: &StateDir) -> Result<Vec<String>, TeardownError> {
    let mut places = vec![None];
    places.extend(state.lab_names()?.iter().map(|lab| Some(state.lab(lab))));
    let mut removed = Vec::new();
    for lab in places {
        let parent = lab.as_ref().map_or_else(|| own_guests(state), lab_guests);
        for name in state::directory_names(&parent)? {
            let dir = GuestDir::new(state, lab.clone(), &name);
            let record = dir.record().ok().flatten();
            let creator = record.as_ref().and_then(|r| r.creator.as_ref());
            if creator.is_some_and(ProcessId::is_alive) || is_being_made(&dir) {
                continue;
            }
            dir.remove(record.as_ref().map_or("", |r| &r.id))?;
            removed.push(dir.path().display().to_string());
        }
    }
    Ok(removed)
}
