//! The state of the cluster, as its API server and its DNS tell it.

use super::{client, dns, words};
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::{Api, ListParams};
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};

/// The state of the cluster as its API server knows it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterStatus {
    /// All nodes, sorted by name.
    pub nodes: Vec<NodeStatus>,
    /// All pods of the platform, sorted by name.
    pub pods: Vec<PodStatus>,
    /// Whether the cluster's DNS answers; the reason when it does not.
    pub dns: Option<String>,
}

/// A node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeStatus {
    /// Its name.
    pub name: String,
    /// Whether it is Ready.
    pub ready: bool,
    /// Why it is not.
    pub reason: String,
    /// The version of its kubelet.
    pub version: String,
    /// Its roles, from its labels.
    pub roles: Vec<String>,
}

/// A pod of the platform.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PodStatus {
    /// Its namespace and name.
    pub name: String,
    /// The node it is on.
    pub node: String,
    /// Whether all its containers are ready.
    pub ready: bool,
    /// Its phase, or why a container waits.
    pub state: String,
    /// How often its containers were restarted.
    pub restarts: i32,
}

/// The state of the cluster; `dns` is the address of the cluster's DNS Service and a name to ask for.
///
/// # Errors
/// When the API server does not answer.
pub async fn status(dns: Option<(IpAddr, String)>) -> Result<ClusterStatus, String> {
    let client = client().await?;
    let (nodes, pods) = (
        Api::<Node>::all(client.clone()),
        Api::<Pod>::namespaced(client, "kube-system"),
    );
    let params = ListParams::default();
    let (nodes, pods) =
        tokio::try_join!(nodes.list(&params), pods.list(&params)).map_err(|error| words(&error))?;
    let mut status = ClusterStatus {
        nodes: nodes.items.into_iter().map(node_status).collect(),
        pods: pods.items.into_iter().map(pod_status).collect(),
        dns: None,
    };
    status.nodes.sort_by(|a, b| a.name.cmp(&b.name));
    status.pods.sort_by(|a, b| a.name.cmp(&b.name));
    if let Some((address, name)) = dns {
        let asked =
            tokio::task::spawn_blocking(move || dns::resolves(SocketAddr::new(address, 53), &name))
                .await;
        status.dns = match asked {
            Ok(Ok(())) => None,
            Ok(Err(reason)) => Some(reason),
            Err(error) => Some(error.to_string()),
        };
    }
    Ok(status)
}

pub(super) fn node_status(node: Node) -> NodeStatus {
    let state = node.status.unwrap_or_default();
    let ready = state
        .conditions
        .iter()
        .flatten()
        .find(|c| c.type_ == "Ready");
    let is_ready = ready.is_some_and(|c| c.status == "True");
    let reason = match ready {
        _ if is_ready => String::new(),
        Some(condition) => condition.message.clone().unwrap_or_default(),
        None => "its kubelet has not reported yet".into(),
    };
    let labels = node.metadata.labels.unwrap_or_default();
    let roles = labels
        .keys()
        .filter_map(|key| key.strip_prefix("node-role.kubernetes.io/"))
        .map(Into::into)
        .collect();
    NodeStatus {
        name: node.metadata.name.unwrap_or_default(),
        ready: is_ready,
        reason,
        version: state
            .node_info
            .map(|info| info.kubelet_version)
            .unwrap_or_default(),
        roles,
    }
}

fn pod_status(pod: Pod) -> PodStatus {
    let state = pod.status.unwrap_or_default();
    let containers = state.container_statuses.unwrap_or_default();
    let waiting = containers
        .iter()
        .find_map(|c| c.state.as_ref()?.waiting.as_ref()?.reason.clone());
    PodStatus {
        name: format!(
            "{}/{}",
            pod.metadata.namespace.unwrap_or_default(),
            pod.metadata.name.unwrap_or_default()
        ),
        node: pod.spec.and_then(|spec| spec.node_name).unwrap_or_default(),
        ready: !containers.is_empty() && containers.iter().all(|c| c.ready),
        state: waiting.or(state.phase).unwrap_or_default(),
        restarts: containers.iter().map(|c| c.restart_count).sum(),
    }
}
