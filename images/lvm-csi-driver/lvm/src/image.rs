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
    parts(layout.redundant(), layout.integrity(), data, extent)
}

fn parts(redundant: bool, integrity: bool, data: u64, extent: Bytes) -> Option<u64> {
    // One says which part of a RAID it is.
    let mut all = data.checked_add(u64::from(redundant))?;
    if integrity {
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
    most(free, |data| {
        extents(layout, data, extent).is_some_and(|all| all <= free)
    })
}

/// How many extents of data fit, with checksums beside them, where so many extents are free in so many
/// pieces. LVM takes of the pieces for the data first, and the checksums lie in one of what is left:
/// however it takes, one of them is as large as their mean.
pub(crate) fn checked(free: u64, pieces: u32, extent: Bytes) -> u64 {
    most(free, |data| {
        let (Some(plain), Some(all)) = (
            parts(true, false, data, extent),
            parts(true, true, data, extent),
        ) else {
            return false;
        };
        let beside = all - plain;
        let left = free.saturating_sub(plain);
        left > (beside - 1).saturating_mul(u64::from(pieces))
    })
}

/// The most that fits, at most `free`.
fn most(free: u64, fits: impl Fn(u64) -> bool) -> u64 {
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
    fn in_pieces_one_of_what_is_left_holds_the_checksums() {
        let safe = Layout::raid1(2).expect("two").with_integrity();
        let safe = safe.expect("redundant");
        for free in (0..2000).chain([1 << 20]) {
            assert_eq!(
                checked(free, 1, EXTENT),
                data(&safe, free, EXTENT),
                "{free}"
            );
            for pieces in [2, 3, 7, 100] {
                let found = checked(free, pieces, EXTENT);
                assert!(found <= checked(free, pieces - 1, EXTENT));
                // Two extents each, since no more is left than that of any piece.
                let small = checked(u64::from(pieces) * 2, pieces, EXTENT);
                let takes = extents(&safe, small, EXTENT).expect("possible") - small - 1;
                assert!(small == 0 || takes <= 2, "{pieces}: {small}");
            }
        }
        // 2400 MiB of data need 52 MiB of checksums, which are 13 extents.
        let least = 600 + 1 + 5 * (13 - 1) + 1;
        assert_eq!(checked(least, 5, EXTENT), 600);
        assert_eq!(checked(least - 1, 5, EXTENT), 599);
    }

    #[test]
    fn where_lvm_would_round_the_checksums_away_nothing_fits() {
        let safe = Layout::raid1(2).expect("two").with_integrity();
        let safe = safe.expect("redundant");
        assert_eq!(data(&safe, 1000, Bytes::mib(32)), 0);
        assert!(data(&safe, 1000, Bytes::mib(1)) > 900);
    }
}
