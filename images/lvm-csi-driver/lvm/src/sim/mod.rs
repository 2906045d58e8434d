//! A node's storage in memory, with LVM's rules: extents, thin pools, tags, mounts, encryption.
//!
//! It keeps state, so a driver that dies finds what its predecessor left; with a file it does so
//! across processes. Directories are really made, so that callers who look at them see them.

mod allocate;
mod content;
mod devices;
mod disks;
mod fault;
mod mounts;
mod ranges;
mod spec;
mod state;
mod thin;
mod volumes;

pub use fault::{Faulty, Fuse, Passage};
pub use spec::{SimDisk, SimGroup};

use crate::backend::{Backend, Reply};
use crate::command::{Command, Limits};
use crate::device::{Device, Filesystem};
use crate::error::LvmError;
use ingot_volume_brain::{Bytes, LvName, VgName};
use state::State;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The simulated node.
#[derive(Debug)]
pub struct Sim {
    state: Mutex<State>,
    file: Option<PathBuf>,
}

impl Sim {
    /// A node with those volume groups or, where they are still to be made, their disks.
    pub fn new(groups: impl IntoIterator<Item = SimGroup>) -> Self {
        Self {
            state: Mutex::new(State::new(groups)),
            file: None,
        }
    }

    /// A node whose state is kept in a file: what is there is taken up, else `groups` is put there.
    pub fn in_file(
        file: PathBuf,
        groups: impl IntoIterator<Item = SimGroup>,
    ) -> Result<Self, LvmError> {
        let failed = |reason: String| LvmError::Failed {
            command: format!("simulator in {}", file.display()),
            reason,
        };
        let state = match std::fs::read(&file) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|e| failed(e.to_string()))?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => State::new(groups),
            Err(error) => return Err(failed(error.to_string())),
        };
        Ok(Self {
            state: Mutex::new(state),
            file: Some(file),
        })
    }

    /// May empty those disks when they join a group.
    pub fn with_wipe(self, disks: impl IntoIterator<Item = String>) -> Self {
        self.state().wipe.extend(disks);
        self
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Power cut and start: nothing is mounted, opened or active.
    pub fn reboot(&self) {
        self.state().reboot();
    }

    /// A write by a pod, to a mounted filesystem: name and content of a file.
    pub fn write(&self, device: &Device, name: &str, content: &str) -> Result<(), LvmError> {
        self.state().write(device, name, content)
    }

    /// What a pod would read; nothing, if the file is not there.
    pub fn read(&self, device: &Device, name: &str) -> Option<String> {
        self.state().read(device, name)
    }

    /// What somebody who reads the device itself finds of the volumes that were there before.
    pub fn remains(&self, device: &Device) -> Vec<String> {
        self.state().remains(device)
    }

    /// Takes that much of the pool for a thin volume, as writes would.
    pub fn fill(&self, vg: &VgName, lv: &LvName, written: Bytes) -> Result<(), LvmError> {
        self.state().fill(vg, lv, written)
    }

    /// A write to a part of a thin volume, for those who ask which blocks differ.
    pub fn write_blocks(&self, vg: &VgName, lv: &LvName, from: Bytes, to: Bytes) {
        self.state().write_blocks(vg, lv, from, to);
    }

    /// Something else, put on a device by somebody else.
    pub fn scribble(&self, device: &Device, signature: &str) -> Result<(), LvmError> {
        self.state().scribble(device, signature)
    }

    /// How often a filesystem was made on it, all attempts counted.
    pub fn formatted(&self, vg: &VgName, lv: &LvName) -> u32 {
        self.state().formatted(vg, lv)
    }

    /// A volume disappears, as after a mistake of a person or a failed disk.
    pub fn lose(&self, vg: &VgName, lv: &LvName) {
        self.state().lose(vg, lv);
    }

    /// The group cannot be seen any more, or again.
    pub fn hide(&self, vg: &VgName, hidden: bool) {
        self.state().hide(vg, hidden);
    }

    /// A disk is gone, or back.
    pub fn unplug(&self, vg: &VgName, disk: usize, missing: bool) {
        self.state().unplug(vg, disk, missing);
    }

    /// LVM finds that wrong with a volume although all of its disks are there, such as "mismatches exist".
    pub fn ail(&self, vg: &VgName, lv: &LvName, health: &str) {
        if let Ok(volume) = self.state().volume(vg, lv) {
            volume.ails = Some(health.to_owned());
        }
    }

    /// Checksums of a volume with integrity tell so often that what lies on a disk is not what was written.
    pub fn rot(&self, vg: &VgName, lv: &LvName, disk: usize, times: u64) {
        if let Ok(volume) = self.state().volume(vg, lv)
            && volume.layout.integrity()
        {
            *volume.rotten.entry(disk).or_default() += times;
        }
    }

    /// A disk takes no writes any more, or again.
    pub fn protect(&self, vg: &VgName, disk: &str, read_only: bool) {
        if let Some(disk) = self.state().disk(vg, disk) {
            disk.read_only = read_only;
        }
    }

    /// A new disk appears.
    pub fn plug(&self, vg: &VgName, disk: SimDisk) {
        self.state().plug(vg, &disk);
    }

    /// Puts something on a disk that is in no group, for blkid to see, or nothing.
    pub fn put_on_disk(&self, vg: &VgName, disk: &str, signature: Option<&str>) {
        if let Some(disk) = self.state().disk(vg, disk) {
            disk.holds = signature.map(str::to_owned);
        }
    }

    /// Lets a disk show that, wherever it was not overwritten, to those who read a device itself.
    pub fn soil(&self, vg: &VgName, disk: &str, past: &str) {
        if let Some(disk) = self.state().disk(vg, disk) {
            disk.past.push(past.into());
        }
    }

    /// The pods that stand still now.
    pub fn still(&self) -> BTreeSet<String> {
        self.state().still.clone()
    }

    /// The pods that were held still, for each time that snapshots were taken together.
    pub fn held(&self) -> Vec<BTreeSet<String>> {
        self.state().held.clone()
    }

    /// Kind and size of the filesystem on it.
    pub fn filesystem(&self, device: &Device) -> Option<(Filesystem, Bytes)> {
        self.state().filesystem(device)
    }

    /// Does the half of a command that a power cut in its middle would leave.
    pub(crate) fn tear(&self, command: &Command) {
        let mut state = self.state();
        state.tear(command);
        self.save(&state);
    }

    /// The limits in force: volume, pod and how fast.
    pub fn limits(&self) -> Vec<(LvName, String, Limits)> {
        self.state().limits.clone()
    }

    fn save(&self, state: &State) {
        let Some(file) = &self.file else { return };
        let temporary = file.with_extension("new");
        let written = serde_json::to_vec(state)
            .map_err(std::io::Error::from)
            .and_then(|bytes| std::fs::write(&temporary, bytes))
            .and_then(|()| std::fs::rename(&temporary, file));
        if let Err(error) = written {
            // A simulated node that forgets is worse than one that stops.
            panic!(
                "simulator cannot keep its state in {}: {error}",
                file.display()
            );
        }
    }
}

impl Backend for Sim {
    fn run(&self, command: &Command) -> Result<Reply, LvmError> {
        let mut state = self.state();
        let reply = state.run(command);
        if command.changes() {
            self.save(&state);
        }
        reply
    }
}
