//! NodeGetVolumeStats: fill of what a pod has.

use super::{NodeService, content_device, named};
use crate::problem::Problem;
use ingot_csi_proto::v1::volume_usage::Unit;
use ingot_csi_proto::v1::{NodeGetVolumeStatsRequest, NodeGetVolumeStatsResponse, VolumeUsage};
use ingot_lvm::MountKind;
use std::path::Path;

fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn usage(unit: Unit, total: u64, available: u64, used: u64) -> VolumeUsage {
    VolumeUsage {
        available: number(available),
        total: number(total),
        used: number(used),
        unit: unit.into(),
    }
}

impl NodeService {
    pub(super) async fn stats(
        &self,
        request: NodeGetVolumeStatsRequest,
    ) -> Result<NodeGetVolumeStatsResponse, Problem> {
        named(&request.volume_id)?;
        if request.volume_path.is_empty() {
            return Err(Problem::Invalid(
                "the request has no volume path; add it".into(),
            ));
        }
        let target = Path::new(&request.volume_path);
        let id = Self::id(&request.volume_id)?;
        let located = self.locate(id).await?;
        let mounts = self.agent.mounts_of(&located.device).await?;
        let Some(mount) = mounts.into_iter().find(|mount| mount.target == *target) else {
            return Err(Problem::NotFound(format!(
                "volume {id} is not at {}; publish it first",
                target.display()
            )));
        };
        let usages = match mount.kind {
            MountKind::Node => {
                let size = self
                    .agent
                    .executor
                    .device_size(&content_device(&located))
                    .await?;
                vec![usage(Unit::Bytes, size.0, 0, 0)]
            }
            MountKind::Filesystem => {
                let fill = self.agent.executor.usage(target).await?;
                let used = fill.total.saturating_sub(fill.available);
                let inodes = fill.inodes.saturating_sub(fill.inodes_free);
                vec![
                    usage(Unit::Bytes, fill.total.0, fill.available.0, used.0),
                    usage(Unit::Inodes, fill.inodes, fill.inodes_free, inodes),
                ]
            }
        };
        Ok(NodeGetVolumeStatsResponse { usage: usages })
    }
}
