//! What phases that apply objects wait for: pods made from what was applied. The judgement is [`crate::rollout`]'s.

use crate::agent::Session;
use crate::agent::kube::{ClusterStatus, PodStatus, Workload};
use crate::driver::Driver;
use crate::error::Failure;
use crate::event::Event;
use crate::manifests;
use crate::rollout::{self, Missing};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// How many pods are asked for their last words.
const ASKED: usize = 5;
/// The states of a pod that has only just been made.
const BEGINNING: [&str; 4] = ["Pending", "ContainerCreating", "PodInitializing", "Running"];

/// What is missing of the platform on these nodes, the add-ons left aside: they are applied later.
pub(super) fn missing(status: &ClusterStatus, wanted: &[ingot_cluster::Node]) -> Vec<Missing> {
    let here = wanted.iter().map(|node| node.name.as_str()).collect();
    let mut missing = rollout::static_pods(status, &here);
    let platform = status
        .workloads
        .iter()
        .filter(|one| !manifests::is_add_on(&one.name));
    missing.extend(platform.flat_map(|one| rollout::workload(one, status, &here)));
    missing
}

/// How many pods of before a change are still there on these nodes.
pub(super) fn former(status: &ClusterStatus, wanted: &[ingot_cluster::Node]) -> usize {
    let here = wanted.iter().map(|node| node.name.as_str()).collect();
    rollout::former(status, &here)
}

/// What is missing, with what the first pods say of themselves, each indented below its own line.
pub(super) async fn explained(driver: &mut Driver, missing: Vec<Missing>) -> Vec<String> {
    let mut asked = 0;
    let mut lines = Vec::new();
    for Missing { mut what, pod } in missing {
        if let Some(pod) = pod.filter(|_| asked < ASKED) {
            asked += 1;
            let question = async |session: &mut Session| session.pod_words(&pod).await;
            // Without an answer what is missing is said all the same.
            if let Ok((_, Some(words))) = driver.ask(question).await {
                what = format!("{what}\n    {}", words.replace('\n', "\n      "));
            }
        }
        lines.push(what);
    }
    lines
}

/// The state of the cluster, without a question to its DNS.
pub(super) async fn status(driver: &mut Driver) -> Option<ClusterStatus> {
    let question = async |session: &mut Session| session.kube_status(None).await;
    let answer = driver.ask(question).await;
    answer.ok().map(|(_, status)| status)
}

/// Waits for add-ons that ran before and were changed, or that fail. One that is new needs half a minute of
/// measurements before it is ready, and the cluster works without it.
///
/// # Errors
/// When one is not ready in time, with the words of its pods.
pub(super) async fn add_ons(
    driver: &mut Driver,
    phase: &'static str,
    before: &ClusterStatus,
    changed: &[String],
) -> Result<(), Failure> {
    let deadline = Instant::now() + driver.options.ready_timeout;
    let progress = driver.progress(phase);
    let add_on = |one: &&Workload| manifests::is_add_on(&one.name);
    let ran: BTreeSet<&str> = before
        .workloads
        .iter()
        .filter(add_on)
        .map(|one| one.name.as_str())
        .collect();
    let was_changed = ran.iter().any(|name| changed.iter().any(|one| one == name));
    let mut now = match was_changed {
        true => status(driver).await,
        false => Some(before.clone()),
    };
    loop {
        driver.drop_lost(phase);
        let here = driver.machines.keys().map(String::as_str).collect();
        let missing: Option<Vec<Missing>> = now.as_ref().map(|now| {
            let ours = now
                .workloads
                .iter()
                .filter(|one| ran.contains(one.name.as_str()));
            ours.flat_map(|one| rollout::workload(one, now, &here))
                .collect()
        });
        let first = match &missing {
            Some(missing) if missing.is_empty() => return Ok(()),
            Some(missing) => missing.first().map(|one| one.what.clone()),
            None => Some("no API server answers".into()),
        };
        let begins = |missing: &Missing| {
            let pods = now.iter().flat_map(|now| &now.pods);
            pods.filter(|pod| Some(&pod.name) == missing.pod.as_ref())
                .all(has_only_begun)
        };
        if !was_changed && missing.iter().flatten().all(begins) {
            for missing in missing.into_iter().flatten() {
                let message = format!("{}; the cluster can be used", missing.what);
                driver.tell(Event::Warning {
                    node: None,
                    message,
                });
            }
            return Ok(());
        }
        if Instant::now() > deadline {
            let lines = match missing {
                Some(missing) => explained(driver, missing).await,
                None => first.into_iter().collect(),
            };
            return Err(Failure::machine(format!("the add-ons are not ready:\n  {}", lines.join("\n  ")))
                .hint("run the same command again to go on waiting; `ingot status` shows the present state"));
        }
        progress.tell("", first.unwrap_or_default(), None);
        tokio::time::sleep(Duration::from_millis(500)).await;
        now = status(driver).await;
    }
}

fn has_only_begun(pod: &PodStatus) -> bool {
    pod.restarts == 0 && BEGINNING.contains(&pod.state.as_str())
}
