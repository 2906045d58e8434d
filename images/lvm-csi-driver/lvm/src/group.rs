//! A volume group as one report shows it.

use crate::image;
use crate::tags::Tags;
use ingot_volume_brain::{Bytes, LvName, VgName};
use serde::{Deserialize, Serialize};

/// A volume group and everything in it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// Its name.
    pub vg: VgName,
    /// Its tags.
    pub tags: Vec<String>,
    /// Size of an extent.
    pub extent: Bytes,
    /// Its physical volumes, by path.
    pub pvs: Vec<Pv>,
    /// Its logical volumes, by name; hidden parts are left out.
    pub lvs: Vec<Lv>,
}

/// A physical volume: a disk of the group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pv {
    /// Path of the device.
    pub device: String,
    /// LVM's own identity of it, wherever it is plugged in.
    pub uuid: String,
    /// What else it is called: the paths that lead to it, and its serial number.
    pub names: Vec<String>,
    /// All it has.
    pub size: Bytes,
    /// What nothing lies on.
    pub free: Bytes,
    /// In how many pieces that lies, with what is kept apart.
    pub pieces: u32,
    /// Its device is gone.
    pub missing: bool,
    /// It takes no writes.
    pub read_only: bool,
    /// What is free on it shows nothing of the past.
    pub erased: bool,
}

/// The tag of a physical volume on which nothing free shows anything of the past.
pub(crate) const ERASED: &str = "ingot1.erased";

/// How the logical volumes begin that keep apart what is free on a disk.
pub(crate) const RESERVE: &str = "erase-";

/// What LVM calls the device of a physical volume that it does not find.
pub(crate) const UNKNOWN: &str = "[unknown]";

impl Pv {
    /// Whether it is there again, and LVM goes on counting it as missing, as its group has changed meanwhile.
    pub fn is_back(&self) -> bool {
        self.missing && self.device != UNKNOWN
    }

    /// The largest image of a RAID that fits on it with checksums beside it.
    pub fn checked_image(&self, extent: Bytes) -> Bytes {
        let unit = extent.0.max(1);
        let data = image::checked(self.free.0 / unit, self.pieces, Bytes(unit));
        Bytes(data * unit)
    }

    /// The logical volume that keeps what is free on it apart until it is overwritten.
    pub fn reserve(&self) -> Option<LvName> {
        LvName::new(&format!("{RESERVE}{}", self.uuid)).ok()
    }
}

/// A logical volume.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Lv {
    /// Its name.
    pub lv: LvName,
    /// Its size, for thin ones the promised one.
    pub size: Bytes,
    /// Our tags; none on volumes that are not ours.
    pub tags: Option<Tags>,
    /// The tags are ours and cannot be read: kept, and reported.
    pub unreadable: Option<String>,
    /// The thin pool it is in.
    pub pool: Option<LvName>,
    /// Fill, if it is a thin pool.
    pub thin: Option<ThinUsage>,
    /// What is wrong with it, as LVM says: a part is missing, a mirror is incomplete.
    pub health: Option<String>,
    /// Whether all of its content is on parts that are there, and can be reached: of a RAID some may be
    /// missing, of one with integrity only while it has its device.
    pub readable: bool,
    /// What the checksums beside it have told, if it has any.
    #[serde(default)]
    pub integrity: Option<Integrity>,
    /// Whether its device exists.
    pub active: bool,
}

/// Fill of a thin pool, in parts of a whole.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ThinUsage {
    /// Data written, 0 to 1.
    pub data: f64,
    /// Metadata written, 0 to 1.
    pub metadata: f64,
    /// Space kept for metadata.
    pub metadata_size: Bytes,
    /// Size of a chunk.
    pub chunk: Bytes,
}

/// What the kernel has at hand about a thin pool, without LVM.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fill {
    /// Data written, 0 to 1.
    pub data: f64,
    /// Metadata written, 0 to 1.
    pub metadata: f64,
    /// Somebody has the kernel keep a picture of the metadata, which costs space as it changes.
    pub held: bool,
    /// The pool takes writes, and all disks of its group are there and take writes. Where not, LVM is to be
    /// asked what is wrong.
    pub well: bool,
}

/// What checksums beside the data of each image have told since the volume got its device.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Integrity {
    /// How often data was not what its checksum says, and was read from elsewhere.
    pub mismatches: u64,
    /// The disks on which it was not.
    pub on: Vec<String>,
}

impl Lv {
    /// Whether a part of it lies on a disk that is not there.
    pub fn partial(&self) -> bool {
        self.health
            .as_ref()
            .is_some_and(|health| health.contains(PARTIAL))
    }

    /// Whether it is a RAID that goes on without a disk which is there again.
    pub fn lags(&self) -> bool {
        self.health.as_ref().is_some_and(|health| health == REFRESH)
    }

    /// Whether the kernel has given the thin pool up, or the pool under the thin volume.
    pub fn failed(&self) -> bool {
        self.health.as_ref().is_some_and(|health| health == FAILED)
    }
}

/// What LVM says of a volume of which a part is missing.
pub(crate) const PARTIAL: &str = "partial";

/// What LVM says of a RAID of which a disk was away.
pub(crate) const REFRESH: &str = "refresh needed";

/// What LVM says of a thin pool that the kernel has given up, and of its volumes (lvs(8), lv_attr, F).
const FAILED: &str = "failed";

impl Group {
    /// The disk of that name: its path, another path that leads to it, or its serial number.
    pub fn pv(&self, name: &str) -> Option<&Pv> {
        let called = |pv: &&Pv| pv.device == name || pv.names.iter().any(|known| known == name);
        self.pvs.iter().find(called)
    }

    /// The disks of which something is kept apart until it is overwritten, and how much that is.
    pub fn reserves(&self) -> impl Iterator<Item = (&Pv, &Lv)> {
        let kept = |pv: &Pv| pv.reserve().and_then(|lv| self.lv(&lv));
        self.pvs.iter().filter_map(move |pv| Some((pv, kept(pv)?)))
    }

    /// The logical volume of that name.
    pub fn lv(&self, lv: &LvName) -> Option<&Lv> {
        self.lvs.iter().find(|found| found.lv == *lv)
    }

    /// What nothing lies on, on all devices that are there.
    pub fn free(&self) -> Bytes {
        let present = self.pvs.iter().filter(|pv| !pv.missing);
        Bytes(present.map(|pv| pv.free.0).sum())
    }

    /// How often the checksums of its volumes did not fit what lies beside them.
    pub fn mismatches(&self) -> u64 {
        let told = self.lvs.iter().filter_map(|lv| lv.integrity.as_ref());
        told.map(|integrity| integrity.mismatches).sum()
    }

    /// The size promised to the thin volumes of a pool.
    pub fn promised(&self, pool: &LvName) -> Bytes {
        let inside = self.lvs.iter().filter(|lv| lv.pool.as_ref() == Some(pool));
        Bytes(inside.map(|lv| lv.size.0).sum())
    }
}
