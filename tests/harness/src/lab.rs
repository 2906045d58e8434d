//! A lab: hosts, the network between them, and the keys of whoever drives them.

mod error;
mod summary;

pub use self::error::LabError;
pub use self::summary::LabSummary;

use self::summary::summary;
use crate::base_root;
use crate::guest;
use crate::host::{self, Host};
use crate::name::Name;
use crate::network::{self, MAX_BRIDGES, MAX_HOSTS};
use crate::process::ProcessId;
use crate::reaper::Reaper;
use crate::requirements::{self, Missing};
use crate::ssh_keys;
use crate::state::{self, HostRecord, LabDir, LabRecord, Lifetime, RootVariant, StateDir};
use crate::teardown;
use std::path::PathBuf;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

/// What a lab shall be.
#[derive(Debug, Clone)]
pub struct LabSpec {
    /// Its name, unique on the machine.
    pub name: String,
    /// When it goes away.
    pub lifetime: Lifetime,
    /// Networks every host is connected to: 1 and more (control plane, workload, ...).
    pub bridges: u8,
}

/// What a host shall be.
#[derive(Debug, Clone)]
pub struct HostSpec {
    /// Its name and host name, unique in the lab.
    pub name: String,
    /// What is installed.
    pub variant: RootVariant,
    /// Processors' worth of time; all there are if absent. The host still sees all processors.
    pub cpus: Option<u32>,
    /// Bytes of memory; all there is if absent. /proc/meminfo still shows the machine's.
    pub memory: Option<u64>,
}

/// A lab. One made with [`Lifetime::Process`] is removed when the value is dropped.
#[derive(Debug)]
pub struct Lab {
    dir: LabDir,
    record: LabRecord,
    /// Present in the process that made a lab of [`Lifetime::Process`].
    reaper: Option<Reaper>,
}

impl Lab {
    /// What this machine lacks for a lab; empty if nothing.
    pub fn requirements() -> Vec<Missing> {
        requirements::missing()
    }

    /// Makes a lab without hosts. `progress` is told about steps that take a while.
    pub fn create(spec: LabSpec, progress: &dyn Fn(&str)) -> Result<Lab, LabError> {
        let name = Name::try_from(spec.name)?;
        if spec.bridges == 0 || spec.bridges > MAX_BRIDGES {
            return Err(LabError::Bridges(spec.bridges));
        }
        let missing = Lab::requirements();
        if !missing.is_empty() {
            return Err(LabError::Requirements(missing));
        }
        let dir = StateDir::from_env().lab(&name);
        let _lock = dir.state().lock(&name)?;
        if dir.path().exists() {
            return Err(LabError::Exists(name));
        }
        progress(&format!("making lab {name}"));
        let record = LabRecord {
            id: host::random_id()?,
            lifetime: spec.lifetime,
            bridges: spec.bridges,
            created: SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |d| d.as_secs()),
            creator: ProcessId::own(),
        };
        state::create_dir(dir.path())?;
        dir.write_record(&record)?;
        // From here on a crash leaves something behind, so the reaper comes before the rest.
        let reaper = match spec.lifetime {
            Lifetime::Process => Some(Reaper::start(&dir, &record.id)?),
            Lifetime::Kept => None,
        };
        let made = make(&dir, &record);
        let lab = Lab {
            dir,
            record,
            reaper,
        };
        if let Err(error) = made {
            // The lock is held here, and `drop` would wait for it.
            let _ = teardown::teardown(&lab.dir);
            lab.forget();
            return Err(error);
        }
        Ok(lab)
    }

    /// A lab that exists. Dropping this value never removes it.
    pub fn open(name: &str) -> Result<Lab, LabError> {
        let name = Name::try_from(name)?;
        let dir = StateDir::from_env().lab(&name);
        if !dir.path().exists() {
            return Err(LabError::Unknown(name));
        }
        let _lock = dir.state().lock(&name)?;
        let record = dir.record()?.ok_or(LabError::Unknown(name))?;
        // A machine that rebooted has the files of its labs but not their networks.
        if !network::exists(&dir.network()) {
            network::create(&dir.network(), record.bridges)?;
        }
        Ok(Lab {
            dir,
            record,
            reaper: None,
        })
    }

    /// All labs of this machine, broken ones included, by name.
    pub fn list() -> Result<Vec<LabSummary>, LabError> {
        let state = StateDir::from_env();
        Ok(teardown::remnants(&state)?
            .iter()
            .map(|name| summary(&state.lab(name)))
            .collect())
    }

    /// Removes the lab and everything on its hosts.
    pub fn delete(self) -> Result<(), LabError> {
        let result = delete_own(&self.dir, &self.record);
        if result.is_ok() {
            self.forget();
        }
        result
    }

    /// Removes the lab of this name, also one whose records are broken.
    pub fn delete_named(name: &str) -> Result<(), LabError> {
        let name = Name::try_from(name)?;
        let state = StateDir::from_env();
        if !teardown::remnants(&state)?.contains(&name) {
            return Err(LabError::Unknown(name));
        }
        delete(&state.lab(&name))
    }

    /// Removes every lab of this machine and whatever crashes have left of others. Tries all, and
    /// returns the first thing that would not go. Says which labs it removed.
    pub fn delete_all() -> Result<Vec<String>, LabError> {
        let state = StateDir::from_env();
        let (mut removed, mut first) = (Vec::new(), None);
        for name in teardown::remnants(&state)? {
            match delete(&state.lab(&name)) {
                Ok(()) => removed.push(name.to_string()),
                Err(error) => first = first.or(Some(error)),
            }
        }
        first.map_or(Ok(removed), Err)
    }

    /// The lab's name.
    pub fn name(&self) -> &str {
        self.dir.name().as_str()
    }

    /// Adds a host and boots it; returns when sshd answers. Hosts may be added by several threads at
    /// once, see [`Lab::add_hosts`]. One that does not boot stays, for a look at its console.
    pub fn add_host(&self, spec: HostSpec) -> Result<Host, LabError> {
        self.add_host_with(spec, &|_| {})
    }

    /// As [`Lab::add_host`], telling `progress` about steps that take a while.
    pub fn add_host_with(&self, spec: HostSpec, progress: &dyn Fn(&str)) -> Result<Host, LabError> {
        let name = Name::try_from(spec.name.clone())?;
        let base = base_root::get(spec.variant, progress)?;
        progress(&format!("booting host {name}"));
        let host = self.install_host(&name, spec, base)?;
        host.power_on()?;
        Ok(host)
    }

    /// Adds and boots several hosts at once; the first failure is returned when all have ended.
    pub fn add_hosts(
        &self,
        specs: Vec<HostSpec>,
        progress: &(dyn Fn(&str) + Sync),
    ) -> Result<Vec<Host>, LabError> {
        std::thread::scope(|scope| {
            let boots: Vec<_> = specs
                .into_iter()
                .map(|spec| scope.spawn(move || self.add_host_with(spec, progress)))
                .collect();
            boots
                .into_iter()
                .map(|boot| {
                    boot.join()
                        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
                })
                // Not `collect` into a Result at once: that would leave with the others running.
                .collect::<Vec<_>>()
                .into_iter()
                .collect()
        })
    }

    /// All hosts, by name.
    pub fn hosts(&self) -> Result<Vec<Host>, LabError> {
        let mut hosts = Vec::new();
        for name in self.dir.host_names()? {
            let dir = self.dir.host(&name);
            // One that is being added has a directory before it has a record.
            if let Some(record) = dir.record()? {
                hosts.push(Host::new(dir, &record, &self.record));
            }
        }
        Ok(hosts)
    }

    /// The host of this name.
    pub fn host(&self, name: &str) -> Result<Host, LabError> {
        let name = Name::try_from(name)?;
        let dir = self.dir.host(&name);
        match dir.record()? {
            Some(record) => Ok(Host::new(dir, &record, &self.record)),
            None => Err(LabError::UnknownHost {
                lab: self.dir.name().clone(),
                host: name,
            }),
        }
    }

    /// Makes `command` run in the lab's network, where the hosts' addresses are reachable.
    pub fn enter(&self, command: &mut Command) -> Result<(), LabError> {
        Ok(network::enter(&self.dir.network(), command)?)
    }

    /// Runs `work` on a thread that is in the lab's network. Sockets made by it stay there.
    pub fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T, LabError> {
        Ok(network::inside(&self.dir.network(), work)?)
    }

    /// A directory for whoever drives the hosts: the private key `id_ed25519` (mode 0600), which all
    /// hosts accept, and `known_hosts` with the keys of all hosts. Removed with the lab.
    pub fn driver_dir(&self) -> PathBuf {
        self.dir.driver()
    }

    fn install_host(&self, name: &Name, spec: HostSpec, base: PathBuf) -> Result<Host, LabError> {
        if !self.dir.path().exists() {
            return Err(LabError::Unknown(self.dir.name().clone()));
        }
        let _lock = self.dir.state().lock(self.dir.name())?;
        let dir = self.dir.host(name);
        if dir.path().exists() {
            let lab = self.dir.name().clone();
            return Err(LabError::HostExists {
                lab,
                host: name.clone(),
            });
        }
        let index = self.free_index()?;
        let mut record = HostRecord {
            index,
            variant: spec.variant,
            base,
            cpus: spec.cpus,
            memory: spec.memory,
            host_key: String::new(),
            unplugged: false,
        };
        state::create_dir(dir.path())?;
        record.host_key = host::install(&dir, &record, None)?;
        dir.write_record(&record)?;
        ssh_keys::write_known_hosts(&self.dir, self.record.bridges)?;
        Ok(Host::new(dir, &record, &self.record))
    }

    /// The first number that no host and no guest has. The caller holds the lab's lock.
    pub(crate) fn free_index(&self) -> Result<u8, LabError> {
        let members = guest::members(&self.dir)?;
        (1..=MAX_HOSTS)
            .find(|index| members.iter().all(|(taken, _)| taken != index))
            .ok_or_else(|| LabError::Full(self.dir.name().clone()))
    }

    pub(crate) fn dir(&self) -> &LabDir {
        &self.dir
    }

    pub(crate) fn bridges(&self) -> u8 {
        self.record.bridges
    }

    /// The lab is gone; nothing is left for `drop` or the reaper to do.
    fn forget(mut self) {
        if let Some(reaper) = self.reaper.take() {
            reaper.dismiss();
        }
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let Some(reaper) = self.reaper.take() else {
            return;
        };
        // If this fails, the reaper tries again by itself when its pipe closes.
        if delete_own(&self.dir, &self.record).is_ok() {
            reaper.dismiss();
        }
    }
}

/// What a lab has besides its record and its hosts.
fn make(dir: &LabDir, record: &LabRecord) -> Result<(), LabError> {
    state::create_dir(&dir.hosts())?;
    state::create_dir(&dir.driver())?;
    ssh_keys::generate(&dir.driver().join("id_ed25519"))?;
    ssh_keys::write_known_hosts(dir, record.bridges)?;
    network::create(&dir.network(), record.bridges)?;
    Ok(())
}

fn delete(dir: &LabDir) -> Result<(), LabError> {
    let _lock = dir.state().lock(dir.name())?;
    teardown::teardown(dir).map_err(|source| LabError::Teardown {
        lab: dir.name().clone(),
        source,
    })
}

/// Deletes the lab, unless it is gone and another one has taken its name since.
fn delete_own(dir: &LabDir, own: &LabRecord) -> Result<(), LabError> {
    let _lock = dir.state().lock(dir.name())?;
    if let Ok(Some(record)) = dir.record()
        && record.id != own.id
    {
        return Ok(());
    }
    teardown::teardown(dir).map_err(|source| LabError::Teardown {
        lab: dir.name().clone(),
        source,
    })
}
