//! Which blocks of a thin volume are written, and in which two of them differ.

use ingot_volume_brain::{Bytes, LvName, VgName};

/// What to look for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockQuery {
    /// The group.
    pub vg: VgName,
    /// The thin pool.
    pub pool: LvName,
    /// Of this volume, which nobody writes to.
    pub lv: LvName,
    /// What differs from this one, which nobody writes to either; without one, all that is written.
    pub base: Option<LvName>,
    /// Only what lies behind this place, in whole chunks.
    pub from: Bytes,
    /// At most so many ranges.
    pub most: usize,
}

/// A part of a volume: whole chunks of its pool, so the last one may end behind the volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockRange {
    /// Where it begins.
    pub from: Bytes,
    /// Where it ends.
    pub to: Bytes,
}

/// What was found: in order, and no two ranges touch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Blocks {
    /// The ranges.
    pub ranges: Vec<BlockRange>,
    /// There are more behind the last one.
    pub more: bool,
}

impl Blocks {
    /// Takes one more range of a query, behind all others. Says whether the next one is of interest.
    pub(crate) fn take(&mut self, query: &BlockQuery, range: BlockRange) -> bool {
        if range.to <= query.from {
            return true;
        }
        let full = self.ranges.len() >= query.most;
        match self.ranges.last_mut() {
            Some(last) if last.to == range.from => last.to = range.to,
            _ if full => {
                self.more = true;
                return false;
            }
            _ => self.ranges.push(BlockRange {
                from: range.from.max(query.from),
                to: range.to,
            }),
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(from: u64, most: usize) -> (Vec<(u64, u64)>, bool) {
        let name = |name| LvName::new(name).expect("a name");
        let query = BlockQuery {
            vg: VgName::new("vg").expect("a name"),
            pool: name("pool"),
            lv: name("lv"),
            base: None,
            from: Bytes(from),
            most,
        };
        let mut blocks = Blocks::default();
        for (from, to) in [(0, 2), (2, 3), (5, 6), (8, 12)] {
            let (from, to) = (Bytes(from), Bytes(to));
            if !blocks.take(&query, BlockRange { from, to }) {
                break;
            }
        }
        let ranges = blocks.ranges.iter().map(|range| (range.from.0, range.to.0));
        (ranges.collect(), blocks.more)
    }

    #[test]
    fn ranges_that_touch_are_one_and_what_lies_before_is_left_out() {
        assert_eq!(found(0, 9), (vec![(0, 3), (5, 6), (8, 12)], false));
        assert_eq!(found(3, 9), (vec![(5, 6), (8, 12)], false));
        assert_eq!(found(9, 9), (vec![(9, 12)], false));
        assert_eq!(found(12, 9), (vec![], false));
    }

    #[test]
    fn what_is_not_told_at_once_is_told_behind_it() {
        assert_eq!(found(0, 2), (vec![(0, 3), (5, 6)], true));
        assert_eq!(found(6, 2), (vec![(8, 12)], false));
    }
}
