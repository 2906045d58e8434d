//! Parts of a device.

use ingot_volume_brain::Bytes;
use serde::{Deserialize, Serialize};

/// Parts of a device that do not touch each other, in their order.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Ranges(Vec<(u64, u64)>);

impl Ranges {
    /// Adds a part, by its beginning and its end.
    pub fn add(&mut self, from: Bytes, to: Bytes) {
        let (mut from, mut to) = (from.0, to.0);
        self.0.retain(|part| {
            let apart = part.1 < from || to < part.0;
            if !apart {
                (from, to) = (from.min(part.0), to.max(part.1));
            }
            apart
        });
        self.0.push((from, to));
        self.0.sort_unstable();
    }

    /// Whether all of a part is in them.
    pub fn cover(&self, from: Bytes, to: Bytes) -> bool {
        from >= to || self.0.iter().any(|part| part.0 <= from.0 && to.0 <= part.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_that_touch_become_one() {
        let mut ranges = Ranges::default();
        let add = |ranges: &mut Ranges, from, to| ranges.add(Bytes(from), Bytes(to));
        add(&mut ranges, 0, 10);
        add(&mut ranges, 20, 30);
        assert!(ranges.cover(Bytes(20), Bytes(30)) && !ranges.cover(Bytes(5), Bytes(25)));
        add(&mut ranges, 10, 20);
        assert!(ranges.cover(Bytes(0), Bytes(30)) && !ranges.cover(Bytes(0), Bytes(31)));
    }
}
