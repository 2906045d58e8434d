//! A lab: hosts, the network between them, and the keys of whoever drives them.

use std::path::PathBuf;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use thiserror::Error;

use crate::base_root::{self, BaseRootError};
use crate::guest;
use crate::host::{self, Host, HostError};
use crate::internal::InternalError;
use crate::name::{Name, NameError};
use crate::network::{self, MAX_BRIDGES, MAX_HOSTS, NetworkError};
use crate::process::ProcessId;
use crate::reaper::Reaper;
use crate::requirements::{self, Missing};
use crate::ssh_keys::{self, KeyError};
use crate::state::{
    self, HostRecord, LabDir, LabRecord, Lifetime, RootVariant, StateDir, StateError,
};
use crate::teardown::{self, TeardownError};

/// A lab could not be made, found, changed or removed.
#[derive(Debug, Error)]
pub enum LabError {
    /// The machine lacks something.
    #[error("this machine cannot run a lab:\n{}", lines(_0))]
    Requirements(Vec<Missing>),
    /// A name is not one.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A lab of this name exists already.
    #[error("lab {0} exists already; use it, delete it, or choose another name")]
    Exists(Name),
    /// There is no lab of this name.
    #[error("there is no lab {0}")]
    Unknown(Name),
    /// The lab has a host of this name already.
    #[error("lab {lab} has a host {host} already")]
    HostExists {
        /// Which lab.
        lab: Name,
        /// Which host.
        host: Name,
    },
    /// The lab has no host of this name.
    #[error("lab {lab} has no host {host}")]
    UnknownHost {
        /// Which lab.
        lab: Name,
        /// Which host.
        host: Name,
    },
    /// Too few or too many bridges.
    #[error("a lab has 1 to {MAX_BRIDGES} bridges, not {0}")]
    Bridges(u8),
    /// Every address is taken.
    #[error("lab {0} has {MAX_HOSTS} hosts already, which is all it has addresses for")]
    Full(Name),
    /// The hosts' root could not be installed.
    #[error("cannot prepare the root of the hosts")]
    Root(#[from] BaseRootError),
    /// The records could not be handled.
    #[error("cannot handle the files of the lab")]
    State(#[from] StateError),
    /// The network could not be made.
    #[error("cannot make the network of the lab")]
    Network(#[from] NetworkError),
    /// Keys could not be made.
    #[error("cannot make the keys of the lab")]
    Key(#[from] KeyError),
    /// The reaper could not be started.
    #[error("cannot guard the lab against a crash of this program")]
    Reaper(#[from] InternalError),
    /// A host could not be made or booted.
    #[error(transparent)]
    Host(#[from] HostError),
    /// Something stays behind.
    #[error("cannot remove all of lab {lab}; nothing else was touched, so simply try again")]
    Teardown {
        /// Which lab.
        lab: Name,
        /// What stays.
        source: TeardownError,
    },
}

fn lines(missing: &[Missing]) -> String {
    missing
        .iter()
        .map(|m| format!("  {m}"))
        .collect::<Vec<_>>()
        .join("\n")
}

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

/// A line about a lab, as far as its records can be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabSummary {
    /// Its name.
    pub name: String,
    /// When it goes away; unknown for one that is half made or broken.
    pub lifetime: Option<Lifetime>,
    /// Seconds since 1970; unknown as above.
    pub created: Option<u64>,
    /// Whether it should have gone with its creator and did not.
    pub orphaned: bool,
    /// Its hosts and whether they are on.
    pub hosts: Vec<(String, bool)>,
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

fn summary(dir: &LabDir) -> LabSummary {
    let record = dir.record().ok().flatten();
    let orphaned = record.as_ref().is_none_or(|record| match record.lifetime {
        Lifetime::Process => !record.creator.as_ref().is_some_and(ProcessId::is_alive),
        Lifetime::Kept => false,
    });
    let hosts = dir.host_names().unwrap_or_default();
    let is_on = |name: &Name| {
        dir.host(name)
            .run()
            .is_ok_and(|run| run.init.is_some_and(|init| init.is_alive()))
    };
    LabSummary {
        name: dir.name().to_string(),
        lifetime: record.as_ref().map(|r| r.lifetime),
        created: record.as_ref().map(|r| r.created),
        orphaned,
        hosts: hosts
            .iter()
            .map(|name| (name.to_string(), is_on(name)))
            .collect(),
    }
}
