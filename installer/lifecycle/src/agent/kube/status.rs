//! The state of the cluster, as its API server and its DNS tell it.

use super::workloads::{Lists, MadeBy, Workload, Workloads};
use super::{client, dns, words};
use k8s_openapi::api::apps::v1::{ControllerRevision, DaemonSet, Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::Client;
use kube::api::{Api, ListParams};
use serde::de::DeserializeOwned;
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
    /// The Deployments and DaemonSets of the platform, sorted by name.
    pub workloads: Vec<Workload>,
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
    /// What made it.
    pub made_by: MadeBy,
    /// Whether it is being deleted, or has ended for good: it is not expected to become ready.
    pub over: bool,
}

/// The state of the cluster; `dns` is the address of the cluster's DNS Service and a name to ask for.
///
/// # Errors
/// When the API server does not answer.
pub async fn status(dns: Option<(IpAddr, String)>) -> Result<ClusterStatus, String> {
    let client = client().await?;
    let nodes = Api::<Node>::all(client.clone());
    let params = ListParams::default();
    let all_nodes = async { nodes.list(&params).await.map(|list| list.items) };
    let (nodes, pods, deployments, replica_sets, daemon_sets, revisions) = tokio::try_join!(
        all_nodes,
        of_the_platform::<Pod>(&client),
        of_the_platform::<Deployment>(&client),
        of_the_platform::<ReplicaSet>(&client),
        of_the_platform::<DaemonSet>(&client),
        of_the_platform::<ControllerRevision>(&client),
    )
    .map_err(|error| words(&error))?;
    let lists = Lists {
        deployments,
        replica_sets,
        daemon_sets,
        revisions,
    };
    let mut status = told(nodes, pods, &lists);
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

/// All objects of a kind in the namespace of the platform.
async fn of_the_platform<K>(client: &Client) -> Result<Vec<K>, kube::Error>
where
    K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>
        + Clone
        + std::fmt::Debug
        + DeserializeOwned,
{
    let all = Api::<K>::namespaced(client.clone(), "kube-system");
    Ok(all.list(&ListParams::default()).await?.items)
}

/// The state of a cluster whose DNS was not asked.
pub(crate) fn told(nodes: Vec<Node>, pods: Vec<Pod>, lists: &Lists) -> ClusterStatus {
    let workloads = Workloads::of(lists, &nodes);
    let mut status = ClusterStatus {
        nodes: nodes.into_iter().map(node_status).collect(),
        pods: pods
            .into_iter()
            .map(|pod| pod_status(pod, &workloads))
            .collect(),
        workloads: workloads.all,
        dns: None,
    };
    status.nodes.sort_by(|a, b| a.name.cmp(&b.name));
    status.pods.sort_by(|a, b| a.name.cmp(&b.name));
    status
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

fn pod_status(pod: Pod, workloads: &Workloads) -> PodStatus {
    let made_by = workloads.maker(&pod);
    let state = pod.status.unwrap_or_default();
    let containers = state.container_statuses.unwrap_or_default();
    // While an init container fails, the others wait for it and say nothing.
    let waiting = state
        .init_container_statuses
        .iter()
        .flatten()
        .chain(&containers)
        .find_map(|c| c.state.as_ref()?.waiting.as_ref()?.reason.clone());
    let ended = matches!(state.phase.as_deref(), Some("Failed" | "Succeeded"));
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
        made_by,
        over: ended || pod.metadata.deletion_timestamp.is_some(),
    }
}
