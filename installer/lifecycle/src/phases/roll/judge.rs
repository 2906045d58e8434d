//! Waits until what a change started is well, or says in the words of its programs why it is not.

use super::{Change, Context};
use crate::agent::Session;
use crate::agent::health::{Health, Part};
use crate::driver::{Driver, Machine};
use crate::error::Failure;
use std::time::{Duration, Instant};

/// How often is asked.
const EVERY: Duration = Duration::from_millis(300);

/// Waits until all `parts`, started after `since`, are well; the value is when the kubelet was started, if it is
/// one of them. The inner error is what is wrong.
///
/// # Errors
/// When the host is lost.
pub(super) async fn wait(
    machine: &mut Machine,
    parts: &[Part],
    since: f64,
    context: &Context,
) -> Result<Result<Option<f64>, String>, Failure> {
    if parts.is_empty() {
        return Ok(Ok(None));
    }
    let name = machine.node.name.to_string();
    loop {
        let health = machine.session.health(parts, since).await?;
        let mut kubelet = None;
        let mut waiting = Vec::new();
        for (part, health) in &health {
            match health {
                Health::Well { started } if *part == Part::Kubelet => kubelet = Some(*started),
                Health::Well { .. } => {}
                Health::Waiting { reason } => waiting.push(format!("{part}: {reason}")),
                Health::Broken { reason } => return Ok(Err(format!("{part}: {reason}"))),
            }
        }
        let Some(first) = waiting.first() else {
            return Ok(Ok(kubelet));
        };
        if Instant::now() > context.deadline {
            return Ok(Err(format!("not well in time: {}", waiting.join("; "))));
        }
        context.progress.tell(&name, first.clone(), None);
        tokio::time::sleep(EVERY).await;
    }
}

/// Waits until the kubelet of a node has said that the node is Ready, after it was started.
///
/// # Errors
/// What it said last, when it is too late.
pub(super) async fn heartbeat(
    driver: &mut Driver,
    name: &str,
    change: &Change,
    deadline: Instant,
) -> Result<(), String> {
    let progress = driver.progress(super::PHASE);
    loop {
        let asked = async |session: &mut Session| session.heartbeat(name).await;
        let reason = match driver.ask(asked).await {
            Ok((_, heartbeat)) => {
                let new = match (heartbeat.renewed, change.kubelet) {
                    (Some(renewed), Some(started)) => renewed >= started,
                    (renewed, _) => renewed.is_some(),
                };
                match (new, heartbeat.ready) {
                    (true, true) => return Ok(()),
                    (true, false) => format!("its node is not ready: {}", heartbeat.reason),
                    (false, _) => "its kubelet has not reported since it was started".to_owned(),
                }
            }
            Err(unanswered) => unanswered.failure("no API server answers").message,
        };
        if Instant::now() > deadline {
            return Err(reason);
        }
        progress.tell(name, reason, None);
        tokio::time::sleep(EVERY).await;
    }
}
