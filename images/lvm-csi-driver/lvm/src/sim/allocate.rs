//! Finds extents on disks for a layout, and gives them back.

use super::state::{Disk, GroupState, Segment};
use crate::layout::Layout;
use ingot_volume_brain::LvName;

impl Disk {
    fn room(&self) -> u64 {
        if self.missing {
            0
        } else {
            self.extents - self.used
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
                let metadata = u64::from(spread.redundant());
                let each = extents.div_ceil(u64::from(spread.data_stripes())) + metadata;
                self.side_by_side(spread.disks() as usize, each)
            }
        }?;
        for segment in &segments {
            self.disks[segment.disk].used += segment.extents;
        }
        Some(segments)
    }

    fn in_turn(&self, mut extents: u64) -> Option<Vec<Segment>> {
        let mut segments = Vec::new();
        for (disk, state) in self.disks.iter().enumerate() {
            let part = state.room().min(extents);
            if part > 0 {
                extents -= part;
                segments.push(Segment {
                    disk,
                    extents: part,
                });
            }
        }
        (extents == 0).then_some(segments)
    }

    fn side_by_side(&self, count: usize, each: u64) -> Option<Vec<Segment>> {
        let mut disks: Vec<usize> = (0..self.disks.len()).collect();
        disks.retain(|disk| self.disks[*disk].room() >= each);
        disks.sort_by_key(|disk| std::cmp::Reverse(self.disks[*disk].room()));
        let chosen = disks.into_iter().take(count).map(|disk| Segment {
            disk,
            extents: each,
        });
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
                let each = more.div_ceil(u64::from(spread.data_stripes()));
                let disks: Vec<usize> = volume.segments.iter().map(|s| s.disk).collect();
                let fits = disks.iter().all(|disk| self.disks[*disk].room() >= each);
                fits.then(|| {
                    let segment = |disk: usize| {
                        self.disks[disk].used += each;
                        Segment {
                            disk,
                            extents: each,
                        }
                    };
                    // The images are the first segments; what comes later only adds to them.
                    let images = spread.disks() as usize;
                    disks.into_iter().take(images).map(segment).collect()
                })
            }
        };
        match (segments, self.lvs.get_mut(lv)) {
            (Some(segments), Some(volume)) => {
                volume.segments.extend(segments);
                true
            }
            _ => false,
        }
    }

    /// Removes a volume and gives its extents back.
    pub fn free(&mut self, lv: &LvName) -> bool {
        let Some(volume) = self.lvs.remove(lv) else {
            return false;
        };
        for segment in volume.segments {
            self.disks[segment.disk].used -= segment.extents;
        }
        true
    }
}
