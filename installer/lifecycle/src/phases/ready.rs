//! Waits until every node that takes part is Ready, the platform's pods run and DNS answers; labels nodes.

use crate::agent::kube::{ClusterStatus, PodStatus};
use crate::driver::Driver;
use crate::error::Failure;
use crate::event::Event;
use crate::manifests;
use std::time::{Duration, Instant};

const PHASE: &str = "ready";
/// How long a kubelet may take to register by itself once there is an API server.
const REGISTRATION: Duration = Duration::from_secs(3);

/// Runs the phase.
///
/// # Errors
/// When the cluster is not ready in time: what is missing, node by node and pod by pod.
pub async fn run(driver: &mut Driver) -> Result<(), Failure> {
    let begin = Instant::now();
    let deadline = begin + driver.options.ready_timeout;
    let progress = driver.progress(PHASE);
    let name = format!(
        "kubernetes.default.svc.{}",
        driver.cluster.network.cluster_domain
    );
    let dns = driver.cluster.dns_address().map(|address| (address, name));
    let (mut labelled, mut woken) = (false, false);
    loop {
        driver.drop_lost(PHASE);
        let wanted: Vec<_> = driver
            .machines
            .values()
            .map(|machine| machine.node.clone())
            .collect();
        let Some(machine) = driver.any_control_plane() else {
            return Err(Failure::machine("no control plane is left"));
        };
        let (via, status) = (
            machine.node.name.to_string(),
            machine.session.kube_status(dns.clone()).await,
        );
        let missing = match &status {
            Ok(status) => missing(status, &wanted),
            Err(failure) => vec![failure.message.clone()],
        };
        if let Ok(status) = &status {
            let registered = |node: &&ingot_cluster::Node| {
                status.nodes.iter().any(|n| n.name == node.name.as_str())
            };
            if !woken && begin.elapsed() > REGISTRATION {
                let late = wanted.iter().filter(|node| !registered(node));
                let late: Vec<String> = late.map(|node| node.name.to_string()).collect();
                wake(driver, &late).await;
                woken = true;
            }
            if !labelled && wanted.iter().all(|node| registered(&node)) {
                let labels: String = wanted.iter().map(manifests::node).collect();
                if let Some(machine) = driver.any_control_plane()
                    && let Ok(changed) = machine.session.kube_apply(labels).await
                {
                    driver.changed += changed.len();
                    labelled = true;
                }
            }
        }
        if missing.is_empty() && labelled {
            for pod in status
                .iter()
                .flat_map(|status| &status.pods)
                .filter(|pod| !pod.ready)
            {
                let message = format!("{} is still starting; the cluster can be used", pod.name);
                driver.tell(Event::Warning {
                    node: None,
                    message,
                });
            }
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(Failure::machine(format!("the cluster is not ready:\n  {}", missing.join("\n  ")))
                .hint("run the same command again to go on waiting; `ingot status` shows the present state"));
        }
        progress.tell(
            &via,
            missing
                .first()
                .cloned()
                .unwrap_or_else(|| "label the nodes".into()),
            None,
        );
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

/// Starts the kubelets anew whose nodes have not registered. They began before there was an API server,
/// and after some refusals a kubelet waits for seven seconds between attempts to register, then for
/// twenty between attempts to make its CSINode, before it calls itself ready (kubelet
/// `registerWithAPIServer`, `initializeCSINode`). One that starts now does both at once.
async fn wake(driver: &mut Driver, late: &[String]) {
    let asked = driver
        .machines
        .iter_mut()
        .filter(|(name, _)| late.contains(name))
        .map(|(_, machine)| machine.session.restart_kubelet());
    // One that cannot be restarted is waited for like the others, and named when it does not come.
    futures::future::join_all(asked).await;
}

/// Pods that need half a minute of measurements before they call themselves ready. The cluster works
/// without them.
fn is_late(pod: &PodStatus) -> bool {
    pod.name.starts_with("kube-system/metrics-server-")
}

/// What is still missing, in words.
fn missing(status: &ClusterStatus, wanted: &[ingot_cluster::Node]) -> Vec<String> {
    let mut missing = Vec::new();
    for node in wanted {
        match status
            .nodes
            .iter()
            .find(|found| found.name == node.name.as_str())
        {
            None => missing.push(format!("node {} has not registered", node.name)),
            Some(found) if !found.ready => {
                missing.push(format!("node {} is not ready: {}", node.name, found.reason))
            }
            Some(_) => {}
        }
    }
    // Pods of nodes that do not take part may be down; that is told elsewhere.
    let here = |pod: &&PodStatus| {
        pod.node.is_empty() || wanted.iter().any(|node| node.name.as_str() == pod.node)
    };
    for pod in status
        .pods
        .iter()
        .filter(here)
        .filter(|pod| !pod.ready && !is_late(pod))
    {
        missing.push(format!("pod {} is not ready: {}", pod.name, pod.state));
    }
    if let Some(reason) = &status.dns {
        missing.push(format!("the cluster's DNS: {reason}"));
    }
    missing
}
