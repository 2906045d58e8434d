//! Finds extents on disks for a layout, and gives them back.

use super::content::Content;
use super::state::{Disk, EXTENT, GroupState, Segment, State, Volume};
use crate::error::LvmError;
use crate::image;
use crate::layout::Layout;
use ingot_volume_brain::{LvName, VgName};

impl Disk {
    fn room(&self) -> u64 {
        if self.lost() || !self.joined {
            0
        } else {
            self.extents - self.used
        }
    }

    /// Takes free extents: first those that show what was there before.
    fn give(&mut self, disk: usize, extents: u64) -> Segment {
        let dirty = self.dirty.min(extents);
        self.dirty -= dirty;
        self.used += extents;
        Segment {
            disk,
            extents,
            dirty,
        }
    }
}

impl State {
    /// A group that may be changed. Like LVM, which lets volumes of a group with a missing disk be
    /// removed, activated and tagged, and nothing be made or enlarged there, wherever there is room.
    pub fn whole(&mut self, vg: &VgName) -> Result<&mut GroupState, LvmError> {
        let group = self.group(vg)?;
        match group.disks.iter().any(|disk| disk.joined && disk.lost()) {
            true => Err(LvmError::incomplete(vg)),
            false => Ok(group),
        }
    }
}

impl GroupState {
    /// Takes `extents` of data in that layout, or nothing.
    pub fn take(&mut self, layout: &Layout, extents: u64) -> Option<Vec<Segment>> {
        let segments = match layout {
            Layout::Thin { .. } => Some(Vec::new()),
            Layout::Linear => self.in_turn(extents),
            spread => {
                let data = extents.div_ceil(u64::from(spread.data_stripes()));
                let each = image::extents(spread, data, EXTENT)?;
                self.side_by_side(spread.disks() as usize, each)
            }
        }?;
        let give = |(disk, extents): (usize, u64)| self.disks[disk].give(disk, extents);
        Some(segments.into_iter().map(give).collect())
    }

    /// What has the extents of a volume: itself, or the thin pool that it is in.
    pub fn below<'a>(&'a self, volume: &'a Volume) -> &'a Volume {
        match &volume.layout {
            Layout::Thin { pool } => self.lvs.get(pool).unwrap_or(volume),
            _ => volume,
        }
    }

    /// Whether all of a volume is on disks that are there, copies and parity counted in.
    pub fn readable(&self, volume: &Volume) -> bool {
        let images = volume.layout.disks();
        let lost = |image: &u32| {
            let parts = volume.segments.iter().skip(*image as usize);
            let mut parts = parts.step_by(images as usize);
            parts.any(|segment| self.disks[segment.disk].lost())
        };
        let lost: Vec<u32> = (0..images).filter(lost).collect();
        volume.layout.survives(&lost)
    }

    /// Whether LVM gives a volume no device, since checksums lie beside its copies and a disk is missing.
    pub fn only_whole(&self, volume: &Volume) -> bool {
        let mut segments = volume.segments.iter();
        volume.layout.integrity() && segments.any(|segment| self.disks[segment.disk].lost())
    }

    /// What the extents of a volume show that were there before it.
    pub fn past(&self, segments: &[Segment]) -> Vec<String> {
        let mut past = Vec::new();
        for segment in segments.iter().filter(|segment| segment.dirty > 0) {
            for text in &self.disks[segment.disk].past {
                if !past.contains(text) {
                    past.push(text.clone());
                }
            }
        }
        past
    }

    fn in_turn(&self, mut extents: u64) -> Option<Vec<(usize, u64)>> {
        let mut segments = Vec::new();
        for (disk, state) in self.disks.iter().enumerate() {
            let part = state.room().min(extents);
            if part > 0 {
                extents -= part;
                segments.push((disk, part));
            }
        }
        (extents == 0).then_some(segments)
    }

    fn side_by_side(&self, count: usize, each: u64) -> Option<Vec<(usize, u64)>> {
        let mut disks: Vec<usize> = (0..self.disks.len()).collect();
        disks.retain(|disk| self.disks[*disk].room() >= each);
        disks.sort_by_key(|disk| std::cmp::Reverse(self.disks[*disk].room()));
        let chosen = disks.into_iter().take(count).map(|disk| (disk, each));
        let chosen: Vec<_> = chosen.collect();
        (chosen.len() == count).then_some(chosen)
    }

    /// Takes more extents for a volume, on the disks where its images lie.
    pub fn take_more(&mut self, lv: &LvName, more: u64) -> bool {
        let Some(volume) = self.lvs.get(lv) else {
            return false;
        };
        let layout = volume.layout.clone();
        let segments = match layout {
            Layout::Thin { .. } | Layout::Linear => self.take(&layout, more),
            spread => {
                let stripes = u64::from(spread.data_stripes());
                let old = (volume.size.0 / EXTENT.0).div_ceil(stripes);
                let taken = |data| image::extents(&spread, data, EXTENT);
                // The checksums grow on the disk that they are on.
                let each = taken(old + more.div_ceil(stripes)).zip(taken(old));
                let Some(each) = each.map(|(new, old)| new - old) else {
                    return false;
                };
                let disks: Vec<usize> = volume.segments.iter().map(|s| s.disk).collect();
                let fits = disks.iter().all(|disk| self.disks[*disk].room() >= each);
                fits.then(|| {
                    let segment = |disk: usize| self.disks[disk].give(disk, each);
                    // The images are the first segments; what comes later only adds to them.
                    let images = spread.disks() as usize;
                    disks.into_iter().take(images).map(segment).collect()
                })
            }
        };
        let Some(segments) = segments else {
            return false;
        };
        let past = self.past(&segments);
        if let Some(volume) = self.lvs.get_mut(lv) {
            volume.segments.extend(segments);
            volume.content.remains.extend(past);
        }
        true
    }

    /// Removes a volume and gives its extents back, as they are.
    pub fn free(&mut self, lv: &LvName) -> bool {
        let Some(volume) = self.lvs.remove(lv) else {
            return false;
        };
        let thick = !matches!(volume.layout, Layout::Thin { .. });
        let content = &volume.content;
        let readable = thick && content.key.is_none() && !content.files.is_empty();
        for segment in &volume.segments {
            let disk = &mut self.disks[segment.disk];
            disk.used -= segment.extents;
            if readable {
                disk.past.extend(content.files.values().cloned());
            }
            disk.dirty += if readable {
                segment.extents
            } else {
                segment.dirty
            };
        }
        true
    }

    /// All of a volume that can be reached shows nothing any more of what was on it.
    pub fn overwritten(&mut self, lv: &LvName, before: &Content) {
        let Some(volume) = self.lvs.get_mut(lv) else {
            return;
        };
        let readable = before.key.is_none() && !before.files.is_empty();
        for segment in &mut volume.segments {
            let disk = &mut self.disks[segment.disk];
            if !disk.missing {
                segment.dirty = 0;
            } else if readable {
                segment.dirty = segment.extents;
                disk.past.extend(before.files.values().cloned());
            }
        }
    }

    /// Gives back so many extents from the end of a volume; `clean` if they were overwritten.
    pub fn cut(&mut self, segments: &mut Vec<Segment>, mut extents: u64, clean: bool) {
        while extents > 0
            && let Some(last) = segments.last_mut()
        {
            let part = last.extents.min(extents);
            extents -= part;
            last.extents -= part;
            // What shows the past lies at the beginning.
            let left = last.dirty.min(last.extents);
            let disk = &mut self.disks[last.disk];
            disk.used -= part;
            disk.dirty += if clean { 0 } else { last.dirty - left };
            last.dirty = left;
            if last.extents == 0 {
                segments.pop();
            }
        }
    }
}
