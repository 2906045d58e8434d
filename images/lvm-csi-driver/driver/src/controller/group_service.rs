//! The requests of the GroupController service.

use super::ControllerService;
use ingot_csi_proto::v1;
use ingot_csi_proto::v1::group_controller_server::GroupController;
use ingot_csi_proto::v1::group_controller_service_capability::rpc::Type as Rpc;
use ingot_csi_proto::v1::group_controller_service_capability::{Rpc as RpcCapability, Type};
use tonic::{Request, Response, Status};

#[tonic::async_trait]
impl GroupController for ControllerService {
    async fn group_controller_get_capabilities(
        &self,
        _: Request<v1::GroupControllerGetCapabilitiesRequest>,
    ) -> Result<Response<v1::GroupControllerGetCapabilitiesResponse>, Status> {
        let capability = v1::GroupControllerServiceCapability {
            r#type: Some(Type::Rpc(RpcCapability {
                r#type: Rpc::CreateDeleteGetVolumeGroupSnapshot.into(),
            })),
        };
        Ok(Response::new(v1::GroupControllerGetCapabilitiesResponse {
            capabilities: vec![capability],
        }))
    }

    async fn create_volume_group_snapshot(
        &self,
        request: Request<v1::CreateVolumeGroupSnapshotRequest>,
    ) -> Result<Response<v1::CreateVolumeGroupSnapshotResponse>, Status> {
        Ok(Response::new(
            self.create_group(request.into_inner()).await?,
        ))
    }

    async fn delete_volume_group_snapshot(
        &self,
        request: Request<v1::DeleteVolumeGroupSnapshotRequest>,
    ) -> Result<Response<v1::DeleteVolumeGroupSnapshotResponse>, Status> {
        let request = request.into_inner();
        self.delete_group(&request.group_snapshot_id, &request.snapshot_ids)
            .await?;
        Ok(Response::new(v1::DeleteVolumeGroupSnapshotResponse {}))
    }

    async fn get_volume_group_snapshot(
        &self,
        request: Request<v1::GetVolumeGroupSnapshotRequest>,
    ) -> Result<Response<v1::GetVolumeGroupSnapshotResponse>, Status> {
        Ok(Response::new(self.get_group(request.into_inner()).await?))
    }
}
