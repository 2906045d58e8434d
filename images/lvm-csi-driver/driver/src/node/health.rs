//! The health requests of CSI 1.13 on a node: what LVM and the queues know.

use super::{NodeService, named};
use crate::agent::{failure, missing_disks, protected};
use crate::health::{Findings, entry, severity};
use crate::object::ailment;
use crate::problem::Problem;
use ingot_csi_proto::v1::node_get_storage_health_response::StorageBackendHealth;
use ingot_csi_proto::v1::{
    NodeGetStorageHealthResponse, NodeGetVolumeHealthRequest, NodeGetVolumeHealthResponse,
    StorageHealthErrorType, VolumeHealth, VolumeHealthErrorType,
};
use ingot_lvm::{Lane, LvmError};

impl NodeService {
    pub(super) async fn volume_health(
        &self,
        request: NodeGetVolumeHealthRequest,
    ) -> Result<NodeGetVolumeHealthResponse, Problem> {
        named(&request.volume_id)?;
        let id = Self::id(&request.volume_id)?;
        let located = self.locate(id).await?;
        let mut findings = Findings::default();
        let lanes = [
            Lane::Group(located.device.vg.clone()),
            Lane::Volume(located.device.lv.clone()),
        ];
        for error in lanes
            .iter()
            .filter_map(|lane| self.agent.executor.blocked(lane))
        {
            findings.say(
                VolumeHealthErrorType::Inaccessible,
                "CommandHangs",
                error.to_string(),
            );
        }
        if let Some(text) = ailment(&located.lv) {
            findings.say(severity(located.lv.readable), "LogicalVolume", text);
        }
        Ok(NodeGetVolumeHealthResponse {
            volume_health: Some(VolumeHealth {
                volume_id: request.volume_id,
                health_statuses: findings.entries(entry),
            }),
        })
    }

    pub(super) async fn storage_health(&self) -> NodeGetStorageHealthResponse {
        let mut findings = Findings::default();
        for pool in &self.agent.config.pools {
            let mut say =
                |status: StorageHealthErrorType, reason: &'static str, message: String| {
                    findings.say(status, reason, format!("pool {}: {message}", pool.name));
                };
            let vg = &pool.volume_group;
            if let Some(error) = self.agent.executor.blocked(&Lane::Group(vg.clone())) {
                say(
                    StorageHealthErrorType::StorageUnreachable,
                    "CommandHangs",
                    error.to_string(),
                );
                continue;
            }
            match self.agent.inventory.group(vg).await {
                Err(error @ (LvmError::GroupMissing { .. } | LvmError::Hung { .. })) => say(
                    StorageHealthErrorType::StorageUnreachable,
                    "VolumeGroup",
                    error.to_string(),
                ),
                Err(error) => {
                    say(
                        StorageHealthErrorType::StorageDegraded,
                        "VolumeGroup",
                        error.to_string(),
                    );
                }
                Ok(group) => {
                    for disk in missing_disks(pool, &group) {
                        say(
                            StorageHealthErrorType::StorageDegraded,
                            "DiskMissing",
                            format!("{disk} is missing; replace or reconnect it"),
                        );
                    }
                    if let Some(text) = protected(&group) {
                        say(
                            StorageHealthErrorType::StorageDegraded,
                            "DiskReadOnly",
                            text,
                        );
                    }
                    if let Some(text) = failure(pool, &group) {
                        say(
                            StorageHealthErrorType::StorageUnreachable,
                            "PoolFailed",
                            text,
                        );
                        continue;
                    }
                    let full = pool.thin.as_ref().and_then(|thin| {
                        let usage = group.lv(&thin.pool)?.thin?;
                        (usage.data.max(usage.metadata) >= thin.guard.stop).then_some(usage)
                    });
                    if let Some(usage) = full {
                        say(
                            StorageHealthErrorType::StorageDegraded,
                            "PoolFull",
                            format!(
                                "its thin pool is full to {:.0} % (metadata {:.0} %); add a disk, or delete volumes or snapshots",
                                usage.data * 100.0,
                                usage.metadata * 100.0
                            ),
                        );
                    }
                }
            }
        }
        let entry = |status: StorageHealthErrorType, reason, message| StorageBackendHealth {
            status: status.into(),
            reason,
            message,
            volume_capability: None,
        };
        NodeGetStorageHealthResponse {
            backend_health: findings.entries(entry),
        }
    }
}
