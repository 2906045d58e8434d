//! `ingot status`: the state of the cluster, as far as any control plane knows it.

use super::run::HostOptions;
use crate::progress::Output;
use crate::report;
use ingot_lifecycle::Failure;
use ingot_lifecycle::rollout;
use ingot_lifecycle::sequence::{self, REACH};
use std::process::ExitCode;

/// Runs the command.
///
/// # Errors
/// When no control plane answers.
pub fn run(options: &HostOptions) -> Result<ExitCode, Failure> {
    let mut driver = options.driver(Vec::new())?;
    super::runtime()?.block_on(async {
        sequence::run(&mut driver, REACH).await?;
        let name = format!(
            "kubernetes.default.svc.{}",
            driver.cluster.network.cluster_domain
        );
        let dns = driver.cluster.dns_address().map(|address| (address, name));
        let status = driver
            .ask(async |session| session.kube_status(dns.clone()).await)
            .await;
        let (_, status) =
            status.map_err(|unanswered| unanswered.failure("no control plane answers"))?;
        match options.output {
            Output::Json => {
                crate::say!(
                    "{}",
                    serde_json::to_string(&status).map_err(|e| Failure::bug(e.to_string()))?
                );
            }
            Output::Text => report::status(&status),
        }
        let healthy = status.dns.is_none()
            && status.nodes.iter().all(|n| n.ready)
            && status.pods.iter().all(|p| p.ready)
            && rollout::unfinished(&status).is_empty();
        Ok(ExitCode::from(if healthy { 0 } else { 3 }))
    })
}
