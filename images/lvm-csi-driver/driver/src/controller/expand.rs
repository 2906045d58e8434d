//! ControllerExpandVolume: the wish is written, its owner enlarges the logical volume.

use super::range::Range;
use super::{ControllerService, number};
use crate::capability::{Access, Capability};
use crate::object::VolumeId;
use crate::problem::Problem;
use crate::store::StoreError;
use ingot_csi_proto::v1;
use ingot_lvm::Kind;
use ingot_volume_brain::{Bytes, Phase};

impl ControllerService {
    pub(super) async fn expand(
        &self,
        request: v1::ControllerExpandVolumeRequest,
    ) -> Result<v1::ControllerExpandVolumeResponse, Problem> {
        if request.volume_id.is_empty() {
            return Err(Problem::Invalid(
                "the request has no volume id; add it".into(),
            ));
        }
        let Some(range) = request.capacity_range else {
            return Err(Problem::Invalid(
                "the request has no capacity range; add it".into(),
            ));
        };
        let range = Range::parse(Some(range))?;
        let (_, volume) = self.existing(Kind::Volume, &request.volume_id).await?;
        let size = self.rounded(&volume, range.least).await?;
        if size > range.most {
            return Err(Problem::OutOfRange(format!(
                "volumes have whole extents: {} becomes {size}, above the limit of {} bytes; raise the limit",
                range.least, range.most.0
            )));
        }
        let id = VolumeId::of(&volume);
        self.want(id, &request.volume_id, size).await?;
        let decided = |found: Option<&(_, crate::object::Volume)>| {
            found.is_none_or(|(_, volume)| {
                volume.report.size >= size
                    || volume.report.refused.is_some_and(|refused| refused >= size)
                    || volume.report.phase == Phase::Lost
            })
        };
        let Some((_, volume)) = self.until(id, "growth", decided).await? else {
            return Err(Problem::NotFound(format!(
                "volume {id} was deleted meanwhile"
            )));
        };
        if volume.report.phase == Phase::Lost {
            return Err(Problem::Internal(format!(
                "volume {id}: {}",
                volume.message
            )));
        }
        if volume.report.size < size {
            // What cannot be had is not wanted any longer, or it would be taken later unasked.
            self.want_no_more(id).await?;
            return Err(Problem::OutOfRange(format!(
                "volume {id} on node {}: {}",
                volume.node, volume.message
            )));
        }
        let block = match request.volume_capability.as_ref() {
            Some(capability) => Capability::parse(capability)?.access == Access::Block,
            None => false,
        };
        Ok(v1::ControllerExpandVolumeResponse {
            capacity_bytes: number(volume.report.size),
            // A raw device grows by itself, unless it is decrypted on the way.
            node_expansion_required: !block || volume.encrypted,
        })
    }

    async fn rounded(
        &self,
        volume: &crate::object::Volume,
        least: Bytes,
    ) -> Result<Bytes, Problem> {
        let key = crate::object::Key::pool(&volume.node, &volume.pool);
        let stored = self.store.get(&key).await?;
        let pool = stored.as_ref().and_then(|stored| stored.object.pool());
        if let Some(trouble) = pool.and_then(|pool| pool.trouble.as_ref()) {
            return Err(Problem::Unavailable(format!(
                "pool {} on node {}: {trouble}",
                volume.pool, volume.node
            )));
        }
        let extent = pool
            .map(|pool| pool.space.extent)
            .filter(|extent| *extent > Bytes::ZERO);
        let extent = extent.ok_or_else(|| {
            Problem::Unavailable(format!(
                "node {} does not report its pool {}; see that its agent runs and its disks are there",
                volume.node, volume.pool
            ))
        })?;
        Ok(volume
            .layout
            .round_up(least, extent)
            .max(volume.size.min(volume.report.size)))
    }

    /// Raises the wanted size; never lowers it.
    async fn want(&self, id: VolumeId, name: &str, size: Bytes) -> Result<(), Problem> {
        loop {
            let (version, mut volume) = self.existing(Kind::Volume, name).await?;
            if volume.size >= size {
                return Ok(());
            }
            volume.size = size;
            match self.store.update(&id.key(), version, volume.into()).await {
                Err(StoreError::Conflict(_)) => {}
                Ok(_) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Takes a wish back that was refused: what there is remains. Another wish is not touched.
    async fn want_no_more(&self, id: VolumeId) -> Result<(), Problem> {
        loop {
            let found = crate::store::volume(&*self.store, &id.key()).await?;
            let Some((version, mut volume)) = found.filter(|(_, volume)| volume.uid == id.uid)
            else {
                return Ok(());
            };
            if volume.report.refused != Some(volume.size) {
                return Ok(());
            }
            volume.size = volume.report.size;
            match self.store.update(&id.key(), version, volume.into()).await {
                Err(StoreError::Conflict(_)) => {}
                Err(StoreError::NotFound(_)) | Ok(_) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }
}
