//! Makes the node's driver known to its kubelet, which looks into its plugins_registry directory
//! for sockets that answer the registration service.

mod authority;

use crate::config::DRIVER_NAME;
use crate::server::{ServeError, listen};
use ingot_csi_proto::registration::registration_server::{Registration, RegistrationServer};
use ingot_csi_proto::registration::{
    InfoRequest, PluginInfo, RegistrationStatus, RegistrationStatusResponse,
};
use std::path::{Path, PathBuf};
use tokio::sync::mpsc;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::transport::Server;
use tonic::{Request, Response, Status};

/// Versions of CSI that kubelets know by.
const VERSIONS: [&str; 1] = ["1.0.0"];

/// A kubelet that does not take the driver.
#[derive(Debug, thiserror::Error)]
pub enum RegistrationError {
    /// The socket cannot be served.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// It was asked and said no.
    #[error("the kubelet refuses the driver: {0}; it is asked again when the agent starts again")]
    Refused(String),
}

/// Where the kubelet looks for plugins.
pub fn socket(plugins_registry: &Path) -> PathBuf {
    plugins_registry.join(format!("{DRIVER_NAME}-reg.sock"))
}

struct Service {
    endpoint: PathBuf,
    refused: mpsc::Sender<String>,
}

#[tonic::async_trait]
impl Registration for Service {
    async fn get_info(&self, _: Request<InfoRequest>) -> Result<Response<PluginInfo>, Status> {
        Ok(Response::new(PluginInfo {
            r#type: "CSIPlugin".into(),
            name: DRIVER_NAME.into(),
            endpoint: self.endpoint.display().to_string(),
            supported_versions: VERSIONS.map(str::to_owned).to_vec(),
        }))
    }

    async fn notify_registration_status(
        &self,
        request: Request<RegistrationStatus>,
    ) -> Result<Response<RegistrationStatusResponse>, Status> {
        let status = request.into_inner();
        if status.plugin_registered {
            eprintln!("the kubelet has taken {DRIVER_NAME}");
        } else {
            // One that waits already is enough.
            let _ = self.refused.try_send(status.error);
        }
        Ok(Response::new(RegistrationStatusResponse {}))
    }
}

/// Answers the kubelet until `end`. `endpoint` is the driver's socket as the kubelet sees it.
///
/// # Errors
/// When the socket cannot be served, or the kubelet refuses the driver.
pub async fn register(
    plugins_registry: &Path,
    endpoint: &Path,
    end: impl Future<Output = ()> + Send,
) -> Result<(), RegistrationError> {
    let path = socket(plugins_registry);
    let listener = listen(&path).await?;
    let (refused, mut refusals) = mpsc::channel(1);
    let service = RegistrationServer::new(Service {
        endpoint: endpoint.to_owned(),
        refused,
    });
    let (said, why) = tokio::sync::oneshot::channel();
    let ended = async move {
        tokio::select! {
            () = end => {}
            reason = refusals.recv() => {
                let _ = said.send(reason);
            }
        }
    };
    let connections =
        UnixListenerStream::new(listener).map(|stream| stream.map(authority::exchanged));
    let served = Server::builder()
        .add_service(service)
        .serve_with_incoming_shutdown(connections, ended)
        .await;
    // A kubelet takes the end of the socket for the end of the driver.
    let _ = std::fs::remove_file(&path);
    served.map_err(|source| ServeError::Server { path, source })?;
    match why.await {
        Ok(Some(reason)) => Err(RegistrationError::Refused(reason)),
        _ => Ok(()),
    }
}
