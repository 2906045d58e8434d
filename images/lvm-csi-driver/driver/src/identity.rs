//! The Identity service: who we are and what the whole driver can.

use crate::config::DRIVER_NAME;
use ingot_csi_proto::v1::identity_server::Identity;
use ingot_csi_proto::v1::plugin_capability::service::Type as Service;
use ingot_csi_proto::v1::plugin_capability::volume_expansion::Type as Expansion;
use ingot_csi_proto::v1::plugin_capability::{Service as ServiceCapability, Type, VolumeExpansion};
use ingot_csi_proto::v1::{
    GetPluginCapabilitiesRequest, GetPluginCapabilitiesResponse, GetPluginInfoRequest,
    GetPluginInfoResponse, PluginCapability, ProbeRequest, ProbeResponse,
};
use std::collections::HashMap;
use tonic::{Request, Response, Status};

/// The service, on nodes and beside the controller.
#[derive(Debug, Clone, Copy, Default)]
pub struct IdentityService {
    /// Whether who asks here can ask for the blocks of snapshots, too.
    pub snapshot_metadata: bool,
}

fn service(kind: Service) -> PluginCapability {
    PluginCapability {
        r#type: Some(Type::Service(ServiceCapability {
            r#type: kind.into(),
        })),
    }
}

#[tonic::async_trait]
impl Identity for IdentityService {
    async fn get_plugin_info(
        &self,
        _: Request<GetPluginInfoRequest>,
    ) -> Result<Response<GetPluginInfoResponse>, Status> {
        Ok(Response::new(GetPluginInfoResponse {
            name: DRIVER_NAME.into(),
            vendor_version: env!("CARGO_PKG_VERSION").into(),
            manifest: HashMap::new(),
        }))
    }

    async fn get_plugin_capabilities(
        &self,
        _: Request<GetPluginCapabilitiesRequest>,
    ) -> Result<Response<GetPluginCapabilitiesResponse>, Status> {
        let online = PluginCapability {
            r#type: Some(Type::VolumeExpansion(VolumeExpansion {
                r#type: Expansion::Online.into(),
            })),
        };
        let mut capabilities = vec![
            service(Service::ControllerService),
            service(Service::VolumeAccessibilityConstraints),
            service(Service::GroupControllerService),
            service(Service::SnapshotAccessibilityConstraints),
            online,
        ];
        if self.snapshot_metadata {
            capabilities.push(service(Service::SnapshotMetadataService));
        }
        Ok(Response::new(GetPluginCapabilitiesResponse {
            capabilities,
        }))
    }

    async fn probe(&self, _: Request<ProbeRequest>) -> Result<Response<ProbeResponse>, Status> {
        Ok(Response::new(ProbeResponse { ready: Some(true) }))
    }
}
