//! `ingot kubeconfig`: access for an administrator, with a certificate made for the purpose.

use super::run::HostOptions;
use crate::progress::Output;
use ingot_lifecycle::pki::{Authorities, Authority, CertificateRequest, Usage};
use ingot_lifecycle::sequence::{self, REACH};
use ingot_lifecycle::{Failure, FailureKind, paths};
use std::io::Write;
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
    #[arg(long, default_value = "administrator")]
    user: String,
    /// Days until the certificate ends
    #[arg(long, default_value_t = 90)]
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
/// When no control plane can be reached.
pub fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let mut driver = arguments.hosts.driver(Vec::new())?;
    super::runtime()?.block_on(async {
        sequence::run(&mut driver, REACH).await?;
        let machine = driver
            .any_control_plane()
            .ok_or_else(|| Failure::machine("no control plane can be reached"))?;
        let address = machine.node.address;
        let files = machine.session.read_authority().await?.ok_or_else(|| {
            Failure::machine(format!(
                "{} has no certificate authority yet",
                machine.node.name
            ))
            .hint("run `ingot bootstrap` first")
        })?;
        let bug =
            |error: ingot_lifecycle::pki::PkiError| Failure::new(FailureKind::Machine, &error);
        let authorities = Authorities::from_files(files).map_err(bug)?;
        let request = CertificateRequest {
            path: "kubeconfig".into(),
            authority: Authority::Cluster,
            common_name: arguments.user.clone(),
            organization: Some("ingot:admins".into()),
            dns_names: Vec::new(),
            addresses: Vec::new(),
            usages: vec![Usage::Client],
        };
        let life = Duration::from_secs(arguments.days * 86400);
        let (certificate, key) = authorities.issue(&request, life).map_err(bug)?;
        let server = match &driver.cluster.endpoint {
            Some(endpoint) => format!("https://{}:{}", endpoint.host, endpoint.port),
            None if address.is_ipv6() => format!("https://[{address}]:{}", paths::API_PORT),
            None => format!("https://{address}:{}", paths::API_PORT),
        };
        let text = kubeconfig(
            driver.cluster.name.as_str(),
            &arguments.user,
            &server,
            authorities.certificate(Authority::Cluster),
            &certificate,
            &key,
        );
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
) -> String {
    use base64::Engine;
    let encode = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
    format!(
        "apiVersion: v1\nkind: Config\nclusters:\n  - name: {cluster}\n    cluster:\n      server: {server}\n      certificate-authority-data: {}\nusers:\n  - name: {user}\n    user:\n      client-certificate-data: {}\n      client-key-data: {}\ncontexts:\n  - name: {user}@{cluster}\n    context: {{ cluster: {cluster}, user: {user} }}\ncurrent-context: {user}@{cluster}\n",
        encode(ca),
        encode(certificate),
        encode(key),
    )
}
