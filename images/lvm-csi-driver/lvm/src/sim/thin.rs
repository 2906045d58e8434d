//! How full thin pools are, and what makes them so.

use super::state::{GroupState, PoolState, State, Volume, missing};
use crate::backend::Reply;
use crate::blocks::{BlockQuery, BlockRange, Blocks};
use crate::error::LvmError;
use crate::group::{Fill, ThinUsage};
use crate::layout::Layout;
use ingot_volume_brain::{Bytes, LvName, VgName};
use std::collections::{BTreeMap, BTreeSet};

impl State {
    /// What a kernel would say of the pool.
    pub fn thin_fill(&mut self, vg: &VgName, pool: &LvName) -> Result<Reply, LvmError> {
        let group = self.group(vg)?;
        let there = group
            .disks
            .iter()
            .all(|disk| !disk.lost() && !disk.read_only);
        let found = group.lvs.get(pool);
        let usage = found.and_then(|volume| Some((group.thin_usage(pool, volume)?, volume)));
        let Some((usage, volume)) = usage else {
            return Err(missing(format!("thin pool {vg}/{pool}")));
        };
        Ok(Reply::Fill(Fill {
            data: usage.data,
            metadata: usage.metadata,
            held: false,
            well: there && volume.ailment().is_none(),
        }))
    }

    /// What is written of a thin volume, or differs from another.
    pub fn thin_blocks(&mut self, query: &BlockQuery) -> Result<Reply, LvmError> {
        let group = self.group(&query.vg)?;
        let pool = group.lvs.get(&query.pool).and_then(|lv| lv.thin_pool);
        let inside = Layout::Thin {
            pool: query.pool.clone(),
        };
        let map = |lv: &LvName| {
            let found = group.lvs.get(lv).filter(|lv| lv.layout == inside);
            found
                .map(|lv| &lv.map)
                .ok_or_else(|| missing(format!("thin volume {}/{lv} in {}", query.vg, query.pool)))
        };
        let own = map(&query.lv)?;
        let none = BTreeMap::new();
        let base = query.base.as_ref().map_or(Ok(&none), map)?;
        let Some(PoolState { chunk, .. }) = pool else {
            return Err(missing(format!("thin pool {}/{}", query.vg, query.pool)));
        };
        let places: BTreeSet<&u64> = own.keys().chain(base.keys()).collect();
        let mut found = Blocks::default();
        for place in places {
            let range = BlockRange {
                from: Bytes(place * chunk.0),
                to: Bytes((place + 1) * chunk.0),
            };
            if own.get(place) != base.get(place) && !found.take(query, range) {
                break;
            }
        }
        Ok(Reply::Blocks(found))
    }

    /// Writes to a part of a thin volume: each chunk of it gets a block of its own.
    pub fn write_blocks(&mut self, vg: &VgName, lv: &LvName, from: Bytes, to: Bytes) {
        self.blocks_written += 1;
        let block = self.blocks_written;
        let Ok(group) = self.group(vg) else { return };
        let pool = match group.lvs.get(lv).map(|lv| &lv.layout) {
            Some(Layout::Thin { pool }) => group.lvs.get(pool).and_then(|lv| lv.thin_pool),
            _ => None,
        };
        if let (Some(pool), Some(volume)) = (pool, group.lvs.get_mut(lv)) {
            let chunks = from.0 / pool.chunk.0..to.0.div_ceil(pool.chunk.0);
            volume.map.extend(chunks.map(|chunk| (chunk, block)));
        }
    }

    pub fn fill(&mut self, vg: &VgName, lv: &LvName, written: Bytes) -> Result<(), LvmError> {
        let volume = self.volume(vg, lv)?;
        volume.written = Bytes(
            volume
                .written
                .0
                .saturating_add(written.0)
                .min(volume.size.0),
        );
        Ok(())
    }
}

impl GroupState {
    /// Fill of a thin pool, from what its volumes have written.
    pub fn thin_usage(&self, pool: &LvName, volume: &Volume) -> Option<ThinUsage> {
        let PoolState { metadata, chunk } = volume.thin_pool?;
        if volume.stale {
            // As LVM has it where the kernel tells no numbers.
            return Some(ThinUsage {
                data: 1.0,
                metadata: 1.0,
                metadata_size: metadata,
                chunk,
            });
        }
        let layout = Layout::Thin { pool: pool.clone() };
        let inside = self.lvs.values().filter(|lv| lv.layout == layout);
        let (count, written) = inside.fold((0_u64, 0_u64), |(count, written), lv| {
            (
                count + 1,
                written + lv.written.0.div_ceil(chunk.0) * chunk.0,
            )
        });
        // A mapping of a chunk takes about 64 bytes, a volume a block.
        let mappings = written / chunk.0 * 64 + count * 4096 + (1 << 20);
        #[allow(clippy::cast_precision_loss)]
        let part = |used: u64, of: Bytes| (used as f64 / of.0 as f64).min(1.0);
        Some(ThinUsage {
            data: part(written, volume.size),
            metadata: part(mappings, metadata),
            metadata_size: metadata,
            chunk,
        })
    }
}
