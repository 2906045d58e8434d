//! What a guest shall be, checked before anything is made.

use std::path::PathBuf;
use std::time::Duration;

use super::error::GuestError;
use crate::name::Name;

/// How long a guest may take to boot and to shut down unless its specification says otherwise.
/// Alone on a machine it needs a quarter of a minute; beside other work several times that.
pub const GUEST_DEADLINE: Duration = Duration::from_secs(300);

/// The most disks of a guest.
pub const MAX_DISKS: usize = 64;

/// The longest serial number of a disk, in bytes.
pub const MAX_SERIAL_LEN: usize = 20;

/// What a guest shall be.
#[derive(Debug, Clone)]
pub struct GuestSpec {
    /// Its name and host name, unique on the machine or in its lab.
    pub name: String,
    /// Processors.
    pub cpus: u8,
    /// Memory in MiB. The machine pays for what the guest touches, and half a GiB for QEMU.
    pub memory_mib: u32,
    /// Data disks; letters (/dev/sda) are given in any order, so use [`DiskSpec::path`].
    pub disks: Vec<DiskSpec>,
    /// How long it may take to boot, to reboot and to power off.
    pub deadline: Duration,
}

impl GuestSpec {
    /// Two processors, 1 GiB, no disks.
    pub fn new(name: impl Into<String>) -> GuestSpec {
        GuestSpec {
            name: name.into(),
            cpus: 2,
            memory_mib: 1024,
            disks: Vec::new(),
            deadline: GUEST_DEADLINE,
        }
    }

    /// With `count` more empty disks of `bytes` each, with the serial numbers `disk-1`, `disk-2`, ...
    pub fn with_disks(mut self, count: usize, bytes: u64) -> GuestSpec {
        for _ in 0..count {
            let serial = format!("disk-{}", self.disks.len() + 1);
            self.disks.push(DiskSpec::empty(serial, bytes));
        }
        self
    }

    pub(super) fn check(&self, name: &Name) -> Result<(), GuestError> {
        let refuse = |what: String| {
            let guest = name.clone();
            Err(GuestError::Spec { guest, what })
        };
        if self.cpus == 0 {
            return refuse("no processor; give it at least one".into());
        }
        if self.memory_mib < 256 {
            let text = format!("{} MiB of memory; Debian needs 256", self.memory_mib);
            return refuse(text);
        }
        if self.disks.len() > MAX_DISKS {
            let text = format!("{} disks; {MAX_DISKS} is the most", self.disks.len());
            return refuse(text);
        }
        for (number, disk) in self.disks.iter().enumerate() {
            disk.check().or_else(refuse)?;
            if self.disks[..number]
                .iter()
                .any(|other| other.serial == disk.serial)
            {
                return refuse(format!("two disks with the serial number {}", disk.serial));
            }
        }
        Ok(())
    }
}

/// What a data disk shall be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskSpec {
    /// Its serial number, by which the guest finds it: see [`DiskSpec::path`].
    pub serial: String,
    /// Its size, a multiple of 512. The machine's disk holds only what the guest writes.
    pub bytes: u64,
    /// A file whose content the disk begins with; the file itself is never written.
    pub content: Option<PathBuf>,
}

impl DiskSpec {
    /// An empty disk.
    pub fn empty(serial: impl Into<String>, bytes: u64) -> DiskSpec {
        DiskSpec {
            serial: serial.into(),
            bytes,
            content: None,
        }
    }

    /// Where the guest finds the disk, whatever letter it got.
    pub fn path(&self) -> String {
        path_of(&self.serial)
    }

    fn check(&self) -> Result<(), String> {
        let good = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
        let len = self.serial.len();
        if len == 0 || len > MAX_SERIAL_LEN || !self.serial.bytes().all(good) {
            return Err(format!(
                "a disk with the serial number {:?}; use 1 to {MAX_SERIAL_LEN} letters, digits and \
                 hyphens",
                self.serial
            ));
        }
        if self.bytes == 0 || !self.bytes.is_multiple_of(512) {
            let (serial, bytes) = (&self.serial, self.bytes);
            return Err(format!(
                "disk {serial} of {bytes} bytes; use a multiple of 512"
            ));
        }
        Ok(())
    }
}

/// The name udev gives to a disk of this serial number.
pub(super) fn path_of(serial: &str) -> String {
    format!("/dev/disk/by-id/scsi-0QEMU_QEMU_HARDDISK_{serial}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(change: impl FnOnce(&mut GuestSpec)) -> String {
        let mut spec = GuestSpec::new("g").with_disks(2, 1 << 30);
        change(&mut spec);
        let name = Name::try_from("g").unwrap();
        spec.check(&name).unwrap_err().to_string()
    }

    #[test]
    fn a_sound_specification_is_accepted() {
        let name = Name::try_from("g").unwrap();
        let spec = GuestSpec::new("g").with_disks(3, 2 << 30);
        spec.check(&name).unwrap();
        assert_eq!(spec.disks[2].serial, "disk-3");
        assert_eq!(
            spec.disks[2].path(),
            "/dev/disk/by-id/scsi-0QEMU_QEMU_HARDDISK_disk-3"
        );
    }

    #[test]
    fn contradictions_are_refused_by_name() {
        assert!(refusal(|s| s.cpus = 0).contains("no processor"));
        assert!(refusal(|s| s.memory_mib = 64).contains("64 MiB"));
        assert!(refusal(|s| s.disks[0].bytes = 1000).contains("disk-1 of 1000 bytes"));
        assert!(refusal(|s| s.disks[0].bytes = 0).contains("multiple of 512"));
        assert!(refusal(|s| s.disks[1].serial = "disk-1".into()).contains("two disks"));
        for bad in ["", "a,readonly=on", "a b", &"x".repeat(MAX_SERIAL_LEN + 1)] {
            let text = refusal(|s| s.disks[0].serial = bad.into());
            assert!(text.contains("serial number"), "{text}");
        }
        assert!(refusal(|s| s.disks = vec![s.disks[0].clone(); 65]).contains("65 disks"));
    }
}
