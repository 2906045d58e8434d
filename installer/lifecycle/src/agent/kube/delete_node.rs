//! Takes a Node out of the cluster. Its pods and its lease go with it.

use super::{client, words};
use k8s_openapi::api::core::v1::Node;
use kube::api::{Api, DeleteParams};

/// Deletes the Node; false, if it was not there.
///
/// # Errors
/// When the API server of this host refuses or does not answer.
pub async fn delete_node(node: &str) -> Result<bool, String> {
    let nodes = Api::<Node>::all(client().await?);
    match nodes.delete(node, &DeleteParams::default()).await {
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(false),
        Err(error) => Err(words(&error)),
        Ok(_) => Ok(true),
    }
}
