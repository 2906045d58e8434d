//! NodeExpandVolume: what is on the volume grows to its size. Sizes are read, never believed.

use super::{NodeService, content_device, named, path};
use crate::parameters;
use crate::problem::Problem;
use ingot_csi_proto::v1::{NodeExpandVolumeRequest, NodeExpandVolumeResponse};
use ingot_lvm::{Command, Found, MountKind};

impl NodeService {
    pub(super) async fn expand(
        &self,
        request: NodeExpandVolumeRequest,
    ) -> Result<NodeExpandVolumeResponse, Problem> {
        named(&request.volume_id)?;
        if request.volume_path.is_empty() {
            return Err(Problem::Invalid(
                "the request has no volume path; add it".into(),
            ));
        }
        let id = Self::id(&request.volume_id)?;
        let target = path("volume path", &request.volume_path)?;
        let actor = self.agent.actor(id.uid);
        let _turn = actor.lock().await;
        let located = self.usable(id).await?;
        let mounts = self.agent.mounts_of(&located.device).await?;
        let Some(mount) = mounts.into_iter().find(|mount| mount.target == target) else {
            return Err(Problem::NotFound(format!(
                "volume {id} is not at {}; publish it first",
                target.display()
            )));
        };
        if located.tags.encrypted {
            let resize = Command::ResizeOpen {
                device: located.device.clone(),
                key: parameters::key(&request.secrets, "node-expand")?,
            };
            self.agent.executor.change(resize).await?;
        }
        let device = content_device(&located);
        if mount.kind == MountKind::Node && mount.read_only {
            let device = device.clone();
            let show = Command::ShowReadOnly { device };
            self.agent.executor.change(show).await?;
        }
        if mount.kind == MountKind::Filesystem {
            let Found::Filesystem { filesystem, .. } = self.agent.executor.probe(&device).await?
            else {
                return Err(Problem::Precondition(format!(
                    "{device} shows no filesystem although one is mounted from it; look at the kernel's log"
                )));
            };
            let grow = Command::GrowFilesystem {
                device: device.clone(),
                target,
                filesystem,
            };
            self.agent.executor.change(grow).await?;
        }
        let size = self.agent.executor.device_size(&device).await?;
        let wanted = request
            .capacity_range
            .as_ref()
            .map_or(0, |range| range.required_bytes);
        if i64::try_from(located.lv.size.0).unwrap_or(i64::MAX) < wanted {
            return Err(Problem::Precondition(format!(
                "volume {id} has {}, less than {wanted} bytes; expand it through the controller first",
                located.lv.size
            )));
        }
        Ok(NodeExpandVolumeResponse {
            capacity_bytes: i64::try_from(size.0).unwrap_or(i64::MAX),
        })
    }
}
