//! How much one image of a spread layout takes on its disk: LVM's own arithmetic. Finds no disk.

use crate::layout::Layout;
use ingot_volume_brain::Bytes;

/// What LVM gives to checksums is a multiple of this.
const STEP: Bytes = Bytes::mib(4);

/// Space for the checksums and the journal of an image with that much data, as LVM has it in
/// lib/metadata/integrity_manip.c.
fn checksums(data: Bytes) -> Bytes {
    let tags = Bytes((data.0 / Bytes::mib(500).0 + 1) * STEP.0);
    let journal = match data {
        data if data <= Bytes::mib(512) => Bytes::mib(4),
        data if data <= Bytes::gib(1) => Bytes::mib(8),
        data if data <= Bytes::gib(4) => Bytes::mib(32),
        _ => Bytes::mib(64),
    };
    tags.saturating_add(journal)
}

/// The extents of one image with `data` extents of data; none, if LVM cannot make it.
pub(crate) fn extents(layout: &Layout, data: u64, extent: Bytes) -> Option<u64> {
    // One says which part of a RAID it is.
    let mut all = data.checked_add(u64::from(layout.redundant()))?;
    if layout.integrity() {
        // LVM rounds down to whole extents, and would make less than the kernel needs.
        if extent.0 == 0 || !STEP.0.is_multiple_of(extent.0) {
            return None;
        }
        let size = Bytes(data.checked_mul(extent.0)?);
        all = all.checked_add(checksums(size).0 / extent.0)?;
    }
    Some(all)
}

/// How many extents of data fit into an image of so many extents.
pub(crate) fn data(layout: &Layout, free: u64, extent: Bytes) -> u64 {
    let fits = |data: u64| extents(layout, data, extent).is_some_and(|all| all <= free);
    let (mut least, mut most) = (0, free);
    while least < most {
        let middle = most - (most - least) / 2;
        match fits(middle) {
            true => least = middle,
            false => most = middle - 1,
        }
    }
    least
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXTENT: Bytes = Bytes::mib(4);

    /// As LVM 2.03.16 of Debian 12 made them.
    #[test]
    fn checksums_take_what_lvm_was_seen_to_give_them() {
        for (data, given) in [
            (4, 8),
            (496, 8),
            (500, 12),
            (512, 12),
            (516, 16),
            (996, 16),
            (1000, 20),
            (1024, 20),
            (1028, 44),
            (1500, 48),
            (2000, 52),
            (4096, 68),
            (4100, 100),
            (5000, 108),
        ] {
            assert_eq!(checksums(Bytes::mib(data)), Bytes::mib(given), "{data} MiB");
        }
    }

    #[test]
    fn the_most_that_fits_is_found_exactly() {
        let plain = Layout::raid1(2).expect("two");
        let safe = plain.clone().with_integrity().expect("redundant");
        let striped = Layout::striped(2).expect("two");
        for free in (0..3000).chain([1 << 20, 1 << 40]) {
            assert_eq!(data(&striped, free, EXTENT), free);
            assert_eq!(data(&plain, free, EXTENT), free.saturating_sub(1));
            let most = data(&safe, free, EXTENT);
            let takes = |data| extents(&safe, data, EXTENT).expect("possible");
            assert!(most == 0 || takes(most) <= free, "{most} of {free}");
            assert!(takes(most + 1) > free, "{most} of {free}");
        }
    }

    #[test]
    fn where_lvm_would_round_the_checksums_away_nothing_fits() {
        let safe = Layout::raid1(2).expect("two").with_integrity();
        let safe = safe.expect("redundant");
        assert_eq!(data(&safe, 1000, Bytes::mib(32)), 0);
        assert!(data(&safe, 1000, Bytes::mib(1)) > 900);
    }
}
