//! NodePublishVolume and NodeUnpublishVolume: once per pod.

use super::{NodeService, content_device, named, path};
use crate::capability::{Access, Capability};
use crate::problem::Problem;
use ingot_csi_proto::v1::volume_capability::access_mode::Mode;
use ingot_csi_proto::v1::{NodePublishVolumeRequest, NodeUnpublishVolumeRequest};
use ingot_lvm::{Command, Device, LvmError, Mount, MountKind};
use ingot_volume_brain::FilesystemTag;

impl NodeService {
    pub(super) async fn publish(&self, request: NodePublishVolumeRequest) -> Result<(), Problem> {
        named(&request.volume_id)?;
        let target = path("target path", &request.target_path)?;
        let capability = Capability::required(request.volume_capability.as_ref())?;
        if request.staging_target_path.is_empty() {
            return Err(Problem::Precondition(
                "the request has no staging target path; stage the volume first, and say where"
                    .into(),
            ));
        }
        let source = path("staging target path", &request.staging_target_path)?;
        let id = Self::id(&request.volume_id)?;
        let read_only = request.readonly || capability.read_only();
        let actor = self.agent.actor(id.uid);
        let _turn = actor.lock().await;
        let located = self.usable(id).await?;
        let device = content_device(&located);
        let mounts = self.agent.mounts_of(&located.device).await?;
        let kind = match capability.access {
            Access::Block => MountKind::Node,
            Access::Mount { .. } => MountKind::Filesystem,
        };
        if let Some(mount) = mounts.iter().find(|mount| mount.target == target) {
            if mount.kind == kind && mount.read_only == read_only {
                return Ok(());
            }
            return Err(Problem::Exists(format!(
                "volume {id} is published at {} in another way (read only: {}); unpublish it first",
                target.display(),
                mount.read_only
            )));
        }
        let other = |mount: &&Mount| mount.target != source;
        if capability.mode == Mode::SingleNodeSingleWriter
            && let Some(mount) = mounts.iter().find(other)
        {
            return Err(Problem::Precondition(format!(
                "volume {id} is for one pod at a time and is published at {}; wait until that pod is gone",
                mount.target.display()
            )));
        }
        let there = match kind {
            MountKind::Filesystem => mounts.iter().any(|mount| mount.target == source),
            // Staging leaves nothing of a raw volume but its device.
            MountKind::Node => {
                let size = self.agent.executor.device_size(&device).await;
                !matches!(size, Err(LvmError::NotFound { .. }))
            }
        };
        // Without the tag what a pod writes would be taken for the rest of an attempt to format it.
        let staged = there && located.tags.filesystem == FilesystemTag::Formatted;
        if !staged {
            return Err(Problem::Precondition(format!(
                "volume {id} is not staged at {}; stage it first",
                source.display()
            )));
        }
        let otherwise = |mount: &&Mount| mount.kind == kind && mount.read_only != read_only;
        if kind == MountKind::Node
            && let Some(mount) = mounts.iter().find(otherwise)
        {
            // The view has a cache of its own, which would show what was there before.
            return Err(Problem::Precondition(format!(
                "volume {id} is published at {} (read only: {}); a raw volume is for reading only or for writing, not for both at once: unpublish it there first",
                mount.target.display(),
                mount.read_only
            )));
        }
        if kind == MountKind::Node && read_only {
            let device = device.clone();
            let show = Command::ShowReadOnly { device };
            self.agent.executor.change(show).await?;
        }
        let bind = Command::Bind {
            device,
            source,
            target: target.clone(),
            kind,
            read_only,
        };
        self.agent.executor.change(bind).await?;
        self.limit(id, &located, &target).await;
        Ok(())
    }

    pub(super) async fn unpublish(
        &self,
        request: NodeUnpublishVolumeRequest,
    ) -> Result<(), Problem> {
        let target = path("target path", &request.target_path)?;
        named(&request.volume_id)?;
        let id = Self::id(&request.volume_id)?;
        let actor = self.agent.actor(id.uid);
        let _turn = actor.lock().await;
        let mounts = self.agent.executor.mounts().await?;
        let here = mounts.iter().find(|mount| mount.target == target);
        if let Some(mount) = here
            && mount.device.lv != crate::object::lv_name(id.kind, id.uid)
        {
            return Err(Problem::Precondition(format!(
                "{} shows {}, not volume {id}; it was left as it is",
                target.display(),
                mount.device
            )));
        }
        let view = here.filter(|mount| mount.kind == MountKind::Node && mount.read_only);
        let device = view.map(|mount| mount.device.clone());
        // Also without a mount: the place may be left over from before a reboot.
        self.agent
            .executor
            .change(Command::Unmount { target })
            .await?;
        if let Some(device) = device {
            match self.withdraw(device).await {
                // Others read it too; the last of them, or unstaging, takes it away.
                Err(LvmError::InUse { .. }) => {}
                done => done?,
            }
        }
        Ok(())
    }

    /// Takes the read-only view of a raw device away, if there is one.
    pub(super) async fn withdraw(&self, device: Device) -> Result<(), LvmError> {
        match self
            .agent
            .executor
            .change(Command::Withdraw { device })
            .await
        {
            Ok(()) | Err(LvmError::NotFound { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }
}
