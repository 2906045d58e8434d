//! How large a volume can become on what is free: the arithmetic of LVM's own allocation.

use crate::group::{Group, Lv, Pv};
use crate::image;
use crate::layout::Layout;
use ingot_volume_brain::{Bytes, LvName};
use serde::{Deserialize, Serialize};

/// How much a thin pool may promise, and when it stops.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ThinGuard {
    /// Promised size over real size, at most.
    pub ratio: f64,
    /// Fill of data or metadata from which on nothing new is promised.
    pub stop: f64,
    /// Fill of data or metadata from which on that grows, if the group has room.
    pub extend: f64,
    /// By what part of its size it grows then.
    pub step: f64,
}

impl Default for ThinGuard {
    fn default() -> Self {
        Self {
            ratio: 1.0,
            stop: 0.8,
            extend: 0.7,
            step: 0.2,
        }
    }
}

/// What is free in a volume group: all that is needed to say what fits.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Space {
    /// Size of an extent.
    pub extent: Bytes,
    /// Free on each device that is there.
    pub free: Vec<Bytes>,
    /// The largest image that fits on each of them with checksums beside it.
    #[serde(default)]
    pub checked: Vec<Bytes>,
    /// The thin pool, if volumes are made in one.
    pub thin: Option<ThinSpace>,
}

/// What a thin pool holds and has promised.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ThinSpace {
    /// The pool.
    pub pool: LvName,
    /// Its size.
    pub size: Bytes,
    /// The sum of the sizes of its volumes and snapshots.
    pub promised: Bytes,
    /// Fill of its data, 0 to 1.
    pub data: f64,
    /// Fill of its metadata, 0 to 1.
    pub metadata: f64,
    /// Whether LVM finds nothing wrong with it.
    pub healthy: bool,
}

impl Space {
    /// What is free in that group, and in that pool of it.
    pub fn of(group: &Group, pool: Option<&LvName>) -> Self {
        let thin = pool.and_then(|pool| group.lv(pool)).and_then(|lv: &Lv| {
            let usage = lv.thin?;
            Some(ThinSpace {
                pool: lv.lv.clone(),
                size: lv.size,
                promised: group.promised(&lv.lv),
                data: usage.data,
                metadata: usage.metadata,
                healthy: lv.health.is_none(),
            })
        });
        let present: Vec<&Pv> = group.pvs.iter().filter(|pv| !pv.missing).collect();
        Self {
            extent: group.extent,
            free: present.iter().map(|pv| pv.free).collect(),
            checked: present
                .iter()
                .map(|pv| pv.checked_image(group.extent))
                .collect(),
            thin,
        }
    }

    /// The largest volume of that layout that can be made now; 0 if none can.
    pub fn largest(&self, layout: &Layout, guard: ThinGuard) -> Bytes {
        let room = match layout {
            Layout::Thin { pool } => self.thin_room(pool, guard),
            thick => self.thick(thick),
        };
        layout.round_down(room, self.extent)
    }

    /// What the thin pool may still promise.
    fn thin_room(&self, pool: &LvName, guard: ThinGuard) -> Bytes {
        let Some(thin) = self.thin.as_ref().filter(|thin| thin.pool == *pool) else {
            return Bytes::ZERO;
        };
        if !thin.healthy || thin.data >= guard.stop || thin.metadata >= guard.stop {
            return Bytes::ZERO;
        }
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss
        )]
        let limit = Bytes((thin.size.0 as f64 * guard.ratio.max(0.0)) as u64);
        limit.saturating_sub(thin.promised)
    }

    fn thick(&self, layout: &Layout) -> Bytes {
        let extent = self.extent.0.max(1);
        let of = match layout.integrity() {
            true => &self.checked,
            false => &self.free,
        };
        let mut free: Vec<u64> = of.iter().map(|bytes| bytes.0 / extent).collect();
        free.sort_unstable_by(|a, b| b.cmp(a));
        let extents = match layout {
            Layout::Linear => free.iter().sum(),
            spread => {
                let last = (spread.disks() as usize).saturating_sub(1);
                let free = free.get(last).copied().unwrap_or(0);
                let each = match spread.integrity() {
                    true => free,
                    false => image::data(spread, free, Bytes(extent)),
                };
                each * u64::from(spread.data_stripes())
            }
        };
        Bytes(extents * extent)
    }
}
