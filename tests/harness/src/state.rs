//! What is written down about labs and hosts, and where.
//!
//! The records are the only truth that processes share: the creator, the supervisor of each host,
//! the reaper, and a later `delete` that has to mend what a crash left. Nothing here starts, mounts
//! or configures anything.
//!
//! ```text
//! <state>/                       /var/lib/ingot-lab, or $INGOT_LAB_DIR
//!   .lock-<lab>                  taken for changes of one lab
//!   .guests/, <lab>/guests/      see the module `guest::directory`
//!   <lab>/lab.json               LabRecord
//!   <lab>/net                    the lab's network namespace, bound to a file
//!   <lab>/driver/                id_ed25519, known_hosts
//!   <lab>/hosts/<host>/host.json HostRecord: what the host is
//!   <lab>/hosts/<host>/run.json  RunRecord: what it does now
//!   <lab>/hosts/<host>/{upper,work,root}  layers of its root; var-lib: its /var/lib
//! ```

mod error;
mod files;
mod record;

pub use self::error::StateError;
pub(crate) use self::files::{
    access, create_dir, directory_names, lock_file, read_record, remove_tree, write_file,
    write_record,
};
pub(crate) use self::record::{HostRecord, LabRecord, RunRecord};
pub use self::record::{Lifetime, RootVariant};

use crate::name::Name;
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

const DEFAULT_DIR: &str = "/var/lib/ingot-lab";

/// The directory that holds all labs of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StateDir(PathBuf);

impl StateDir {
    /// `$INGOT_LAB_DIR`, or /var/lib/ingot-lab.
    pub(crate) fn from_env() -> StateDir {
        let dir = std::env::var_os("INGOT_LAB_DIR").filter(|dir| !dir.is_empty());
        StateDir(dir.map_or_else(|| DEFAULT_DIR.into(), PathBuf::from))
    }

    pub(crate) fn at(path: PathBuf) -> StateDir {
        StateDir(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn lab(&self, name: &Name) -> LabDir {
        LabDir {
            path: self.0.join(name.as_str()),
            state: self.clone(),
            name: name.clone(),
        }
    }

    /// Names of all labs that have a directory, broken ones included, sorted.
    pub(crate) fn lab_names(&self) -> Result<Vec<Name>, StateError> {
        directory_names(&self.0)
    }

    /// Prefix of all cgroups of this state directory. Two state directories of one machine must
    /// never clean up each other's hosts, so the prefix depends on the path.
    pub(crate) fn cgroup_prefix(&self) -> String {
        let digest = Sha256::digest(self.0.as_os_str().as_encoded_bytes());
        let hex: String = digest.iter().take(4).map(|b| format!("{b:02x}")).collect();
        format!("ingot-lab-{hex}.")
    }

    /// Waits for and takes the lock for changes of one lab; dropping the file releases it.
    pub(crate) fn lock(&self, lab: &Name) -> Result<File, StateError> {
        create_dir(&self.0)?;
        let path = self.lock_path(lab);
        loop {
            let file = lock_file(&path)?;
            // Whoever deleted the lab removed the lock's file while we waited for it.
            let held = file.metadata().map_err(|e| access("look at", &path, e))?;
            if fs::metadata(&path).is_ok_and(|found| found.ino() == held.ino()) {
                return Ok(file);
            }
        }
    }

    /// Removes the lock's file. The caller holds the lock, and the lab is gone.
    pub(crate) fn remove_lock(&self, lab: &Name) -> Result<(), StateError> {
        let path = self.lock_path(lab);
        match fs::remove_file(&path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(access("remove", &path, e)),
            _ => Ok(()),
        }
    }

    fn lock_path(&self, lab: &Name) -> PathBuf {
        self.0.join(format!(".lock-{lab}"))
    }
}

/// The directory of one lab.
#[derive(Debug, Clone)]
pub(crate) struct LabDir {
    state: StateDir,
    name: Name,
    path: PathBuf,
}

impl LabDir {
    pub(crate) fn state(&self) -> &StateDir {
        &self.state
    }

    pub(crate) fn name(&self) -> &Name {
        &self.name
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn network(&self) -> PathBuf {
        self.path.join("net")
    }

    pub(crate) fn driver(&self) -> PathBuf {
        self.path.join("driver")
    }

    pub(crate) fn hosts(&self) -> PathBuf {
        self.path.join("hosts")
    }

    pub(crate) fn host(&self, name: &Name) -> HostDir {
        HostDir {
            path: self.hosts().join(name.as_str()),
            lab: self.clone(),
            name: name.clone(),
        }
    }

    /// Names of all hosts that have a directory, sorted.
    pub(crate) fn host_names(&self) -> Result<Vec<Name>, StateError> {
        directory_names(&self.hosts())
    }

    pub(crate) fn record(&self) -> Result<Option<LabRecord>, StateError> {
        read_record(&self.path.join("lab.json"))
    }

    pub(crate) fn write_record(&self, record: &LabRecord) -> Result<(), StateError> {
        write_record(&self.path.join("lab.json"), record)
    }
}

/// The directory of one host.
#[derive(Debug, Clone)]
pub(crate) struct HostDir {
    lab: LabDir,
    name: Name,
    path: PathBuf,
}

impl HostDir {
    pub(crate) fn lab(&self) -> &LabDir {
        &self.lab
    }

    pub(crate) fn name(&self) -> &Name {
        &self.name
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What the host changed on its root.
    pub(crate) fn upper(&self) -> PathBuf {
        self.path.join("upper")
    }

    pub(crate) fn work(&self) -> PathBuf {
        self.path.join("work")
    }

    /// Where the host's root is put together, inside the host's own mount namespace.
    pub(crate) fn merged(&self) -> PathBuf {
        self.path.join("root")
    }

    pub(crate) fn var_lib(&self) -> PathBuf {
        self.path.join("var-lib")
    }

    /// What PID 1 and the host's supervisor print.
    pub(crate) fn console(&self) -> PathBuf {
        self.path.join("console.log")
    }

    pub(crate) fn cgroup_name(&self) -> String {
        format!(
            "{}{}.{}",
            self.lab.state.cgroup_prefix(),
            self.lab.name,
            self.name
        )
    }

    pub(crate) fn record(&self) -> Result<Option<HostRecord>, StateError> {
        read_record(&self.path.join("host.json"))
    }

    pub(crate) fn write_record(&self, record: &HostRecord) -> Result<(), StateError> {
        write_record(&self.path.join("host.json"), record)
    }

    pub(crate) fn run(&self) -> Result<RunRecord, StateError> {
        Ok(read_record(&self.path.join("run.json"))?.unwrap_or_default())
    }

    pub(crate) fn write_run(&self, record: &RunRecord) -> Result<(), StateError> {
        write_record(&self.path.join("run.json"), record)
    }
}
