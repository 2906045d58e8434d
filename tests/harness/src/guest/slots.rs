//! Disks of a guest: tearing them out, putting them back, breaking and healing them.
//!
//! Works on a guest that runs and on one that is off; then it shows at the next boot.

use super::disk::{Access, Disk, Fault, Slot};
use super::monitor::{Monitor, MonitorError};
use super::{DiskSpec, Guest, GuestError, Now};

impl Guest {
    /// Tears a disk out, whatever the guest does with it. Its content stays for [`Guest::attach`];
    /// what was not flushed is lost to the guest but not to the disk.
    pub fn detach(&self, serial: &str) -> Result<(), GuestError> {
        self.change(serial, "attached", |disk, monitor| {
            let Some(slot) = disk.slot else {
                return Ok(false);
            };
            if let Some(monitor) = monitor {
                disk.unplug(monitor, slot)?;
            }
            disk.slot = None;
            Ok(true)
        })
    }

    /// Puts a disk back that was torn out, as it was or read-only, and without fault.
    pub fn attach(&self, serial: &str, access: Access) -> Result<(), GuestError> {
        self.change(serial, "detached", |disk, monitor| {
            if disk.slot.is_some() {
                return Ok(false);
            }
            let slot = Slot {
                access,
                fault: None,
            };
            if let Some(monitor) = monitor {
                disk.plug(monitor, slot)?;
            }
            disk.slot = Some(slot);
            Ok(true)
        })
    }

    /// Gives the guest one more disk, as when a drive is pushed into a free bay.
    pub fn add_disk(&self, spec: DiskSpec) -> Result<(), GuestError> {
        let name = self.dir.name();
        let mut now = self.now();
        let mut all = self.spec.clone();
        all.disks = now.disks.iter().map(|disk| disk.spec.clone()).collect();
        all.disks.push(spec.clone());
        all.check(name)?;
        let disk = Disk::create(self.dir.path(), now.disks.len(), spec)
            .map_err(|source| GuestError::program(name, source))?;
        let Now { disks, machine, .. } = &mut *now;
        if let (Some(machine), Some(slot)) = (machine, disk.slot) {
            disk.plug(&mut machine.monitor, slot)
                .map_err(|source| GuestError::monitor(name, source))?;
        }
        disks.push(disk);
        Ok(())
    }

    /// Lets a disk answer with I/O errors from now on, or with none.
    pub fn set_fault(&self, serial: &str, fault: Option<Fault>) -> Result<(), GuestError> {
        self.change(serial, "attached", |disk, monitor| {
            let Some(slot) = disk.slot else {
                return Ok(false);
            };
            if let Some(monitor) = monitor {
                disk.set_fault(monitor, slot.access, slot.fault, fault)?;
            }
            disk.slot = Some(Slot { fault, ..slot });
            Ok(true)
        })
    }

    /// Changes a disk that must be in a certain state, which `change` says whether it is.
    fn change(
        &self,
        serial: &str,
        state: &'static str,
        change: impl FnOnce(&mut Disk, Option<&mut Monitor>) -> Result<bool, MonitorError>,
    ) -> Result<(), GuestError> {
        let mut now = self.now();
        let Now { disks, machine, .. } = &mut *now;
        let monitor = machine.as_mut().and_then(|machine| {
            let running = machine.ended().is_none();
            running.then_some(&mut machine.monitor)
        });
        let changed = match disks.iter_mut().find(|disk| disk.spec.serial == serial) {
            Some(disk) => change(disk, monitor)
                .map_err(|source| GuestError::monitor(self.dir.name(), source))?,
            None => false,
        };
        if changed {
            return Ok(());
        }
        let have: Vec<String> = disks
            .iter()
            .map(|disk| {
                let state = disk.slot.map_or("detached", |_| "attached");
                format!("{} ({state})", disk.spec.serial)
            })
            .collect();
        Err(GuestError::Disk {
            guest: self.dir.name().clone(),
            serial: serial.to_owned(),
            state,
            have: match have.is_empty() {
                true => "none".to_owned(),
                false => have.join(", "),
            },
        })
    }

    /// Talks to the QEMU of a guest that is on.
    pub(super) fn on_monitor<T>(
        &self,
        talk: impl FnOnce(&mut Monitor) -> Result<T, MonitorError>,
    ) -> Result<T, GuestError> {
        let mut now = self.now();
        let machine = now.machine.as_mut().ok_or_else(|| self.off())?;
        talk(&mut machine.monitor).map_err(|source| GuestError::monitor(self.dir.name(), source))
    }
}
