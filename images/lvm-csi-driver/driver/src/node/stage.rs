//! NodeStageVolume and NodeUnstageVolume: once per volume and node.

use super::{NodeService, content_device, named, path};
use crate::capability::{Access, Capability};
use crate::object::lv_name;
use crate::problem::Problem;
use ingot_csi_proto::v1::{NodeStageVolumeRequest, NodeUnstageVolumeRequest};
use ingot_lvm::{Command, Device, Filesystem, LvmError, MountKind};
use ingot_volume_brain::FilesystemTag;

/// The filesystem of volumes whose class and pod leave it open.
const DEFAULT: Filesystem = Filesystem::Ext4;

/// Where the class of a volume says its filesystem, in the volume's context.
pub const CONTEXT_FILESYSTEM: &str = "fstype";

impl NodeService {
    pub(super) async fn stage(&self, request: NodeStageVolumeRequest) -> Result<(), Problem> {
        named(&request.volume_id)?;
        let target = path("staging target path", &request.staging_target_path)?;
        let capability = Capability::required(request.volume_capability.as_ref())?;
        let id = Self::id(&request.volume_id)?;
        let actor = self.agent.actor(id.uid);
        let _turn = actor.lock().await;
        let located = self.usable(id).await?;
        let (located, found) = self.open(located, &request.secrets).await?;
        let Access::Mount {
            filesystem,
            options,
        } = capability.access
        else {
            self.hand_out_raw(located).await?;
            return Ok(());
        };
        let class = request.volume_context.get(CONTEXT_FILESYSTEM);
        let class = class.map_or(Ok(None), |name| crate::capability::filesystem(name))?;
        let filesystem = filesystem.or(class).unwrap_or(DEFAULT);
        let device = content_device(&located);
        let mounts = self.agent.mounts_of(&located.device).await?;
        let mounted = mounts.iter().any(|mount| mount.target == target);
        let tags = &located.tags;
        if mounted && tags.filesystem == FilesystemTag::Formatted && !tags.copied {
            return Ok(());
        }
        let untagged = self.filesystem(&located, found, filesystem).await?;
        let untagged = untagged && !self.noted(&located);
        // Beside each other: no pod has it before both are done.
        let tag = async {
            match untagged {
                true => self.tag(&located, FilesystemTag::Formatted).await.map(drop),
                false => Ok(()),
            }
        };
        let mount = async {
            let mount = Command::Mount {
                device: device.clone(),
                target: target.clone(),
                filesystem,
                copied: located.tags.copied,
                read_only: false,
                options,
            };
            match mounted {
                true => Ok(()),
                false => self.agent.executor.change(mount).await,
            }
        };
        let (tagged, mounted) = tokio::join!(tag, mount);
        tagged?;
        mounted?;
        if located.tags.copied {
            // A copy may be larger than what it was copied from.
            let grow = Command::GrowFilesystem {
                device,
                target,
                filesystem,
            };
            self.agent.executor.change(grow).await?;
        }
        Ok(())
    }

    pub(super) async fn unstage(&self, request: NodeUnstageVolumeRequest) -> Result<(), Problem> {
        let target = path("staging target path", &request.staging_target_path)?;
        named(&request.volume_id)?;
        // One that is unknown has nothing mounted here: its device would not go away before.
        let Ok(id) = Self::id(&request.volume_id) else {
            return Ok(());
        };
        let actor = self.agent.actor(id.uid);
        let turn = actor.lock().await;
        // What is mounted is known to the kernel, also while a volume group cannot be read.
        let lv = lv_name(id.kind, id.uid);
        let mut mounts = self.agent.executor.mounts().await?;
        mounts.retain(|mount| mount.device.lv == lv);
        let elsewhere = |mount: &&ingot_lvm::Mount| mount.target != target;
        if let Some(mount) = mounts.iter().find(elsewhere) {
            // A raw device that a pod still has, or a pod that was not taken down.
            return Err(Problem::Precondition(format!(
                "volume {id} is still published at {}; unpublish it first",
                mount.target.display()
            )));
        }
        if mounts
            .iter()
            .any(|mount| mount.kind == MountKind::Filesystem)
        {
            self.agent
                .executor
                .change(Command::Unmount { target })
                .await?;
        }
        // Neither are the tags asked: a pod must be able to leave a disk that has failed.
        for pool in &self.agent.config.pools {
            let device = Device::lv(&pool.volume_group, &lv);
            self.withdraw(device.clone()).await?;
            let view = device.decrypted();
            if self.agent.executor.device_size(&view).await.is_err() {
                continue;
            }
            match self.agent.executor.change(Command::Close { device }).await {
                Ok(()) | Err(LvmError::NotFound { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        // A deletion may have waited for this, and nobody else tells of it.
        let waits = turn.in_use();
        drop(turn);
        drop(actor);
        if waits {
            self.agent.unused(id);
        }
        Ok(())
    }
}
