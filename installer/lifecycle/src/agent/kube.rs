//! Talks to the API server of this control-plane host with the agent's own certificate.

use crate::paths;
use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::{Api, DynamicObject, ListParams, Patch, PatchParams};
use kube::config::{
    AuthInfo, Cluster, Context, KubeConfigOptions, Kubeconfig, NamedAuthInfo, NamedCluster,
    NamedContext,
};
use kube::core::{ApiResource, GroupVersionKind, TypeMeta};
use kube::{Client, Config};
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

mod dns;

/// The name under which our fields are owned (server-side apply).
const MANAGER: &str = "ingot";

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

fn words(error: &(dyn std::error::Error + 'static)) -> String {
    crate::error::chain(error)
}

/// A client for the API server of this host.
///
/// # Errors
/// When the agent's certificate is not there or cannot be used.
pub async fn client() -> Result<Client, String> {
    let file = |name: &str| Some(format!("{}/{name}", paths::PKI));
    let kubeconfig = Kubeconfig {
        clusters: vec![NamedCluster {
            name: "here".into(),
            other: Default::default(),
            cluster: Some(Cluster {
                server: Some(format!("https://127.0.0.1:{}", paths::API_PORT)),
                certificate_authority: file("ca.crt"),
                ..Cluster::default()
            }),
        }],
        auth_infos: vec![NamedAuthInfo {
            name: "agent".into(),
            other: Default::default(),
            auth_info: Some(AuthInfo {
                client_certificate: file("ingot-agent.crt"),
                client_key: file("ingot-agent.key"),
                ..AuthInfo::default()
            }),
        }],
        contexts: vec![NamedContext {
            name: "here".into(),
            other: Default::default(),
            context: Some(Context {
                cluster: "here".into(),
                user: Some("agent".into()),
                ..Context::default()
            }),
        }],
        current_context: Some("here".into()),
        ..Kubeconfig::default()
    };
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
        .await
        .map_err(|error| words(&error))?;
    config.connect_timeout = Some(Duration::from_secs(3));
    config.read_timeout = Some(Duration::from_secs(20));
    Client::try_from(config).map_err(|error| words(&error))
}

/// Whether the API server of this host is ready.
///
/// # Errors
/// Why it is not.
pub async fn ready() -> Result<(), String> {
    let request = http::Request::get("/readyz")
        .body(Vec::new())
        .map_err(|error| error.to_string())?;
    client()
        .await?
        .request_text(request)
        .await
        .map(drop)
        .map_err(|error| unready(&words(&error)))
}

/// Of the long list an API server gives when it is not ready, the parts that are not.
fn unready(answer: &str) -> String {
    // The list comes once as lines and once quoted inside the client's own words.
    let answer = answer.replace("\\n", "\n");
    let mut parts: Vec<&str> = answer
        .lines()
        .filter_map(|line| line.split_once("[-]")?.1.split_whitespace().next())
        .collect();
    parts.dedup();
    parts.sort_unstable();
    parts.dedup();
    if !parts.is_empty() {
        return format!("not ready yet: {}", parts.join(", "));
    }
    if answer.contains("Connection refused") {
        return "does not listen yet".into();
    }
    answer.lines().next().unwrap_or_default().to_owned()
}

/// Applies all objects of `manifests` (YAML documents); returns those that were created or changed.
///
/// # Errors
/// The first object that the API server refuses.
pub async fn apply(manifests: &str) -> Result<Vec<String>, String> {
    let client = client().await?;
    let mut objects = Vec::new();
    for document in serde_yaml::Deserializer::from_str(manifests) {
        let value = serde_json::Value::deserialize(document)
            .map_err(|error| format!("a manifest is not valid: {error}"))?;
        if !value.is_null() {
            let object: DynamicObject = serde_json::from_value(value)
                .map_err(|error| format!("a manifest is not valid: {error}"))?;
            objects.push(object);
        }
    }
    // Objects in a namespace, and objects of a kind, are refused until it is there.
    objects.sort_by_key(rank);
    let mut changed = Vec::new();
    for batch in objects.chunk_by(|a, b| rank(a) == rank(b)) {
        let applied: Vec<Option<String>> = stream::iter(batch.to_vec())
            .map(|object| apply_one(&client, object))
            .buffer_unordered(8)
            .try_collect()
            .await?;
        changed.extend(applied.into_iter().flatten());
    }
    changed.sort();
    Ok(changed)
}

/// What comes first: namespaces, then definitions of kinds.
fn rank(object: &DynamicObject) -> u8 {
    match object.types.as_ref().map(|types| types.kind.as_str()) {
        Some("Namespace") => 0,
        Some("CustomResourceDefinition") => 1,
        _ => 2,
    }
}

async fn apply_one(client: &Client, object: DynamicObject) -> Result<Option<String>, String> {
    let types = object.types.clone().unwrap_or(TypeMeta {
        api_version: String::new(),
        kind: String::new(),
    });
    let name = object.metadata.name.clone().unwrap_or_default();
    let what = format!("{} {name}", types.kind);
    let gvk = GroupVersionKind::try_from(&types).map_err(|error| format!("{what}: {error}"))?;
    let resource = ApiResource::from_gvk(&gvk);
    let api: Api<DynamicObject> = match &object.metadata.namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    };
    let refused = |error: kube::Error| format!("the API server refuses {what}: {}", words(&error));
    let before = api.get_opt(&name).await.map_err(refused)?;
    let params = PatchParams::apply(MANAGER).force();
    let after = api
        .patch(&name, &params, &Patch::Apply(&object))
        .await
        .map_err(refused)?;
    let same = before.is_some_and(|before| content(before) == content(after));
    Ok((!same).then_some(what))
}

/// What an object says, without what the API server and controllers note on it meanwhile.
fn content(mut object: DynamicObject) -> DynamicObject {
    object.metadata.resource_version = None;
    object.metadata.managed_fields = None;
    object.metadata.generation = None;
    if let Some(fields) = object.data.as_object_mut() {
        fields.remove("status");
    }
    object
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

fn node_status(node: Node) -> NodeStatus {
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

#[cfg(test)]
mod tests {
    use super::unready;

    #[test]
    fn what_is_not_ready_is_named_on_one_line() {
        let answer = "ApiError: [+]ping ok\n[-]etcd failed: reason withheld\n[-]poststarthook/rbac/bootstrap-roles failed: reason withheld\nreadyz check failed (Status { message: \"[+]ping ok\\n[-]etcd failed: reason withheld\\n\" })";
        assert_eq!(
            unready(answer),
            "not ready yet: etcd, poststarthook/rbac/bootstrap-roles"
        );
        assert_eq!(
            unready("ServiceError: tcp connect error: Connection refused (os error 111)"),
            "does not listen yet"
        );
        assert_eq!(unready("other\nlines"), "other");
    }
}
