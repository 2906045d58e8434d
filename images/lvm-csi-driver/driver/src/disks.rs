//! Publishes the disks of a node: which pool has them, and why the others are not used.
//!
//! Looks when udev says that a disk has come, gone or changed, and now and then in case it was not
//! heard. Changes no disk and starts no program.

mod events;

use crate::agent::{Agent, DiskNote};
use crate::config::{NodeConfig, PoolConfig};
use crate::object::{Disk, DiskHealth, DiskId, Key, Object, ObjectKind};
use crate::store::{Store, StoreError};
use events::Events;
use ingot_lvm::disks::{BlockDisk, scan};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How often it is looked without having been told to.
const SLOWLY: Duration = Duration::from_secs(300);

/// What udev calls a disk of LVM.
const LVM: &str = "LVM2_member";

/// Says what disks a node has.
#[derive(Clone)]
pub struct DiskReporter {
    config: NodeConfig,
    store: Arc<dyn Store>,
    /// Where the node's files are: `/`, but for tests.
    root: PathBuf,
    /// Who makes the disks part of their pools.
    agent: Option<Arc<Agent>>,
    /// The disks at the last look.
    last: Arc<Mutex<Option<Vec<BlockDisk>>>>,
}

impl DiskReporter {
    /// Reports the disks below that root.
    pub fn new(config: NodeConfig, store: Arc<dyn Store>, root: PathBuf) -> Self {
        Self {
            config,
            store,
            root,
            agent: None,
            last: Arc::default(),
        }
    }

    /// Says of the disks what that agent knows, too.
    pub fn beside(mut self, agent: Arc<Agent>) -> Self {
        self.agent = Some(agent);
        self
    }

    async fn noted(&self) {
        match &self.agent {
            Some(agent) => agent.disk_notes_changed().await,
            None => std::future::pending().await,
        }
    }

    /// Reports at once and on every change, for ever.
    pub async fn run(self) {
        let events = Events::listen();
        if let Err(error) = &events {
            eprintln!(
                "disks: changes are not heard of ({error}), so it is looked every {} s",
                SLOWLY.as_secs()
            );
        }
        loop {
            if let Err(error) = self.report().await {
                eprintln!("disks: {error}");
            }
            let again = tokio::time::sleep(SLOWLY);
            match &events {
                Ok(events) => tokio::select! {
                    () = events.next() => {}
                    () = self.noted() => {}
                    () = again => {}
                },
                Err(_) => tokio::select! {
                    () = self.noted() => {}
                    () = again => {}
                },
            }
        }
    }

    /// Lets the agent try what it could not do with the disks as they were.
    fn tell_of_changes(&self, found: &[BlockDisk]) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        // The first look, too: what is there by then may not have been when the agent looked for its pools.
        if let Some(agent) = &self.agent
            && last.as_deref() != Some(found)
        {
            agent.disks_changed();
        }
        *last = Some(found.to_vec());
    }

    /// Reports what differs from what was reported before.
    pub async fn report(&self) -> Result<(), StoreError> {
        let root = self.root.clone();
        let found = tokio::task::spawn_blocking(move || scan(&root)).await;
        let Ok(found) = found else { return Ok(()) };
        self.tell_of_changes(&found);
        let mut known = BTreeMap::new();
        for (key, stored) in self.store.list(ObjectKind::Disk).await? {
            if let Some(disk) = stored.object.disk()
                && disk.node == self.config.node
            {
                known.insert(key, (stored.version, disk.clone()));
            }
        }
        let before: Vec<&Disk> = known.values().map(|(_, disk)| disk).collect();
        let notes = match &self.agent {
            Some(agent) => agent.disk_notes().await,
            None => Vec::new(),
        };
        let now = reports(&self.config, &found, &before, &notes);
        for disk in &now {
            let key = Key::disk(&self.config.node, &disk.id);
            let object = Object::Disk(Box::new(disk.clone()));
            let written = match known.get(&key) {
                None => self.store.create(&key, object).await.map(drop),
                Some((_, same)) if same == disk => Ok(()),
                Some((version, _)) => self.store.update(&key, *version, object).await.map(drop),
            };
            settled(written)?;
        }
        for (key, (version, disk)) in &known {
            if now.iter().all(|report| report.id != disk.id) {
                settled(self.store.delete(key, *version).await)?;
            }
        }
        Ok(())
    }
}

/// Whoever wrote meanwhile was an agent of this node; the next look is enough.
fn settled(written: Result<(), StoreError>) -> Result<(), StoreError> {
    match written {
        Err(StoreError::Conflict(_) | StoreError::NotFound(_) | StoreError::Exists(_)) => Ok(()),
        written => written,
    }
}

/// The pool that asks for a disk.
fn pool_of<'a>(config: &'a NodeConfig, disk: &BlockDisk) -> Option<&'a PoolConfig> {
    config.pools.iter().find(|pool| {
        let serial = disk.serial.as_ref();
        serial.is_some_and(|serial| pool.serials.contains(serial))
            || pool.devices.iter().any(|device| is(disk, device))
    })
}

fn is(disk: &BlockDisk, device: &str) -> bool {
    match device.strip_prefix("/dev/disk/by-id/") {
        Some(name) => disk.names.iter().any(|known| known == name),
        None => device == format!("/dev/{}", disk.kernel_name),
    }
}

/// What is to be said of each disk, and of those that are asked for and not there.
fn reports(
    config: &NodeConfig,
    found: &[BlockDisk],
    before: &[&Disk],
    notes: &[DiskNote],
) -> Vec<Disk> {
    let report = |disk| report(config, disk, notes);
    let mut all: Vec<Disk> = found.iter().map(report).collect();
    for pool in &config.pools {
        let by_id = pool
            .devices
            .iter()
            .filter(|device| device.starts_with("/dev/disk/by-id/"))
            .filter(|device| !found.iter().any(|disk| is(disk, device)));
        let paths = by_id.map(|device| {
            let last = before.iter().find(|disk| disk.path == *device);
            missing(config, pool, last, device.clone(), None)
        });
        let there = |serial: &&String| found.iter().any(|d| d.serial.as_ref() == Some(*serial));
        let serials = pool.serials.iter().filter(|serial| !there(serial));
        let serials = serials.map(|serial| {
            let last = before
                .iter()
                .find(|disk| disk.serial.as_ref() == Some(serial));
            missing(config, pool, last, String::new(), Some(serial.clone()))
        });
        all.extend(paths.chain(serials));
    }
    all
}

fn missing(
    config: &NodeConfig,
    pool: &PoolConfig,
    last: Option<&&Disk>,
    path: String,
    serial: Option<String>,
) -> Disk {
    let gone = |disk: Disk| Disk {
        pool: Some(pool.name.clone()),
        health: DiskHealth::Missing,
        unused: Some(format!(
            "pool {} asks for it and it is not there; reconnect it, or take it out of the pool",
            pool.name
        )),
        ..disk
    };
    if let Some(last) = last {
        return gone((**last).clone());
    }
    let name = path.rsplit('/').next().unwrap_or_default();
    gone(Disk {
        node: config.node.clone(),
        id: DiskId::of(serial.as_deref().unwrap_or(name)),
        kernel_name: String::new(),
        size: ingot_volume_brain::Bytes::ZERO,
        model: None,
        rotational: false,
        pool: None,
        health: DiskHealth::Missing,
        content: None,
        unused: None,
        path,
        serial,
    })
}

fn report(config: &NodeConfig, disk: &BlockDisk, notes: &[DiskNote]) -> Disk {
    let pool = pool_of(config, disk);
    let noted = notes.iter().find(|note| {
        let called = |name: &String| disk.serial.as_ref() == Some(name) || is(disk, name);
        note.names.iter().any(called)
    });
    let noted = noted.filter(|_| !disk.failed).map(|note| note.text.clone());
    Disk {
        node: config.node.clone(),
        id: DiskId::of(disk.name().unwrap_or(&disk.kernel_name)),
        path: disk.path(),
        kernel_name: disk.kernel_name.clone(),
        size: disk.size,
        model: disk.model.clone(),
        serial: disk.serial.clone(),
        rotational: disk.rotational,
        pool: pool.map(|pool| pool.name.clone()),
        health: match disk.failed {
            true => DiskHealth::Failed,
            false => DiskHealth::Good,
        },
        content: disk.content.clone(),
        unused: noted.or_else(|| unused(config, disk, pool)),
    }
}

/// Why a disk is not used, and what to do about it.
fn unused(config: &NodeConfig, disk: &BlockDisk, pool: Option<&PoolConfig>) -> Option<String> {
    if disk.failed {
        return Some("the kernel has given it up; look at `dmesg` and replace it".into());
    }
    if disk.read_only {
        return Some("it takes no writes; look at its switch, and at `dmesg`".into());
    }
    if let Some(place) = &disk.mounted {
        return Some(format!("it is mounted on {}", place.display()));
    }
    let holds = disk.content.as_deref().filter(|content| *content != LVM);
    match (pool, holds, &disk.serial) {
        (Some(_), None, _) => None,
        (Some(_), Some(_), Some(serial)) if config.wipe.contains(serial) => None,
        (Some(pool), Some(content), Some(serial)) => Some(format!(
            "pool {} asks for it, but it holds {content}; if nobody needs that, name its serial number {serial} under `wipe`",
            pool.name
        )),
        (Some(pool), Some(content), None) => Some(format!(
            "pool {} asks for it, but it holds {content}; if nobody needs that, empty it with `wipefs --all {}`",
            pool.name,
            disk.path()
        )),
        (None, Some(content), _) => Some(format!("no pool asks for it; it holds {content}")),
        (None, None, Some(serial)) => Some(format!(
            "no pool asks for it; name its serial number {serial} under `serials` of one"
        )),
        (None, None, None) => Some(format!(
            "no pool asks for it; name {} under `devices` of one",
            disk.path()
        )),
    }
}

#[cfg(test)]
mod tests;
