//! How full thin pools are, and what makes them so.

use super::state::{GroupState, PoolState, State, Volume, missing};
use crate::backend::Reply;
use crate::error::LvmError;
use crate::group::{Fill, ThinUsage};
use crate::layout::Layout;
use ingot_volume_brain::{Bytes, LvName, VgName};

impl State {
    /// What a kernel would say of the pool.
    pub fn thin_fill(&mut self, vg: &VgName, pool: &LvName) -> Result<Reply, LvmError> {
        let group = self.group(vg)?;
        let there = group
            .disks
            .iter()
            .all(|disk| !disk.missing && !disk.read_only);
        let found = group.lvs.get(pool);
        let usage = found.and_then(|volume| Some((group.thin_usage(pool, volume)?, volume)));
        let Some((usage, volume)) = usage else {
            return Err(missing(format!("thin pool {vg}/{pool}")));
        };
        Ok(Reply::Fill(Fill {
            data: usage.data,
            metadata: usage.metadata,
            well: there && volume.ailment().is_none(),
        }))
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
