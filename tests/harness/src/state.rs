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

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::name::Name;
use crate::process::ProcessId;

const DEFAULT_DIR: &str = "/var/lib/ingot-lab";

/// Format number of every record. Records live as long as a lab, so a program of another format
/// refuses them and says how to start over.
const FORMAT: u32 = 1;

/// Reading or writing the records failed.
#[derive(Debug, Error)]
pub enum StateError {
    /// A file or directory could not be read, written, locked or removed.
    #[error("cannot {action} {}", path.display())]
    Access {
        /// What was tried.
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// A record is not what this program writes.
    #[error(
        "{} is not a record of this version; delete the lab and create it again \
         (`ingot sandbox delete --all` removes whatever is there)",
        path.display()
    )]
    Record {
        /// The record's file.
        path: PathBuf,
        /// What was wrong with it.
        source: serde_json::Error,
    },
    /// A record is of another format.
    #[error(
        "{} has format {found}, this program knows {FORMAT}; delete the lab with the program that \
         made it, or with `ingot sandbox delete --all`",
        path.display()
    )]
    Format {
        /// The record's file.
        path: PathBuf,
        /// Its format number.
        found: u32,
    },
}

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

/// How long a lab lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Lifetime {
    /// Until the creating process ends, however it ends. For tests.
    Process,
    /// Until it is deleted. For sandboxes.
    Kept,
}

/// What a lab is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct LabRecord {
    /// Random; tells a lab from a later one of the same name.
    pub(crate) id: String,
    pub(crate) lifetime: Lifetime,
    pub(crate) bridges: u8,
    /// Seconds since 1970.
    pub(crate) created: u64,
    pub(crate) creator: Option<ProcessId>,
}

/// What is installed on a fresh host besides the minimum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum RootVariant {
    /// systemd, sshd and iproute2; root logs in with the lab's key.
    Minimal,
    /// Also sudo, `admin` (password [`crate::ADMIN_PASSWORD`], asked for by sudo) and `deploy` (sudo
    /// asks for nothing); both log in with the lab's key.
    Sudo,
}

/// What a host is; unchanged by boots.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct HostRecord {
    /// Number in the lab from 1: the last part of the addresses and MACs.
    pub(crate) index: u8,
    pub(crate) variant: RootVariant,
    /// The read-only tree below the host's root.
    pub(crate) base: PathBuf,
    pub(crate) cpus: Option<u32>,
    /// Bytes.
    pub(crate) memory: Option<u64>,
    /// Public SSH host key: type and base64, without a comment.
    pub(crate) host_key: String,
    /// Whether all cables are pulled.
    pub(crate) unplugged: bool,
}

/// What a host does now; written by its supervisor.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct RunRecord {
    pub(crate) supervisor: Option<ProcessId>,
    /// PID 1 of the host, as the machine numbers it.
    pub(crate) init: Option<ProcessId>,
    /// Boots since the host exists.
    pub(crate) boots: u64,
    /// Why the host is off, if the last boot or run failed.
    pub(crate) failure: Option<String>,
    /// Cgroups made for the host, written before they are made.
    pub(crate) cgroups: Vec<PathBuf>,
}

#[derive(Serialize, Deserialize)]
struct Envelope<T> {
    format: u32,
    #[serde(flatten)]
    record: T,
}

#[derive(Deserialize)]
struct FormatOnly {
    format: u32,
}

pub(crate) fn read_record<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, StateError> {
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(access("read", path, source)),
    };
    let malformed = |source| StateError::Record {
        path: path.to_owned(),
        source,
    };
    let FormatOnly { format } = serde_json::from_slice(&text).map_err(malformed)?;
    if format != FORMAT {
        return Err(StateError::Format {
            path: path.to_owned(),
            found: format,
        });
    }
    let envelope: Envelope<T> = serde_json::from_slice(&text).map_err(malformed)?;
    Ok(Some(envelope.record))
}

pub(crate) fn write_record<T: Serialize>(path: &Path, record: &T) -> Result<(), StateError> {
    let text = serde_json::to_vec_pretty(&Envelope {
        format: FORMAT,
        record,
    })
    .map_err(|source| StateError::Record {
        path: path.to_owned(),
        source,
    })?;
    // Readers are other processes, so a record appears whole or not at all.
    let partial = path.with_extension(format!("partial-{}", std::process::id()));
    fs::write(&partial, text).map_err(|e| access("write", &partial, e))?;
    fs::rename(&partial, path).map_err(|e| access("replace", path, e))
}

pub(crate) fn directory_names(dir: &Path) -> Result<Vec<Name>, StateError> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(access("list", dir, source)),
    };
    let mut names: Vec<Name> = entries
        .flatten()
        .filter(|entry| entry.path().is_dir())
        .filter_map(|entry| Name::try_from(entry.file_name().to_str()?).ok())
        .collect();
    names.sort();
    Ok(names)
}

pub(crate) fn create_dir(path: &Path) -> Result<(), StateError> {
    fs::create_dir_all(path).map_err(|e| access("create directory", path, e))
}

pub(crate) fn write_file(path: &Path, content: &str) -> Result<(), StateError> {
    fs::write(path, content).map_err(|e| access("write", path, e))
}

/// Removes a tree; one that is not there is fine.
pub(crate) fn remove_tree(path: &Path) -> Result<(), StateError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(access("remove", path, error)),
        _ => Ok(()),
    }
}

/// Opens or creates a lock file and waits for its exclusive lock.
pub(crate) fn lock_file(path: &Path) -> Result<File, StateError> {
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .map_err(|e| access("open", path, e))?;
    file.lock().map_err(|e| access("lock", path, e))?;
    Ok(file)
}

pub(crate) fn access(action: &'static str, path: &Path, source: io::Error) -> StateError {
    StateError::Access {
        action,
        path: path.to_owned(),
        source,
    }
}
