//! What CSI's health requests answer.

use super::Bed;
use ingot_csi_proto::v1;
use ingot_csi_proto::v1::controller_server::Controller;
use ingot_csi_proto::v1::node_server::Node;
use tonic::Request;

/// What the controller says of a volume.
pub async fn health(bed: &Bed, volume: &v1::Volume) -> Vec<(v1::VolumeHealthErrorType, String)> {
    let request = v1::ControllerGetVolumeHealthRequest {
        volume_id: volume.volume_id.clone(),
        ..v1::ControllerGetVolumeHealthRequest::default()
    };
    let answer = bed
        .controller
        .controller_get_volume_health(Request::new(request))
        .await;
    let health = answer
        .expect("health")
        .into_inner()
        .volume_health
        .expect("one");
    health
        .health_statuses
        .into_iter()
        .map(|e| (e.status(), e.message))
        .collect()
}

/// What the node says of a volume.
pub async fn kinds_on_node(bed: &Bed, volume: &v1::Volume) -> Vec<v1::VolumeHealthErrorType> {
    let request = v1::NodeGetVolumeHealthRequest {
        volume_id: volume.volume_id.clone(),
        ..v1::NodeGetVolumeHealthRequest::default()
    };
    let answer = bed.node.node_get_volume_health(Request::new(request)).await;
    let health = answer.expect("health").into_inner().volume_health;
    let all = health.expect("one").health_statuses;
    all.iter().map(|entry| entry.status()).collect()
}

pub async fn node_health(bed: &Bed) -> Vec<(v1::StorageHealthErrorType, String)> {
    let request = v1::NodeGetStorageHealthRequest::default();
    let answer = bed
        .node
        .node_get_storage_health(Request::new(request))
        .await;
    let all = answer.expect("health").into_inner().backend_health;
    all.into_iter().map(|e| (e.status(), e.message)).collect()
}
