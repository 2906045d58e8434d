//! The health requests of CSI 1.13: what owners reported of volumes and pools.

use super::ControllerService;
use crate::health::{Findings, entry, severity};
use crate::object::{Key, Volume};
use crate::problem::Problem;
use ingot_csi_proto::v1::{VolumeHealth, VolumeHealthErrorType};
use ingot_volume_brain::Phase;

impl ControllerService {
    /// Health of one volume; no entries mean that nothing is known against it.
    pub(super) async fn health(&self, volume: &Volume) -> Result<VolumeHealth, Problem> {
        let mut findings = Findings::default();
        if volume.report.phase == Phase::Lost {
            findings.say(
                VolumeHealthErrorType::DataLoss,
                "Lost",
                volume.message.clone(),
            );
        }
        let pool = self
            .store
            .get(&Key::pool(&volume.node, &volume.pool))
            .await?;
        match pool.as_ref().and_then(|stored| stored.object.pool()) {
            None => findings.say(
                VolumeHealthErrorType::Inaccessible,
                "PoolUnknown",
                format!("node {} does not report pool {}", volume.node, volume.pool),
            ),
            Some(pool) => {
                // What does not lie on a missing disk can be used.
                if let Some(trouble) = &pool.trouble
                    && pool.missing.is_empty()
                {
                    findings.say(VolumeHealthErrorType::Inaccessible, "Pool", trouble.clone());
                }
                let id = volume.id();
                if let Some(found) = pool.ailing.iter().find(|ailing| ailing.id == id) {
                    let status = severity(found.readable);
                    findings.say(status, "LogicalVolume", found.message.clone());
                }
            }
        }
        Ok(VolumeHealth {
            volume_id: volume.id(),
            health_statuses: findings.entries(entry),
        })
    }
}
