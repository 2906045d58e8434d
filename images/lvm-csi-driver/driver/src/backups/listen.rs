//! Listens with the certificate of the agents, and again with a new one when there is one.

use super::{Front, SECRET, entry};
use ingot_csi_proto::kubernetes::snapshot_metadata_server::SnapshotMetadataServer;
use k8s_openapi::api::core::v1::Secret;
use kube::Client;
use kube::api::Api;
use std::net::SocketAddr;
use std::time::Duration;
use tonic::transport::{Identity, Server, ServerTlsConfig};

/// How often it is looked for the certificate that the controller has yet to make.
const SOON: Duration = Duration::from_secs(5);
/// How often it is looked for a new one.
const LATER: Duration = Duration::from_secs(600);
/// Requests of one connection at a time.
const AT_ONCE: usize = 8;
/// How often a connection is asked whether there is anybody.
const ALIVE: Duration = Duration::from_secs(60);

/// Certificate and key; not to be printed.
#[derive(PartialEq, Eq)]
struct Pair {
    certificate: String,
    key: String,
}

/// Serves for ever. What is in the way is said, and tried again: volumes do not depend on it.
pub async fn serve(client: Client, front: Front, at: SocketAddr) {
    let mut said = String::new();
    loop {
        let trouble = match pair(&client).await {
            Ok(pair) => once(&client, &front, at, pair).await,
            Err(trouble) => Some(trouble),
        };
        if let Some(trouble) = trouble {
            if trouble != said {
                eprintln!("snapshot metadata on {at}: {trouble}");
                said = trouble;
            }
            tokio::time::sleep(SOON).await;
        }
    }
}

/// Serves until there is another certificate, or it cannot.
async fn once(client: &Client, front: &Front, at: SocketAddr, pair: Pair) -> Option<String> {
    let identity = Identity::from_pem(&pair.certificate, &pair.key);
    let tls = ServerTlsConfig::new().identity(identity);
    let server = Server::builder()
        .tls_config(tls)
        .map_err(|error| format!("Secret {SECRET}: {error}"));
    let mut server = match server {
        Ok(server) => server
            .concurrency_limit_per_connection(AT_ONCE)
            .http2_keepalive_interval(Some(ALIVE)),
        Err(trouble) => return Some(trouble),
    };
    let served = server
        .add_service(SnapshotMetadataServer::new(front.clone()))
        .serve_with_shutdown(at, another(client, &pair));
    served.await.err().map(|error| {
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        format!("{error}: {}", cause.unwrap_or_default())
    })
}

async fn pair(client: &Client) -> Result<Pair, String> {
    let secrets: Api<Secret> = Api::default_namespaced(client.clone());
    let found = secrets.get_opt(SECRET).await;
    let found = found.map_err(|error| format!("Secret {SECRET}: {error}"))?;
    let pair = found.and_then(|found| {
        Some(Pair {
            certificate: entry(&found, "tls.crt")?,
            key: entry(&found, "tls.key")?,
        })
    });
    pair.ok_or_else(|| {
        format!("Secret {SECRET} has no certificate yet; the controller puts one there")
    })
}

/// Ends when there is another certificate.
async fn another(client: &Client, served: &Pair) {
    loop {
        tokio::time::sleep(LATER).await;
        // One that cannot be read is no other: what is served goes on.
        if pair(client).await.is_ok_and(|pair| pair != *served) {
            return;
        }
    }
}
