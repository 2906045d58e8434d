//! Waits until every API server is ready, every node that takes part is Ready, the platform's pods run
//! and DNS answers.

use super::{control_plane, rolled_out};
use crate::agent::Session;
use crate::agent::health::{Health, Part};
use crate::agent::kube::{ClusterStatus, MadeBy, NodeStatus};
use crate::driver::{Driver, Unanswered};
use crate::error::Failure;
use crate::event::Event;
use crate::manifests;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

const PHASE: &str = "ready";
/// What a kubelet says of itself that waits to make its CSINode.
const CSI_NODE: &str = "failed to initialize CSINode";

/// Runs the phase.
///
/// # Errors
/// When the cluster is not ready in time: what is missing, node by node and pod by pod.
pub async fn run(driver: &mut Driver) -> Result<(), Failure> {
    let mut deadline = Instant::now() + driver.options.ready_timeout;
    let progress = driver.progress(PHASE);
    let name = format!(
        "kubernetes.default.svc.{}",
        driver.cluster.network.cluster_domain
    );
    let dns = driver.cluster.dns_address().map(|address| (address, name));
    let mut woken = Woken::default();
    let status = async |session: &mut Session| session.kube_status(None).await;
    // A question that nobody can answer yet takes seconds, in which the rest grows old.
    let with_dns = async |session: &mut Session| session.kube_status(dns.clone()).await;
    let mut asks_dns = false;
    if let Ok((_, status)) = driver.ask(status).await {
        woken.wake(driver, &status).await;
    }
    driver
        .each(
            PHASE,
            |node| node.is_control_plane(),
            async |machine| {
                control_plane::wait(machine, &progress, deadline, || false).await?;
                Ok(0)
            },
        )
        .await;
    let mut labelled = false;
    let mut former = 0;
    loop {
        driver.drop_lost(PHASE);
        let wanted: Vec<_> = driver
            .machines
            .values()
            .map(|machine| machine.node.clone())
            .collect();
        let answer = match asks_dns {
            true => driver.ask(with_dns).await,
            false => driver.ask(status).await,
        };
        let (via, mut missing) = match &answer {
            Ok((via, status)) => (via.clone(), missing(status, &wanted)),
            Err(unanswered) if driver.any_control_plane().is_none() => {
                return Err(unanswered.failure("no control plane is left"));
            }
            Err(unanswered) => (String::new(), silent(unanswered)),
        };
        if let Ok((_, status)) = &answer {
            woken.wake(driver, status).await;
            // On many nodes one after the other takes long; it is in time as long as it goes on.
            let left = rolled_out::former(status, &wanted);
            if left < former {
                deadline = deadline.max(Instant::now() + driver.options.ready_timeout);
            }
            former = left;
            let registered = |name: &str| status.nodes.iter().any(|node| node.name == name);
            if !labelled && wanted.iter().all(|node| registered(node.name.as_str())) {
                match label(driver, &via, &wanted).await {
                    Ok(()) => labelled = true,
                    Err(failure) => missing.push(format!("labels of the nodes: {failure}")),
                }
            }
        }
        if missing.is_empty() && labelled && !asks_dns {
            asks_dns = true;
            continue;
        }
        if missing.is_empty() && labelled {
            // What the API server knows of a node is up to forty seconds old.
            missing = unwell_kubelets(driver).await?;
        }
        if missing.is_empty() && labelled {
            if let Ok((_, status)) = &answer {
                told_only(driver, status);
            }
            return Ok(());
        }
        if Instant::now() > deadline {
            let status = answer.as_ref().ok().map(|(_, status)| status);
            if let Some(status) = status {
                let pods = rolled_out::missing(status, &wanted);
                missing.retain(|line| pods.iter().all(|pod| pod.what != *line));
                missing.extend(rolled_out::explained(driver, pods).await);
            }
            missing.extend(kubelets(driver, status).await);
            return Err(Failure::machine(format!("the cluster is not ready:\n  {}", missing.join("\n  ")))
                .hint("run the same command again to go on waiting; `ingot status` shows the present state"));
        }
        let first = missing.first().cloned();
        progress.tell(
            &via,
            first.unwrap_or_else(|| "label the nodes".into()),
            None,
        );
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

/// Kubelets of members that do not run now, or have only just been started, in words. Those of fresh hosts were
/// seen to become Ready in this run.
///
/// # Errors
/// When one ended again and again, with its last words.
async fn unwell_kubelets(driver: &mut Driver) -> Result<Vec<String>, Failure> {
    let members = driver
        .machines
        .iter_mut()
        .filter(|(_, machine)| super::is_member(machine));
    let asked = members.map(async |(name, machine)| {
        let health = machine.session.health(&[Part::Kubelet], 0.0).await;
        (name.clone(), health)
    });
    let mut waiting = Vec::new();
    let mut broken = Vec::new();
    for (name, health) in futures::future::join_all(asked).await {
        for (_, health) in health.into_iter().flatten() {
            match health {
                Health::Well { .. } => {}
                Health::Waiting { reason } => {
                    waiting.push(format!("the kubelet of {name}: {reason}"))
                }
                Health::Broken { reason } => {
                    broken.push(format!("the kubelet of {name}: {reason}"))
                }
            }
        }
    }
    match broken.is_empty() {
        true => Ok(waiting),
        false => Err(Failure::machine(format!(
            "the cluster is not well:\n  {}",
            broken.join("\n  ")
        ))
        .hint(
            "mend what is named, in cluster.yaml or on the host, and run the same command again",
        )),
    }
}

/// Sets the labels that only an administrator may set.
async fn label(
    driver: &mut Driver,
    via: &str,
    nodes: &[ingot_cluster::Node],
) -> Result<(), Failure> {
    let labels = manifests::Objects {
        wanted: nodes.iter().map(manifests::node).collect(),
        ..manifests::Objects::default()
    };
    let Some(machine) = driver.machines.get_mut(via) else {
        return Err(Failure::machine(format!("{via} is lost")));
    };
    driver.changed += machine.session.kube_apply(labels).await?.len();
    Ok(())
}

/// What is wrong with the kubelets of nodes that are not Ready.
async fn kubelets(driver: &mut Driver, status: Option<&ClusterStatus>) -> Vec<String> {
    let ready = |name: &str| {
        let mut nodes = status.iter().flat_map(|status| &status.nodes);
        nodes.any(|node| node.name == name && node.ready)
    };
    let machines = driver.machines.iter_mut();
    let asked = machines
        .filter(|(name, _)| !ready(name))
        .map(async |(name, machine)| {
            let trouble = machine.session.kubelet_trouble().await;
            let words = trouble.unwrap_or_else(|failure| Some(failure.message))?;
            Some(format!("node {name}: {words}"))
        });
    futures::future::join_all(asked)
        .await
        .into_iter()
        .flatten()
        .collect()
}

/// What each control plane said instead of an answer.
fn silent(unanswered: &Unanswered) -> Vec<String> {
    let said = |(name, failure): &(String, Failure)| format!("API server of {name}: {failure}");
    unanswered.said.iter().map(said).collect()
}

/// Kubelets that were started anew, each at most once for each reason.
///
/// They began before there was an API server. After some refusals a kubelet waits for seven seconds
/// between attempts to register (kubelet `registerWithAPIServer`), and one whose Node came later than its
/// first four attempts to make a CSINode, within a second, waits for twenty before it is ready (kubelet
/// `initializeCSINode`). One that starts now does so at once.
#[derive(Default)]
struct Woken {
    to_register: BTreeMap<String, Instant>,
    to_make_csi_node: BTreeSet<String>,
}

/// How long what a Node says may still be from before its kubelet was started anew.
const STALE: Duration = Duration::from_secs(6);

impl Woken {
    async fn wake(&mut self, driver: &mut Driver, status: &ClusterStatus) {
        let mut asked = Vec::new();
        for (name, machine) in &mut driver.machines {
            let node = status.nodes.iter().find(|node| node.name == *name);
            if self.wakes(name, node, Instant::now()) {
                asked.push(machine.session.restart_kubelet());
            }
        }
        // One that cannot be restarted is waited for like the others, and named when it does not come.
        futures::future::join_all(asked).await;
    }

    /// Whether the kubelet of a node is to be started anew now.
    fn wakes(&mut self, name: &str, node: Option<&NodeStatus>, now: Instant) -> bool {
        let before = self.to_register.get(name).copied();
        match node {
            None if before.is_none() => {
                self.to_register.insert(name.to_owned(), now);
                true
            }
            Some(node) if !node.ready && node.reason.contains(CSI_NODE) => {
                let stale = before.is_some_and(|at| now.duration_since(at) < STALE);
                !stale && self.to_make_csi_node.insert(name.to_owned())
            }
            _ => false,
        }
    }
}

/// Pods that are not waited for: those of the add-ons, which are applied later, and those of the site.
fn told_only(driver: &mut Driver, status: &ClusterStatus) {
    for pod in status.pods.iter().filter(|pod| !pod.ready && !pod.over) {
        if pod.made_by == MadeBy::Other {
            let message = format!(
                "{} is not ready: {}; it is not the platform's",
                pod.name, pod.state
            );
            driver.tell(Event::Warning {
                node: None,
                message,
            });
        }
    }
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
    missing.extend(
        rolled_out::missing(status, wanted)
            .into_iter()
            .map(|missing| missing.what),
    );
    if let Some(reason) = &status.dns {
        missing.push(format!("the cluster's DNS: {reason}"));
    }
    missing
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kubelet_is_started_anew_once_for_each_reason_and_not_for_what_the_last_one_said() {
        let begin = Instant::now();
        let second = Duration::from_secs(1);
        let says = |reason: &str| NodeStatus {
            name: "a".into(),
            ready: false,
            reason: reason.into(),
            version: String::new(),
            roles: Vec::new(),
        };
        let no_csi_node =
            says("CSINode is not yet initialized: failed to initialize CSINode: timed out");
        let no_network = says("no network plugin");
        let mut woken = Woken::default();
        let mut wakes = |node, after| woken.wakes("a", node, begin + after);
        assert!(wakes(None, Duration::ZERO));
        assert!(!wakes(None, second));
        assert!(!wakes(Some(&no_network), second));
        assert!(
            !wakes(Some(&no_csi_node), second),
            "its predecessor said so"
        );
        assert!(wakes(Some(&no_csi_node), STALE));
        assert!(!wakes(Some(&no_csi_node), STALE * 2));

        // One that registered in time and has no CSINode has no predecessor.
        assert!(woken.wakes("b", Some(&no_csi_node), begin));
        assert!(!woken.wakes("b", Some(&no_csi_node), begin + STALE));
    }
}
