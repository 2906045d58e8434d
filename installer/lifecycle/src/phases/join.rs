//! A control plane joins a cluster that exists: etcd expects it as a learner, it starts, catches up, and gets its
//! vote. One at a time.

use super::{settings_of, state_groups};
use crate::agent::Session;
use crate::driver::Driver;
use crate::error::Failure;
use crate::settings::peer_url;
use ingot_engine::Event as EngineEvent;
use std::time::{Duration, Instant};

const PHASE: &str = "join";

/// Control planes that have no data of etcd yet, while others are members of a cluster.
pub fn joining(driver: &Driver) -> Vec<String> {
    let control_planes = || {
        driver
            .machines
            .values()
            .filter(|m| m.node.is_control_plane())
    };
    if !control_planes().any(super::is_member) {
        return Vec::new();
    }
    control_planes()
        .filter(|machine| !super::is_member(machine))
        .map(|machine| machine.node.name.to_string())
        .collect()
}

/// Joins one control plane.
///
/// # Errors
/// When etcd refuses it, or it does not catch up in time.
pub async fn run(driver: &mut Driver, name: &str) -> Result<(), Failure> {
    let deadline = Instant::now() + driver.options.ready_timeout;
    let progress = driver.progress(PHASE);
    let Some(machine) = driver.machines.get(name) else {
        return Ok(());
    };
    let url = peer_url(&machine.node);
    let mut settings = settings_of(&driver.cluster, &driver.release, machine);
    let [_, _, states] = state_groups(&machine.node);
    // One that was cut short after its start goes on with what it was started with.
    let has_data = machine.facts.etcd.as_ref().is_some_and(|etcd| etcd.data);
    if !has_data {
        progress.tell(name, "etcd expects it", None);
        let expect = async |session: &mut Session| session.expect_learner(name, &url).await;
        let (_, initial_cluster) = members(driver, name, expect).await?;
        settings["etcd"] = serde_json::json!({ "cluster": initial_cluster, "state": "existing" });
    }
    let this = |node: &ingot_cluster::Node| node.name.as_str() == name;
    driver
        .each(PHASE, this, async |machine| {
            let (progress, name) = (progress.clone(), name.to_owned());
            let mut told = move |event: EngineEvent| {
                if let EngineEvent::Started { target, .. } = event {
                    progress.tell(&name, target, None);
                }
            };
            let report = machine.session.apply(&states, &settings, &mut told).await?;
            Ok(report.changed())
        })
        .await;
    loop {
        let Some(machine) = driver.machines.get_mut(name) else {
            // Told as the failure of that host.
            return Ok(());
        };
        if let Some(lost) = machine.session.lost() {
            driver.fail(name, PHASE, lost);
            return Ok(());
        }
        let promote = async |session: &mut Session| session.promote(name).await;
        let Err(failure) = members(driver, name, promote).await else {
            return Ok(());
        };
        if Instant::now() > deadline {
            let failure = Failure::machine(format!(
                "its member of etcd does not catch up with the others: {}",
                failure.message
            ))
            .hint("look at /var/log/pods/kube-system_etcd-* on the host, then run the same command again");
            driver.fail(name, PHASE, failure);
            return Ok(());
        }
        progress.tell(name, failure.message, None);
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// Asks a control plane that is a member already, and not the one that joins.
async fn members<T>(
    driver: &mut Driver,
    joins: &str,
    question: impl AsyncFn(&mut Session) -> Result<T, Failure>,
) -> Result<(String, T), Failure> {
    let joining = driver.machines.remove(joins);
    let all: Vec<String> = joining_later(driver);
    let later: Vec<_> = all
        .iter()
        .filter_map(|name| Some((name.clone(), driver.machines.remove(name)?)))
        .collect();
    let asked = driver.ask(question).await;
    driver.machines.extend(later);
    driver
        .machines
        .extend(joining.map(|machine| (joins.to_owned(), machine)));
    asked.map_err(|unanswered| unanswered.failure("no member of etcd answers"))
}

/// Control planes that are no members yet.
fn joining_later(driver: &Driver) -> Vec<String> {
    driver
        .machines
        .values()
        .filter(|machine| machine.node.is_control_plane() && !super::is_member(machine))
        .map(|machine| machine.node.name.to_string())
        .collect()
}
