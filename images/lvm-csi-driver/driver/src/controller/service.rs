//! The requests of the Controller service, each handed to its file.

use super::{ControllerService, create};
use crate::capability::Capability;
use crate::parameters::{self, ClassParameters};
use ingot_csi_proto::v1;
use ingot_csi_proto::v1::controller_server::Controller;
use ingot_csi_proto::v1::controller_service_capability::rpc::Type as Rpc;
use ingot_csi_proto::v1::controller_service_capability::{Rpc as RpcCapability, Type};
use ingot_lvm::Kind;
use tonic::{Request, Response, Status};

const CAPABILITIES: [Rpc; 13] = [
    Rpc::CreateDeleteVolume,
    Rpc::ListVolumes,
    Rpc::GetCapacity,
    Rpc::CreateDeleteSnapshot,
    Rpc::ListSnapshots,
    Rpc::CloneVolume,
    Rpc::ExpandVolume,
    Rpc::GetVolume,
    Rpc::SingleNodeMultiWriter,
    Rpc::ModifyVolume,
    Rpc::GetSnapshot,
    Rpc::GetVolumeHealth,
    Rpc::ListVolumeHealth,
];

/// Local volumes are not attached: the request never comes, since the capability is not offered.
fn no_attachment<T>() -> Result<Response<T>, Status> {
    Err(Status::unimplemented(
        "local volumes are not attached; set attachRequired: false in the CSIDriver object",
    ))
}

#[tonic::async_trait]
impl Controller for ControllerService {
    async fn create_volume(
        &self,
        request: Request<v1::CreateVolumeRequest>,
    ) -> Result<Response<v1::CreateVolumeResponse>, Status> {
        Ok(Response::new(self.create(request.into_inner()).await?))
    }

    async fn delete_volume(
        &self,
        request: Request<v1::DeleteVolumeRequest>,
    ) -> Result<Response<v1::DeleteVolumeResponse>, Status> {
        self.delete(Kind::Volume, &request.into_inner().volume_id)
            .await?;
        Ok(Response::new(v1::DeleteVolumeResponse {}))
    }

    async fn controller_publish_volume(
        &self,
        _: Request<v1::ControllerPublishVolumeRequest>,
    ) -> Result<Response<v1::ControllerPublishVolumeResponse>, Status> {
        no_attachment()
    }

    async fn controller_unpublish_volume(
        &self,
        _: Request<v1::ControllerUnpublishVolumeRequest>,
    ) -> Result<Response<v1::ControllerUnpublishVolumeResponse>, Status> {
        no_attachment()
    }

    async fn validate_volume_capabilities(
        &self,
        request: Request<v1::ValidateVolumeCapabilitiesRequest>,
    ) -> Result<Response<v1::ValidateVolumeCapabilitiesResponse>, Status> {
        let request = request.into_inner();
        if request.volume_capabilities.is_empty() {
            Capability::parse_all(&[])?;
        }
        self.existing(Kind::Volume, &request.volume_id).await?;
        let checked = Capability::parse_all(&request.volume_capabilities)
            .and_then(|_| ClassParameters::parse(&request.parameters))
            .and_then(|_| parameters::limits(&request.mutable_parameters));
        let answer = match checked {
            Err(problem) => v1::ValidateVolumeCapabilitiesResponse {
                confirmed: None,
                message: problem.to_string(),
            },
            Ok(_) => v1::ValidateVolumeCapabilitiesResponse {
                confirmed: Some(v1::validate_volume_capabilities_response::Confirmed {
                    volume_context: request.volume_context,
                    volume_capabilities: request.volume_capabilities,
                    parameters: request.parameters,
                    mutable_parameters: request.mutable_parameters,
                }),
                message: String::new(),
            },
        };
        Ok(Response::new(answer))
    }

    async fn list_volumes(
        &self,
        request: Request<v1::ListVolumesRequest>,
    ) -> Result<Response<v1::ListVolumesResponse>, Status> {
        Ok(Response::new(
            self.list_volumes(request.into_inner()).await?,
        ))
    }

    async fn controller_list_volume_health(
        &self,
        request: Request<v1::ControllerListVolumeHealthRequest>,
    ) -> Result<Response<v1::ControllerListVolumeHealthResponse>, Status> {
        Ok(Response::new(self.list_health(request.into_inner()).await?))
    }

    async fn controller_get_volume_health(
        &self,
        request: Request<v1::ControllerGetVolumeHealthRequest>,
    ) -> Result<Response<v1::ControllerGetVolumeHealthResponse>, Status> {
        let (_, volume) = self
            .existing(Kind::Volume, &request.into_inner().volume_id)
            .await?;
        Ok(Response::new(v1::ControllerGetVolumeHealthResponse {
            volume_health: Some(self.health(&volume).await?),
        }))
    }

    async fn get_capacity(
        &self,
        request: Request<v1::GetCapacityRequest>,
    ) -> Result<Response<v1::GetCapacityResponse>, Status> {
        Ok(Response::new(self.capacity(request.into_inner()).await?))
    }

    async fn controller_get_capabilities(
        &self,
        _: Request<v1::ControllerGetCapabilitiesRequest>,
    ) -> Result<Response<v1::ControllerGetCapabilitiesResponse>, Status> {
        let capability = |kind: &Rpc| v1::ControllerServiceCapability {
            r#type: Some(Type::Rpc(RpcCapability {
                r#type: (*kind).into(),
            })),
        };
        Ok(Response::new(v1::ControllerGetCapabilitiesResponse {
            capabilities: CAPABILITIES.iter().map(capability).collect(),
        }))
    }

    async fn create_snapshot(
        &self,
        request: Request<v1::CreateSnapshotRequest>,
    ) -> Result<Response<v1::CreateSnapshotResponse>, Status> {
        Ok(Response::new(
            self.create_snapshot(request.into_inner()).await?,
        ))
    }

    async fn delete_snapshot(
        &self,
        request: Request<v1::DeleteSnapshotRequest>,
    ) -> Result<Response<v1::DeleteSnapshotResponse>, Status> {
        self.delete_snapshot_of(&request.into_inner().snapshot_id)
            .await?;
        Ok(Response::new(v1::DeleteSnapshotResponse {}))
    }

    async fn list_snapshots(
        &self,
        request: Request<v1::ListSnapshotsRequest>,
    ) -> Result<Response<v1::ListSnapshotsResponse>, Status> {
        Ok(Response::new(
            self.list_snapshots(request.into_inner()).await?,
        ))
    }

    async fn get_snapshot(
        &self,
        request: Request<v1::GetSnapshotRequest>,
    ) -> Result<Response<v1::GetSnapshotResponse>, Status> {
        Ok(Response::new(
            self.get_snapshot(&request.into_inner().snapshot_id).await?,
        ))
    }

    async fn controller_expand_volume(
        &self,
        request: Request<v1::ControllerExpandVolumeRequest>,
    ) -> Result<Response<v1::ControllerExpandVolumeResponse>, Status> {
        Ok(Response::new(self.expand(request.into_inner()).await?))
    }

    async fn controller_get_volume(
        &self,
        request: Request<v1::ControllerGetVolumeRequest>,
    ) -> Result<Response<v1::ControllerGetVolumeResponse>, Status> {
        let (_, volume) = self
            .existing(Kind::Volume, &request.into_inner().volume_id)
            .await?;
        Ok(Response::new(v1::ControllerGetVolumeResponse {
            volume: Some(create::shown(&volume)),
            status: Some(v1::controller_get_volume_response::VolumeStatus {
                published_node_ids: Vec::new(),
            }),
        }))
    }

    async fn controller_modify_volume(
        &self,
        request: Request<v1::ControllerModifyVolumeRequest>,
    ) -> Result<Response<v1::ControllerModifyVolumeResponse>, Status> {
        self.modify(request.into_inner()).await?;
        Ok(Response::new(v1::ControllerModifyVolumeResponse {}))
    }
}
