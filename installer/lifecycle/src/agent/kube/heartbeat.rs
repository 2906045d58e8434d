//! What a node's kubelet last told the API server, with the time it said so.

use super::{client, words};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Node;
use kube::api::Api;
use serde::{Deserialize, Serialize};

/// The last word of a kubelet.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Heartbeat {
    /// Whether its node is Ready.
    pub ready: bool,
    /// Why it is not.
    pub reason: String,
    /// When it last renewed the lease of its node, seconds since 1970 by the clock of its host.
    pub renewed: Option<f64>,
}

/// The last word of the kubelet of `node`.
///
/// # Errors
/// When the API server does not answer.
pub async fn heartbeat(node: &str) -> Result<Heartbeat, String> {
    let client = client().await?;
    let leases = Api::<Lease>::namespaced(client.clone(), "kube-node-lease");
    let nodes = Api::<Node>::all(client);
    let (lease, found) = tokio::try_join!(leases.get_opt(node), nodes.get_opt(node))
        .map_err(|error| words(&error))?;
    let renewed = lease
        .and_then(|lease| lease.spec?.renew_time)
        .map(|time| time.0.as_duration().as_secs_f64());
    let Some(found) = found else {
        let reason = "its kubelet has not registered".into();
        return Ok(Heartbeat {
            reason,
            ..Heartbeat::default()
        });
    };
    let status = super::status::node_status(found);
    Ok(Heartbeat {
        ready: status.ready,
        reason: status.reason,
        renewed,
    })
}
