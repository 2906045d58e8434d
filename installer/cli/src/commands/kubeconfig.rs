//! `ingot kubeconfig`: access for an administrator, with a certificate made for the purpose.

use super::run::HostOptions;
use crate::progress::{self, Output};
use clap::builder::NonEmptyStringValueParser;
use ingot_cluster::Cluster;
use ingot_lifecycle::pki::{Authorities, Authority, CertificateRequest, Usage};
use ingot_lifecycle::preflight::may_date;
use ingot_lifecycle::sequence::{self, REACH};
use ingot_lifecycle::{Event, Failure, FailureKind, paths};
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Arguments of `kubeconfig`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    hosts: HostOptions,
    /// The name of the person, as it stands in the audit log
    #[arg(long, default_value = "administrator", value_parser = NonEmptyStringValueParser::new())]
    user: String,
    /// Days until the certificate ends, at most ten years
    #[arg(long, default_value_t = 90, value_parser = clap::value_parser!(u64).range(1..=3650))]
    days: u64,
    /// Write to this file (mode 0600) instead of standard output
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
}

impl Arguments {
    /// How it reports.
    pub fn output(&self) -> Output {
        self.hosts.output
    }
}

/// Runs the command.
///
/// # Errors
/// When no control plane has the cluster's authority.
pub fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let mut driver = arguments.hosts.driver(Vec::new())?;
    // Standard output is for the kubeconfig.
    driver.events = progress::aside();
    super::runtime()?.block_on(async {
        sequence::run(&mut driver, REACH).await?;
        let (node, (authorities, facts)) = driver
            .ask(async |session| {
                let files = session.read_authority().await?.ok_or_else(|| {
                    Failure::machine(
                        "it has no certificate authority yet; run `ingot bootstrap` first",
                    )
                })?;
                let authorities = Authorities::from_files(files)
                    .map_err(|error| Failure::new(FailureKind::Machine, &error))?;
                Ok((authorities, session.facts(false).await?))
            })
            .await
            .map_err(|said| said.failure("no control plane gives the certificate authority"))?;
        if let Some(message) = may_date(&facts).map_err(|failure| failure.on(&node))? {
            let node = Some(node.clone());
            driver.tell(Event::Warning { node, message });
        }
        let request = CertificateRequest {
            path: "kubeconfig".into(),
            authority: Authority::Cluster,
            common_name: arguments.user.clone(),
            organization: Some("ingot:admins".into()),
            dns_names: Vec::new(),
            addresses: Vec::new(),
            usages: vec![Usage::Client],
        };
        let life = Duration::from_secs(arguments.days * 86_400);
        let (certificate, key) = authorities
            .issue(&request, life)
            .map_err(|error| Failure::new(FailureKind::Machine, &error))?;
        let kubeconfig = kubeconfig(
            driver.cluster.name.as_str(),
            &arguments.user,
            &server(&driver.cluster, &node),
            authorities.certificate(Authority::Cluster),
            &certificate,
            &key,
        );
        let text = match arguments.output() {
            Output::Json => kubeconfig.to_string(),
            Output::Text => serde_yaml::to_string(&kubeconfig)
                .map_err(|error| Failure::bug(error.to_string()))?,
        };
        match &arguments.to {
            None => crate::say!("{}", text.trim_end()),
            Some(path) => write(path, &text).map_err(|e| {
                Failure::text(
                    FailureKind::Input,
                    format!("cannot write {}: {e}", path.display()),
                )
            })?,
        }
        Ok(ExitCode::SUCCESS)
    })
}

/// Where users reach the API server: the cluster's endpoint, or the control plane that answered.
fn server(cluster: &Cluster, node: &str) -> String {
    let node = cluster.nodes.iter().find(|n| n.name.as_str() == node);
    match (&cluster.endpoint, node.map(|node| node.address)) {
        (Some(endpoint), _) => format!("https://{}:{}", endpoint.host, endpoint.port),
        (None, Some(address)) => format!("https://{}", SocketAddr::new(address, paths::API_PORT)),
        (None, None) => String::new(),
    }
}

fn write(path: &PathBuf, text: &str) -> std::io::Result<()> {
    // A file with a key is never readable by others, not even while it is written.
    let _ = std::fs::remove_file(path);
    std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?
        .write_all(text.as_bytes())
}

fn kubeconfig(
    cluster: &str,
    user: &str,
    server: &str,
    ca: &str,
    certificate: &str,
    key: &str,
) -> serde_json::Value {
    use base64::Engine;
    let encode = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
    let context = format!("{user}@{cluster}");
    serde_json::json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{
            "name": cluster,
            "cluster": { "server": server, "certificate-authority-data": encode(ca) },
        }],
        "users": [{
            "name": user,
            "user": {
                "client-certificate-data": encode(certificate),
                "client-key-data": encode(key),
            },
        }],
        "contexts": [{ "name": context, "context": { "cluster": cluster, "user": user } }],
        "current-context": context,
    })
}
