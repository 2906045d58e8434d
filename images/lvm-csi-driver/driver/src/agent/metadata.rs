//! How much metadata a thin pool gets, and how large its chunks are. Pure: the group and what is
//! configured in, two sizes out.
//!
//! A pool without metadata takes no writes at all, and what it needs grows with the number of its chunks;
//! so it is made for as many as the pool can have when it has grown over all of its group.

use super::growth::METADATA_MOST;
use crate::config::ThinConfig;
use ingot_lvm::Group;
use ingot_volume_brain::Bytes;

/// What there is before the first chunk.
const BASE: Bytes = Bytes::mib(17);
/// What LVM plans for a chunk. One that is mapped once takes 19; the rest is for snapshots.
const PER_CHUNK: u64 = 64;
/// Small pools have this much: it costs nothing worth naming.
const LEAST: Bytes = Bytes::mib(128);
/// Above it chunks become larger instead: all of it is read when a pool is checked after a power cut.
const EASY: Bytes = Bytes::gib(1);
/// LVM's own smallest chunk: what a snapshot copies when one byte is written.
const CHUNK: Bytes = Bytes(64 << 10);
/// The kernel takes no larger ones.
const CHUNK_MOST: Bytes = Bytes::gib(1);

/// The shape of a thin pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    /// Size of a chunk.
    pub chunk: Bytes,
    /// Space for metadata.
    pub metadata: Bytes,
}

/// What the chunks of so much space take.
fn needed(space: Bytes, chunk: Bytes) -> Bytes {
    let chunks = space.0.div_ceil(chunk.0.max(1));
    BASE.saturating_add(Bytes(chunks.saturating_mul(PER_CHUNK)))
}

/// The shape of a pool that is to be made in that group, in which nothing is kept apart.
pub(super) fn shape(group: &Group, thin: &ThinConfig) -> Shape {
    let whole = Bytes(group.pvs.iter().map(|pv| pv.size.0).sum());
    let space = whole.max(thin.size);
    let chunk = thin.chunk.unwrap_or_else(|| {
        let mut chunk = CHUNK;
        while needed(space, chunk) > EASY && chunk < CHUNK_MOST {
            chunk = Bytes(chunk.0 * 2);
        }
        chunk
    });
    let metadata = thin.metadata.unwrap_or_else(|| {
        // LVM keeps a spare of the same size beside it.
        let room = Bytes(group.free().saturating_sub(thin.size).0 / 2).round_down(group.extent);
        // It can grow later; a pool that fits is not refused for it.
        needed(space, chunk).min(METADATA_MOST).min(room).max(LEAST)
    });
    Shape {
        chunk,
        metadata: metadata.round_up(group.extent),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ingot_lvm::{Pv, ThinGuard};
    use ingot_volume_brain::{LvName, VgName};

    fn group(size: Bytes) -> Group {
        Group {
            vg: VgName::new("vg").expect("a name"),
            tags: Vec::new(),
            extent: Bytes::mib(4),
            pvs: vec![Pv {
                device: "/dev/sda".into(),
                uuid: "a".into(),
                names: Vec::new(),
                size,
                free: size,
                pieces: 1,
                missing: false,
                read_only: false,
                erased: true,
            }],
            lvs: Vec::new(),
        }
    }

    fn thin(size: Bytes) -> ThinConfig {
        ThinConfig {
            pool: LvName::new("pool").expect("a name"),
            size,
            metadata: None,
            chunk: None,
            guard: ThinGuard::default(),
        }
    }

    fn shaped(disk: Bytes, size: Bytes) -> (Bytes, Bytes) {
        let Shape { chunk, metadata } = shape(&group(disk), &thin(size));
        (chunk, metadata)
    }

    #[test]
    fn small_pools_have_what_they_always_had() {
        let small = (Bytes(64 << 10), Bytes::mib(128));
        assert_eq!(shaped(Bytes::gib(2), Bytes::mib(512)), small);
        assert_eq!(shaped(Bytes::gib(60), Bytes::gib(40)), small);
        assert_eq!(shaped(Bytes::gib(100), Bytes::gib(90)), small);
    }

    #[test]
    fn metadata_is_enough_for_all_chunks_that_the_group_can_hold() {
        for gib in [300, 1000, 4000, 40_000, 400_000] {
            let disk = Bytes::gib(gib);
            // Made small; it grows over its group later.
            let (chunk, metadata) = shaped(disk, Bytes(disk.0 / 2));
            #[allow(clippy::cast_precision_loss)]
            let fill = (17.0 * 1048576.0 + (disk.0 / chunk.0) as f64 * 19.0) / metadata.0 as f64;
            assert!(
                fill < 0.6,
                "{gib} GiB: {metadata} of {chunk} are full to {fill}"
            );
            assert!(metadata <= Bytes(EASY.0 * 2), "{gib} GiB: {metadata}");
            assert!(chunk.0.is_power_of_two());
        }
        let (chunk, _) = shaped(Bytes::gib(900), Bytes::gib(800));
        assert_eq!(
            chunk,
            Bytes(64 << 10),
            "small chunks as long as they can be"
        );
        let (chunk, _) = shaped(Bytes::gib(4000), Bytes::gib(800));
        assert_eq!(chunk, Bytes(256 << 10));
    }

    #[test]
    fn a_pool_that_fills_its_group_is_not_refused_for_its_metadata() {
        let (_, metadata) = shaped(Bytes::gib(1000), Bytes::gib(999));
        assert_eq!(metadata, Bytes::mib(512), "half of what is left");
        let (_, metadata) = shaped(Bytes::gib(1000), Bytes::gib(1000));
        assert_eq!(metadata, Bytes::mib(128));
    }

    #[test]
    fn what_is_configured_is_taken_as_it_is() {
        let thin = ThinConfig {
            metadata: Some(Bytes::mib(6)),
            chunk: Some(Bytes(128 << 10)),
            ..thin(Bytes::gib(900))
        };
        let expected = Shape {
            chunk: Bytes(128 << 10),
            metadata: Bytes::mib(8),
        };
        assert_eq!(shape(&group(Bytes::gib(1000)), &thin), expected);
        let chunk = Some(Bytes(64 << 10));
        let thin = ThinConfig {
            metadata: None,
            chunk,
            ..thin
        };
        let metadata = shape(&group(Bytes::gib(500_000)), &thin).metadata;
        assert_eq!(metadata, METADATA_MOST, "more than that LVM cannot use");
    }
}
