//! Requests as kubelet and the sidecars send them.

use super::Bed;
use ingot_csi_proto::v1;
use ingot_csi_proto::v1::controller_server::Controller;
use ingot_csi_proto::v1::node_server::Node;
use ingot_csi_proto::v1::volume_capability::access_mode::Mode;
use ingot_csi_proto::v1::volume_capability::{AccessMode, AccessType, BlockVolume, MountVolume};
use ingot_csi_proto::v1::volume_content_source::{SnapshotSource, Type, VolumeSource};
use std::collections::HashMap;
use std::path::Path;
use tonic::{Request, Status};

/// A mirrored volume with a checksum beside the data of each disk.
pub const CHECKED: [(&str, &str); 3] = [
    ("pool", "thick"),
    ("layout", "raid1"),
    ("integrity", "true"),
];

pub fn mount_as(filesystem: &str, mode: Mode) -> v1::VolumeCapability {
    v1::VolumeCapability {
        access_mode: Some(AccessMode { mode: mode.into() }),
        access_type: Some(AccessType::Mount(MountVolume {
            fs_type: filesystem.into(),
            ..MountVolume::default()
        })),
    }
}

pub fn mount(filesystem: &str) -> v1::VolumeCapability {
    mount_as(filesystem, Mode::SingleNodeWriter)
}

pub fn block() -> v1::VolumeCapability {
    v1::VolumeCapability {
        access_mode: Some(AccessMode {
            mode: Mode::SingleNodeWriter.into(),
        }),
        access_type: Some(AccessType::Block(BlockVolume {})),
    }
}

pub fn words(pairs: &[(&str, &str)]) -> HashMap<String, String> {
    pairs
        .iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
        .collect()
}

pub fn range(required: i64) -> Option<v1::CapacityRange> {
    Some(v1::CapacityRange {
        required_bytes: required,
        limit_bytes: 0,
    })
}

pub const GIB: i64 = 1 << 30;

/// A volume of that name in a pool.
pub fn create(name: &str, size: i64, parameters: &[(&str, &str)]) -> v1::CreateVolumeRequest {
    v1::CreateVolumeRequest {
        name: name.into(),
        capacity_range: range(size),
        volume_capabilities: vec![mount("")],
        parameters: words(parameters),
        ..v1::CreateVolumeRequest::default()
    }
}

pub fn from_snapshot(id: &str) -> Option<v1::VolumeContentSource> {
    Some(v1::VolumeContentSource {
        r#type: Some(Type::Snapshot(SnapshotSource {
            snapshot_id: id.into(),
        })),
    })
}

pub fn from_volume(id: &str) -> Option<v1::VolumeContentSource> {
    Some(v1::VolumeContentSource {
        r#type: Some(Type::Volume(VolumeSource {
            volume_id: id.into(),
        })),
    })
}

impl Bed {
    pub async fn create(&self, request: v1::CreateVolumeRequest) -> Result<v1::Volume, Status> {
        let answer = self.controller.create_volume(Request::new(request)).await?;
        Ok(answer.into_inner().volume.expect("a volume"))
    }

    pub async fn delete(&self, id: &str) -> Result<(), Status> {
        let request = v1::DeleteVolumeRequest {
            volume_id: id.into(),
            ..v1::DeleteVolumeRequest::default()
        };
        self.controller
            .delete_volume(Request::new(request))
            .await
            .map(drop)
    }

    pub async fn snapshot(&self, name: &str, volume: &str) -> Result<v1::Snapshot, Status> {
        let request = v1::CreateSnapshotRequest {
            name: name.into(),
            source_volume_id: volume.into(),
            ..v1::CreateSnapshotRequest::default()
        };
        let answer = self
            .controller
            .create_snapshot(Request::new(request))
            .await?;
        Ok(answer.into_inner().snapshot.expect("a snapshot"))
    }

    pub async fn delete_snapshot(&self, id: &str) -> Result<(), Status> {
        let request = v1::DeleteSnapshotRequest {
            snapshot_id: id.into(),
            ..v1::DeleteSnapshotRequest::default()
        };
        self.controller
            .delete_snapshot(Request::new(request))
            .await
            .map(drop)
    }

    pub async fn expand(&self, id: &str, size: i64) -> Result<i64, Status> {
        let request = v1::ControllerExpandVolumeRequest {
            volume_id: id.into(),
            capacity_range: range(size),
            ..v1::ControllerExpandVolumeRequest::default()
        };
        let answer = self
            .controller
            .controller_expand_volume(Request::new(request))
            .await?;
        Ok(answer.into_inner().capacity_bytes)
    }

    pub async fn expand_node(&self, id: &str, path: &Path) -> Result<i64, Status> {
        let request = v1::NodeExpandVolumeRequest {
            volume_id: id.into(),
            volume_path: path.display().to_string(),
            secrets: key("correct horse"),
            ..v1::NodeExpandVolumeRequest::default()
        };
        let answer = self.node.node_expand_volume(Request::new(request)).await?;
        Ok(answer.into_inner().capacity_bytes)
    }

    pub async fn stage(
        &self,
        id: &str,
        folder: &Path,
        what: &v1::VolumeCapability,
    ) -> Result<(), Status> {
        self.stage_with(id, folder, what, key("correct horse"))
            .await
    }

    pub async fn stage_with(
        &self,
        id: &str,
        folder: &Path,
        what: &v1::VolumeCapability,
        secrets: HashMap<String, String>,
    ) -> Result<(), Status> {
        let request = v1::NodeStageVolumeRequest {
            volume_id: id.into(),
            staging_target_path: folder.join("staging").display().to_string(),
            volume_capability: Some(what.clone()),
            secrets,
            ..v1::NodeStageVolumeRequest::default()
        };
        self.node
            .node_stage_volume(Request::new(request))
            .await
            .map(drop)
    }

    pub async fn unstage(&self, id: &str, folder: &Path) -> Result<(), Status> {
        let request = v1::NodeUnstageVolumeRequest {
            volume_id: id.into(),
            staging_target_path: folder.join("staging").display().to_string(),
        };
        self.node
            .node_unstage_volume(Request::new(request))
            .await
            .map(drop)
    }

    pub async fn publish(
        &self,
        id: &str,
        folder: &Path,
        target: &str,
        what: &v1::VolumeCapability,
    ) -> Result<(), Status> {
        let request = v1::NodePublishVolumeRequest {
            volume_id: id.into(),
            staging_target_path: folder.join("staging").display().to_string(),
            target_path: folder.join(target).display().to_string(),
            volume_capability: Some(what.clone()),
            ..v1::NodePublishVolumeRequest::default()
        };
        self.node
            .node_publish_volume(Request::new(request))
            .await
            .map(drop)
    }

    pub async fn unpublish(&self, id: &str, folder: &Path, target: &str) -> Result<(), Status> {
        let request = v1::NodeUnpublishVolumeRequest {
            volume_id: id.into(),
            target_path: folder.join(target).display().to_string(),
        };
        self.node
            .node_unpublish_volume(Request::new(request))
            .await
            .map(drop)
    }

    pub async fn capacity(&self, parameters: &[(&str, &str)]) -> Result<(i64, i64), Status> {
        let request = v1::GetCapacityRequest {
            parameters: words(parameters),
            ..v1::GetCapacityRequest::default()
        };
        let answer = self
            .controller
            .get_capacity(Request::new(request))
            .await?
            .into_inner();
        Ok((
            answer.available_capacity,
            answer.maximum_volume_size.unwrap_or_default(),
        ))
    }
}

pub fn key(key: &str) -> HashMap<String, String> {
    words(&[("key", key)])
}
