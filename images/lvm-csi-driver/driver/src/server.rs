//! Serves CSI on a unix socket.

use crate::controller::ControllerService;
use crate::identity::IdentityService;
use crate::metrics::{Metrics, RequestLayer};
use crate::node::NodeService;
use crate::snapshot_metadata::SnapshotMetadataService;
use ingot_csi_proto::v1::controller_server::ControllerServer;
use ingot_csi_proto::v1::group_controller_server::GroupControllerServer;
use ingot_csi_proto::v1::identity_server::IdentityServer;
use ingot_csi_proto::v1::node_server::NodeServer;
use ingot_csi_proto::v1::snapshot_metadata_server::SnapshotMetadataServer;
use std::fs::Permissions;
use std::future::Future;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tokio::net::{UnixListener, UnixStream};
use tokio_stream::wrappers::UnixListenerStream;
use tonic::transport::Server;

/// A socket that cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Somebody answers there already.
    #[error("{0} is in use by another process; stop it first")]
    InUse(PathBuf),
    /// The socket cannot be made.
    #[error("socket {path} cannot be made: {source}")]
    Bind {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The server failed.
    #[error("the server on {path} failed: {source}")]
    Server {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: tonic::transport::Error,
    },
}

/// Which services answer.
#[derive(Clone, Default)]
pub struct Services {
    /// Of the controller.
    pub controller: Option<ControllerService>,
    /// Of a node.
    pub node: Option<NodeService>,
    /// Of the snapshots of a node.
    pub snapshot_metadata: Option<SnapshotMetadataService>,
    /// Where requests are counted.
    pub metrics: Option<Metrics>,
}

/// Listens on a socket; whoever may open it may do all, so it is only for root.
pub async fn listen(path: &Path) -> Result<UnixListener, ServeError> {
    let failed = |source| ServeError::Bind {
        path: path.to_owned(),
        source,
    };
    if UnixStream::connect(path).await.is_ok() {
        return Err(ServeError::InUse(path.to_owned()));
    }
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let listener = UnixListener::bind(path).map_err(failed)?;
    std::fs::set_permissions(path, Permissions::from_mode(0o600)).map_err(failed)?;
    Ok(listener)
}

/// Serves until `end`.
pub async fn serve(
    path: &Path,
    services: Services,
    end: impl Future<Output = ()> + Send,
) -> Result<(), ServeError> {
    let listener = listen(path).await?;
    let Services {
        controller,
        node,
        snapshot_metadata,
        metrics,
    } = services;
    let identity = IdentityService {
        snapshot_metadata: snapshot_metadata.is_some(),
    };
    let router = Server::builder()
        .layer(RequestLayer(metrics))
        .add_service(IdentityServer::new(identity))
        .add_optional_service(controller.clone().map(ControllerServer::new))
        .add_optional_service(controller.map(GroupControllerServer::new))
        .add_optional_service(node.map(NodeServer::new))
        .add_optional_service(snapshot_metadata.map(SnapshotMetadataServer::new));
    let served = router
        .serve_with_incoming_shutdown(UnixListenerStream::new(listener), end)
        .await;
    let _ = std::fs::remove_file(path);
    served.map_err(|source| ServeError::Server {
        path: path.to_owned(),
        source,
    })
}
