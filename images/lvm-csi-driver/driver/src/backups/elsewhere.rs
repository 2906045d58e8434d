//! Asks the agent of another node.

use super::{PEER, SECRET, entry};
use ingot_csi_proto::kubernetes::snapshot_metadata_client::SnapshotMetadataClient;
use ingot_volume_brain::NodeName;
use k8s_openapi::api::core::v1::{Node, Secret};
use kube::Client;
use kube::api::Api;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tonic::metadata::AsciiMetadataValue;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use tonic::{Request, Status};

/// What a request carries that an agent sends on; such a one is not sent on again.
const SENT_ON: &str = "ingot-sent-on";

/// How long the other may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(10);

/// Whether another agent has sent this request on.
pub(super) fn was_sent_on<T>(request: &Request<T>) -> bool {
    request.metadata().contains_key(SENT_ON)
}

/// The same words for another agent.
pub(super) fn sent_on<T>(words: T) -> Request<T> {
    let mut request = Request::new(words);
    let yes = AsciiMetadataValue::from_static("1");
    request.metadata_mut().insert(SENT_ON, yes);
    request
}

/// A connection to the agent of that node, which has to show the certificate of the agents.
///
/// # Errors
/// Unavailable, with the node.
pub(super) async fn agent(
    client: &Client,
    node: &NodeName,
    port: u16,
) -> Result<SnapshotMetadataClient<Channel>, Status> {
    let failed = |why: String| {
        Status::unavailable(format!(
            "the snapshot is on node {node}, whose storage agent cannot be asked: {why}; see that it runs, then ask again"
        ))
    };
    let address = address(client, node).await.map_err(failed)?;
    let secrets: Api<Secret> = Api::default_namespaced(client.clone());
    let secret = secrets.get(SECRET).await;
    let secret = secret.map_err(|error| failed(format!("Secret {SECRET}: {error}")))?;
    let authority = entry(&secret, "ca.crt");
    let authority = authority.ok_or_else(|| failed(format!("Secret {SECRET} has no ca.crt")))?;
    let tls = ClientTlsConfig::new()
        .ca_certificate(Certificate::from_pem(authority))
        .domain_name(PEER);
    let uri = format!("https://{}", SocketAddr::new(address, port));
    let connected = async {
        let endpoint = Endpoint::try_from(uri.clone())?;
        let endpoint = endpoint.tls_config(tls)?.connect_timeout(CONNECT);
        endpoint.connect().await
    };
    let channel = connected.await.map_err(|error| {
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        failed(format!("{uri}: {error}: {}", cause.unwrap_or_default()))
    })?;
    Ok(SnapshotMetadataClient::new(channel))
}

async fn address(client: &Client, node: &NodeName) -> Result<IpAddr, String> {
    let nodes: Api<Node> = Api::all(client.clone());
    let found = nodes.get_opt(node.as_str()).await;
    let found = found.map_err(|error| format!("Node {node}: {error}"))?;
    let addresses = found
        .and_then(|node| node.status?.addresses)
        .unwrap_or_default();
    let internal = addresses.iter().filter(|a| a.type_ == "InternalIP");
    let mut internal = internal.filter_map(|a| a.address.parse().ok());
    internal
        .next()
        .ok_or_else(|| "the node has no InternalIP".to_owned())
}
