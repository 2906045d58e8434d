//! What a simulated node begins with.

use ingot_volume_brain::{Bytes, VgName};
use serde::{Deserialize, Serialize};

/// A volume group to begin with.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SimGroup {
    /// Its name.
    pub vg: VgName,
    /// Its disks.
    pub disks: Vec<SimDisk>,
    /// Whether the group was made already.
    pub made: bool,
    /// Its tags.
    pub tags: Vec<String>,
}

impl SimGroup {
    /// Disks of a group that is still to be made.
    pub fn disks(vg: VgName, sizes: impl IntoIterator<Item = Bytes>) -> Self {
        let name = |number| format!("/dev/disk/by-id/sim-{vg}-{number}");
        let disks = (0..)
            .zip(sizes)
            .map(|(n, size)| SimDisk::new(name(n), size));
        let disks = disks.collect();
        Self::named(vg, disks)
    }

    /// The same of disks with names.
    pub fn named(vg: VgName, disks: Vec<SimDisk>) -> Self {
        Self {
            vg,
            disks,
            made: false,
            tags: Vec::new(),
        }
    }

    /// Its disks are known to show nothing of the past, as if somebody had overwritten them.
    pub fn erased(mut self) -> Self {
        for disk in &mut self.disks {
            disk.erased = true;
        }
        self
    }
}

/// A disk to begin with, and nothing on it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SimDisk {
    /// As configurations name it: a path or a serial number.
    pub name: String,
    /// Its size.
    pub size: Bytes,
    /// Whether it is known to show nothing of the past.
    pub erased: bool,
}

impl SimDisk {
    /// A disk of that name and size.
    pub fn new(name: impl Into<String>, size: Bytes) -> Self {
        Self {
            name: name.into(),
            size,
            erased: false,
        }
    }
}
