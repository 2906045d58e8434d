//! Data disks: their files, how QEMU presents them, and what can go wrong with them.
//!
//! A disk is a SCSI disk, since one of those can be torn out without the guest's consent. Its file is
//! QCOW2: sparse, and QEMU keeps the map of newly written clusters in its own memory until the guest
//! flushes, so killing QEMU loses unflushed writes as a drive's volatile cache does. QEMU in turn
//! never waits for the machine's disk (`no-flush`), which outlives QEMU anyway.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::monitor::{Monitor, MonitorError};
use super::spec::DiskSpec;
use crate::program::{self, ProgramError};

/// What the guest may do with a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Read and write.
    ReadWrite,
    /// Read only, as with a switch on the drive.
    ReadOnly,
}

/// What a broken disk answers with an I/O error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Every read.
    Reads,
    /// Every write.
    Writes,
    /// Every read and write.
    All,
}

impl Fault {
    fn kinds(self) -> &'static [&'static str] {
        match self {
            Fault::Reads => &["read"],
            Fault::Writes => &["write", "write-zeroes", "discard"],
            // Flushes go through: QEMU flushes a disk before it changes what is below it, so one that
            // cannot be flushed could not be healed.
            Fault::All => &["read", "write", "write-zeroes", "discard"],
        }
    }
}

/// A disk in its slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slot {
    pub(super) access: Access,
    pub(super) fault: Option<Fault>,
}

/// A disk, in its slot or beside the guest.
#[derive(Debug)]
pub(super) struct Disk {
    pub(super) spec: DiskSpec,
    /// Its number, which names its parts in QEMU and its file.
    number: usize,
    pub(super) slot: Option<Slot>,
}

/// Neither the machine's page cache nor its disk shall be waited for.
pub(super) fn cache() -> Value {
    json!({"direct": false, "no-flush": true})
}

impl Disk {
    /// Makes the disk's file in `dir`.
    pub(super) fn create(dir: &Path, number: usize, spec: DiskSpec) -> Result<Disk, ProgramError> {
        let disk = Disk {
            number,
            spec,
            slot: Some(Slot {
                access: Access::ReadWrite,
                fault: None,
            }),
        };
        let mut create = Command::new("qemu-img");
        create.args(["create", "-q", "-f", "qcow2"]);
        if let Some(content) = &disk.spec.content {
            create.arg("-b").arg(content).args(["-F", "raw"]);
        }
        create
            .arg(dir.join(disk.file()))
            .arg(disk.spec.bytes.to_string());
        program::run(&mut create)?;
        Ok(disk)
    }

    fn file(&self) -> String {
        format!("disk-{}.qcow2", self.number)
    }

    fn node(&self, part: &str) -> String {
        format!("disk{}-{part}", self.number)
    }

    /// Puts the disk into its slot.
    pub(super) fn plug(&self, monitor: &mut Monitor, slot: Slot) -> Result<(), MonitorError> {
        let read_only = slot.access == Access::ReadOnly;
        let image = json!({
            "driver": "qcow2", "node-name": self.node("image"), "read-only": read_only,
            "discard": "unmap", "cache": cache(),
            "file": {
                "driver": "file", "filename": self.file(), "read-only": read_only,
                "discard": "unmap", "cache": cache(),
            },
        });
        monitor.run("blockdev-add", image)?;
        monitor.run("blockdev-add", self.top("image", slot.access))?;
        let device = json!({
            "driver": "scsi-hd", "bus": "scsi.0", "id": self.node("device"),
            "drive": self.node("top"), "serial": self.spec.serial, "scsi-id": self.number,
            // Otherwise QEMU stops the guest at a write that fails.
            "rerror": "report", "werror": "report",
        });
        monitor.run("device_add", device)?;
        self.set_fault(monitor, slot.access, None, slot.fault)
    }

    /// Tears the disk out. The guest is not asked.
    pub(super) fn unplug(&self, monitor: &mut Monitor, slot: Slot) -> Result<(), MonitorError> {
        monitor.run("device_del", json!({"id": self.node("device")}))?;
        let faults = slot.fault.map(|_| "faults");
        for part in ["top"].into_iter().chain(faults).chain(["image"]) {
            remove_node(monitor, &self.node(part))?;
        }
        Ok(())
    }

    /// Breaks or heals a disk while the guest uses it, by a layer between the disk and its file.
    pub(super) fn set_fault(
        &self,
        monitor: &mut Monitor,
        access: Access,
        before: Option<Fault>,
        after: Option<Fault>,
    ) -> Result<(), MonitorError> {
        if before.is_some() {
            let healed = json!({"options": [self.top("image", access)]});
            monitor.run("blockdev-reopen", healed)?;
            remove_node(monitor, &self.node("faults"))?;
        }
        let Some(fault) = after else { return Ok(()) };
        let rules: Vec<Value> = fault
            .kinds()
            .iter()
            .map(|kind| json!({"event": "none", "iotype": kind, "errno": 5, "once": false}))
            .collect();
        let layer = json!({
            "driver": "blkdebug", "node-name": self.node("faults"), "image": self.node("image"),
            "read-only": access == Access::ReadOnly, "inject-error": rules,
        });
        monitor.run("blockdev-add", layer)?;
        let broken = json!({"options": [self.top("faults", access)]});
        monitor.run("blockdev-reopen", broken)?;
        Ok(())
    }

    /// The layer the disk reads from, whose place below can be changed.
    fn top(&self, below: &str, access: Access) -> Value {
        json!({
            "driver": "raw", "node-name": self.node("top"), "file": self.node(below),
            "read-only": access == Access::ReadOnly, "discard": "unmap", "cache": cache(),
        })
    }
}

/// Removes a node once its last request has ended.
pub(super) fn remove_node(monitor: &mut Monitor, name: &str) -> Result<(), MonitorError> {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        match monitor.run("blockdev-del", json!({"node-name": name})) {
            Err(MonitorError::Refused { .. }) if Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(20));
            }
            other => return other.map(drop),
        }
    }
}
