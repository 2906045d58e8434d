//! Reaches the API server, from a pod or with a kubeconfig.

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use std::path::Path;
use std::time::Duration;

/// How long the server may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(5);
/// How long a connection may be silent: longer than the longest watch.
pub(super) const SILENCE: Duration = Duration::from_secs(90);

/// An API server that cannot be reached as configured.
#[derive(Debug, thiserror::Error)]
#[error("the Kubernetes API cannot be used: {0}")]
pub struct ConnectError(String);

/// A client: with that kubeconfig, or as the pod's service account. Nothing is sent yet.
///
/// # Errors
/// When the kubeconfig or the pod's credentials cannot be read.
pub async fn connect(kubeconfig: Option<&Path>) -> Result<Client, ConnectError> {
    let failed = |error: &dyn std::error::Error| ConnectError(error.to_string());
    let mut config = match kubeconfig {
        Some(path) => {
            let file = Kubeconfig::read_from(path)
                .map_err(|error| ConnectError(format!("{}: {error}", path.display())))?;
            Config::from_custom_kubeconfig(file, &KubeConfigOptions::default())
                .await
                .map_err(|error| failed(&error))?
        }
        None => Config::incluster_env().map_err(|error| failed(&error))?,
    };
    config.connect_timeout = Some(CONNECT);
    config.read_timeout = Some(SILENCE);
    Client::try_from(config).map_err(|error| failed(&error))
}
