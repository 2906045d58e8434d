//! From the name of a VolumeSnapshot to the snapshot of this driver.

use super::resource;
use crate::config::DRIVER_NAME;
use crate::object::VolumeId;
use ingot_lvm::Kind;
use kube::Client;
use kube::api::{Api, DynamicObject};
use serde_json::Value;
use tonic::Status;

/// The group of VolumeSnapshots.
pub(super) const SNAPSHOTS: &str = "snapshot.storage.k8s.io";

/// The snapshot that a VolumeSnapshot stands for.
///
/// # Errors
/// NotFound; FailedPrecondition where it is not ready or another driver's; Unavailable.
pub(super) async fn snapshot(
    client: &Client,
    namespace: &str,
    name: &str,
) -> Result<VolumeId, Status> {
    let what = format!("VolumeSnapshot {namespace}/{name}");
    let claims = resource(SNAPSHOTS, "v1", "VolumeSnapshot", "volumesnapshots");
    let claims: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &claims);
    let claim = read(&claims, name, &what).await?;
    let uid = claim.metadata.uid.clone().unwrap_or_default();
    let status = &claim.data["status"];
    let not_ready = || {
        Status::failed_precondition(format!(
            "{what} is not ready; ask again when its status says readyToUse"
        ))
    };
    let content = status["boundVolumeSnapshotContentName"].as_str();
    let content = content.filter(|_| status["readyToUse"] == true);
    let content = content.ok_or_else(not_ready)?;
    let contents = resource(
        SNAPSHOTS,
        "v1",
        "VolumeSnapshotContent",
        "volumesnapshotcontents",
    );
    let contents: Api<DynamicObject> = Api::all_with(client.clone(), &contents);
    let found = read(
        &contents,
        content,
        &format!("VolumeSnapshotContent {content}"),
    )
    .await?;
    let (spec, status) = (&found.data["spec"], &found.data["status"]);
    if !belongs(&spec["volumeSnapshotRef"], namespace, name, &uid) {
        return Err(Status::failed_precondition(format!(
            "VolumeSnapshotContent {content} does not belong to {what}; see `kubectl describe` of both"
        )));
    }
    if spec["driver"] != DRIVER_NAME {
        return Err(Status::failed_precondition(format!(
            "{what} is of the driver {}, not of {DRIVER_NAME}; ask the SnapshotMetadataService of that name",
            spec["driver"].as_str().unwrap_or_default()
        )));
    }
    let handle = status["snapshotHandle"].as_str().ok_or_else(not_ready)?;
    VolumeId::parse(Kind::Snapshot, handle).ok_or_else(|| {
        Status::failed_precondition(format!(
            "{what} names the snapshot {handle}, which is none of this driver"
        ))
    })
}

async fn read(api: &Api<DynamicObject>, name: &str, what: &str) -> Result<DynamicObject, Status> {
    match api.get_opt(name).await {
        Ok(Some(found)) => Ok(found),
        Ok(None) => Err(Status::not_found(format!("there is no {what}"))),
        Err(error) => Err(Status::unavailable(format!(
            "{what} cannot be read: {error}; ask again"
        ))),
    }
}

/// Whoever may make a VolumeSnapshot can name any content in it. The content names the one it is for.
fn belongs(reference: &Value, namespace: &str, name: &str, uid: &str) -> bool {
    let is = |field: &str, value: &str| reference[field] == value;
    is("namespace", namespace) && is("name", name) && is("uid", uid) && !uid.is_empty()
}

#[cfg(test)]
mod tests {
    use super::belongs;
    use serde_json::json;

    #[test]
    fn a_content_is_of_one_snapshot_in_one_life() {
        let own = json!({ "namespace": "shop", "name": "nightly", "uid": "1" });
        assert!(belongs(&own, "shop", "nightly", "1"));
        for (namespace, name, uid) in [
            ("other", "nightly", "1"),
            ("shop", "weekly", "1"),
            ("shop", "nightly", "2"),
            ("shop", "nightly", ""),
        ] {
            assert!(
                !belongs(&own, namespace, name, uid),
                "{namespace} {name} {uid}"
            );
        }
        let unbound = json!({ "namespace": "shop", "name": "nightly" });
        assert!(!belongs(&unbound, "shop", "nightly", ""));
    }
}
