//! Talks to the API server of this control-plane host with the agent's own certificate.

use crate::paths;
use kube::config::{
    AuthInfo, Cluster, Context, KubeConfigOptions, Kubeconfig, NamedAuthInfo, NamedCluster,
    NamedContext,
};
use kube::{Client, Config};
use std::time::Duration;
use tokio::sync::OnceCell;

mod apply;
mod delete_node;
mod dns;
mod heartbeat;
mod pod_words;
mod status;
mod workloads;

pub use apply::{ApplyError, apply};
pub use delete_node::delete_node;
pub use heartbeat::{Heartbeat, heartbeat};
pub use pod_words::pod_words;
pub use status::{ClusterStatus, NodeStatus, PodStatus, status};
pub use workloads::{MadeBy, Wanted, Workload};
#[cfg(test)]
pub(crate) use {status::told, workloads::Lists};

fn words(error: &(dyn std::error::Error + 'static)) -> String {
    crate::error::chain(error)
}

/// The client for the API server of this host; all of the agent's requests share its connections.
///
/// # Errors
/// When the agent's certificate is not there or cannot be used.
pub async fn client() -> Result<Client, String> {
    static CLIENT: OnceCell<Client> = OnceCell::const_new();
    CLIENT.get_or_try_init(connect).await.cloned()
}

async fn connect() -> Result<Client, String> {
    let file = |name: &str| format!("{}/{name}", paths::PKI);
    https(
        &format!("https://127.0.0.1:{}", paths::API_PORT),
        &file("ca.crt"),
        &file("ingot-agent.crt"),
        &file("ingot-agent.key"),
    )
    .await
}

/// A client for a server that knows us by a certificate; all are paths but the URL.
///
/// # Errors
/// When a file is not there or cannot be used.
pub(super) async fn https(
    url: &str,
    authority: &str,
    certificate: &str,
    key: &str,
) -> Result<Client, String> {
    let kubeconfig = Kubeconfig {
        clusters: vec![NamedCluster {
            name: "here".into(),
            other: Default::default(),
            cluster: Some(Cluster {
                server: Some(url.into()),
                certificate_authority: Some(authority.into()),
                ..Cluster::default()
            }),
        }],
        auth_infos: vec![NamedAuthInfo {
            name: "agent".into(),
            other: Default::default(),
            auth_info: Some(AuthInfo {
                client_certificate: Some(certificate.into()),
                client_key: Some(key.into()),
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
    // A log-in may bring the proxy of the site along; this server is on the loopback.
    config.proxy_url = None;
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
