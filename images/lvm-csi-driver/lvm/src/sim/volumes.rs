//! LVM's commands.

use super::content::Content;
use super::ranges::Ranges;
use super::state::{EXTENT, GroupState, PoolState, State, Volume, missing};
use crate::backend::Reply;
use crate::command::{NewCopy, NewLv, TagChange};
use crate::device::Device;
use crate::error::LvmError;
use crate::group::{Group, Integrity, Lv, PARTIAL};
use crate::layout::Layout;
use crate::tags::Tags;
use ingot_volume_brain::{Bytes, LvName, VgName};
use std::collections::{BTreeMap, BTreeSet};

fn exists(vg: &VgName, lv: &LvName) -> LvmError {
    LvmError::Exists {
        what: format!("logical volume {vg}/{lv}"),
    }
}

fn no_space(vg: &VgName, wanted: Bytes, reason: &str) -> LvmError {
    LvmError::NoSpace {
        vg: vg.clone(),
        wanted,
        reason: reason.into(),
    }
}

impl State {
    pub fn scan(&mut self, vg: &VgName) -> Result<Reply, LvmError> {
        let group = self.group(vg)?;
        let disks = group.disks.iter().enumerate();
        let pvs = disks.filter(|(_, disk)| disk.joined);
        let pvs = pvs.map(|(number, disk)| disk.report(number));
        let lvs = group
            .lvs
            .iter()
            .map(|(lv, volume)| group.report(lv, volume));
        Ok(Reply::Group(Box::new(Group {
            vg: vg.clone(),
            tags: group.tags.clone(),
            extent: EXTENT,
            pvs: pvs.collect(),
            lvs: lvs.collect(),
        })))
    }

    pub fn create_pool(
        &mut self,
        vg: &VgName,
        pool: &LvName,
        size: Bytes,
        metadata: Bytes,
        chunk: Bytes,
    ) -> Result<Reply, LvmError> {
        let group = self.whole(vg)?;
        if group.lvs.contains_key(pool) {
            return Err(exists(vg, pool));
        }
        let size = size.round_up(EXTENT);
        // LVM keeps a spare of the metadata beside it.
        let both = metadata.round_up(EXTENT).0 * 2;
        let segments = group
            .take(&Layout::Linear, (size.0 + both) / EXTENT.0)
            .ok_or_else(|| no_space(vg, size, "insufficient free space"))?;
        let volume = Volume {
            segments,
            thin_pool: Some(PoolState { metadata, chunk }),
            ..new_volume(size, Layout::Linear)
        };
        group.lvs.insert(pool.clone(), volume);
        Ok(Reply::Done)
    }

    pub fn create(&mut self, new: &NewLv) -> Result<Reply, LvmError> {
        let NewLv {
            vg,
            lv,
            size,
            layout,
            tags,
        } = new;
        let group = self.whole(vg)?;
        if group.lvs.contains_key(lv) {
            return Err(exists(vg, lv));
        }
        if let Layout::Thin { pool } = layout
            && group.lvs.get(pool).is_none_or(|p| p.thin_pool.is_none())
        {
            return Err(missing(format!("thin pool {vg}/{pool}")));
        }
        let size = layout.round_up(*size, EXTENT);
        let segments = group
            .take(layout, size.0 / EXTENT.0)
            .ok_or_else(|| no_space(vg, size, "insufficient suitable allocatable extents"))?;
        let mut volume = Volume {
            segments,
            tags: tags.encode(),
            active: true,
            ..new_volume(size, layout.clone())
        };
        if !matches!(layout, Layout::Thin { .. }) {
            volume.content.remains = group.past(&volume.segments);
        }
        group.lvs.insert(lv.clone(), volume);
        Ok(Reply::Done)
    }

    pub fn copy(
        &mut self,
        vg: &VgName,
        source: &LvName,
        lv: &LvName,
        read_only: bool,
        tags: &Tags,
    ) -> Result<Reply, LvmError> {
        let group = self.whole(vg)?;
        if group.lvs.contains_key(lv) {
            return Err(exists(vg, lv));
        }
        let origin = group
            .lvs
            .get(source)
            .ok_or_else(|| missing(format!("logical volume {vg}/{source}")))?;
        if !matches!(origin.layout, Layout::Thin { .. }) {
            return Err(LvmError::Invalid {
                what: format!(
                    "{vg}/{source} is {}: only thin volumes can be copied",
                    origin.layout
                ),
                remedy: "use a thin pool for volumes that are to have snapshots or clones".into(),
            });
        }
        let copy = Volume {
            tags: tags.encode(),
            read_only,
            // Snapshots stay without a device until somebody reads them.
            active: !read_only,
            content: origin.content.clone(),
            map: origin.map.clone(),
            ..new_volume(origin.size, origin.layout.clone())
        };
        group.lvs.insert(lv.clone(), copy);
        Ok(Reply::Done)
    }

    pub fn copy_together(&mut self, vg: &VgName, copies: &[NewCopy]) -> Result<Reply, LvmError> {
        let before = self.group(vg)?.clone();
        for NewCopy { source, lv, tags } in copies {
            if let Err(error) = self.copy(vg, source, lv, true, tags) {
                *self.group(vg)? = before;
                return Err(error);
            }
        }
        Ok(Reply::Done)
    }

    pub fn tag(&mut self, change: &TagChange) -> Result<Reply, LvmError> {
        let (off, on) = change.difference();
        let volume = self.volume(&change.vg, &change.lv)?;
        volume.tags.retain(|tag| !off.contains(tag));
        volume.tags.extend(on);
        Ok(Reply::Done)
    }

    pub fn extend(&mut self, vg: &VgName, lv: &LvName, size: Bytes) -> Result<Reply, LvmError> {
        let volume = self.volume(vg, lv)?;
        let (layout, old) = (volume.layout.clone(), volume.size);
        let size = layout.round_up(size, EXTENT);
        if size <= old {
            return Err(LvmError::Invalid {
                what: format!("{vg}/{lv} has {old}, {size} is not more"),
                remedy: "volumes never shrink".into(),
            });
        }
        let more = (size.0 - old.0) / EXTENT.0;
        let group = self.whole(vg)?;
        if !group.take_more(lv, more) {
            return Err(no_space(
                vg,
                size,
                "insufficient suitable allocatable extents",
            ));
        }
        self.volume(vg, lv)?.size = size;
        Ok(Reply::Done)
    }

    pub fn shrink(&mut self, vg: &VgName, lv: &LvName, size: Bytes) -> Result<Reply, LvmError> {
        let volume = self.volume(vg, lv)?;
        let old = volume.size;
        if size >= old || size == Bytes::ZERO {
            return Err(LvmError::Invalid {
                what: format!("{vg}/{lv} has {old}, {size} is not less, or nothing"),
                remedy: "remove it, if nothing is to be left".into(),
            });
        }
        let clean = volume.erased.cover(size, old);
        self.whole(vg)?;
        let volume = self.volume(vg, lv)?;
        let mut segments = std::mem::take(&mut volume.segments);
        volume.size = size;
        let group = self.group(vg)?;
        group.cut(&mut segments, (old.0 - size.0) / EXTENT.0, clean);
        self.volume(vg, lv)?.segments = segments;
        Ok(Reply::Done)
    }

    pub fn extend_metadata(
        &mut self,
        vg: &VgName,
        pool: &LvName,
        size: Bytes,
    ) -> Result<Reply, LvmError> {
        let size = size.round_up(EXTENT);
        let old = self.volume(vg, pool)?.thin_pool.map(|pool| pool.metadata);
        let Some(old) = old else {
            return Err(missing(format!("thin pool {vg}/{pool}")));
        };
        if size <= old {
            return Err(LvmError::Invalid {
                what: format!("the metadata of {vg}/{pool} has {old}, {size} is not more"),
                remedy: "metadata never shrinks".into(),
            });
        }
        // The spare grows with it.
        let more = (size.0 - old.0).div_ceil(EXTENT.0) * 2;
        if !self.whole(vg)?.take_more(pool, more) {
            return Err(no_space(vg, size, "insufficient free space"));
        }
        if let Some(pool) = &mut self.volume(vg, pool)?.thin_pool {
            pool.metadata = size;
        }
        Ok(Reply::Done)
    }

    pub fn remove(&mut self, vg: &VgName, lv: &LvName) -> Result<Reply, LvmError> {
        let device = Device::lv(vg, lv);
        if self.busy(&device) || self.busy(&device.decrypted()) {
            return Err(LvmError::InUse {
                what: format!("logical volume {vg}/{lv}"),
            });
        }
        let group = self.group(vg)?;
        if group.free(lv) {
            Ok(Reply::Done)
        } else {
            Err(missing(format!("logical volume {vg}/{lv}")))
        }
    }
}

pub(super) fn new_volume(size: Bytes, layout: Layout) -> Volume {
    Volume {
        size,
        layout,
        segments: Vec::new(),
        tags: BTreeSet::new(),
        thin_pool: None,
        active: false,
        read_only: false,
        written: Bytes::ZERO,
        formatted: 0,
        content: Content::default(),
        stale: false,
        lags: false,
        ails: None,
        rotten: BTreeMap::new(),
        erased: Ranges::default(),
        map: BTreeMap::new(),
    }
}

impl GroupState {
    fn report(&self, lv: &LvName, volume: &Volume) -> Lv {
        let tags = Tags::decode(volume.tags.iter().map(String::as_str));
        let (tags, unreadable) = match tags {
            Ok(tags) => (tags, None),
            Err(error) => (None, Some(error.to_string())),
        };
        // What lies in a thin pool is as the pool is.
        let below = match &volume.layout {
            Layout::Thin { pool } => self.lvs.get(pool).unwrap_or(volume),
            _ => volume,
        };
        let lost = below.segments.iter().any(|s| self.disks[s.disk].lost());
        Lv {
            lv: lv.clone(),
            size: volume.size,
            tags,
            unreadable,
            pool: match &volume.layout {
                Layout::Thin { pool } => Some(pool.clone()),
                _ => None,
            },
            thin: self.thin_usage(lv, volume),
            health: lost.then(|| PARTIAL.to_owned()).or(volume.ailment()),
            readable: self.readable(below) && (volume.active || !self.only_whole(volume)),
            integrity: volume.layout.integrity().then(|| Integrity {
                mismatches: volume.rotten.values().sum(),
                on: (volume.rotten.keys())
                    .map(|disk| self.disks[*disk].name.clone())
                    .collect(),
            }),
            active: volume.active,
        }
    }
}
