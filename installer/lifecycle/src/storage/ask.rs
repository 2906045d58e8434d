//! Asks the control planes, one after the other, until one answers. The only part that is not pure.

use super::snapshot::{self, Plan, Progress, Taken};
use super::{Objects, installed};
use crate::agent::Session;
use crate::driver::Driver;
use crate::error::{Failure, FailureKind};
use crate::event::Event;
use crate::sequence::{self, REACH};
use std::time::{Duration, Instant};

/// What this is called in events.
const PHASE: &str = "snapshot";
/// Between two looks at a snapshot that is being made.
const AGAIN: Duration = Duration::from_millis(500);

/// Reaches the control planes and reads everything that storage is made of.
///
/// # Errors
/// When no control plane answers, or the cluster has no storage.
pub async fn read(driver: &mut Driver) -> Result<Objects, Failure> {
    let planes = driver.cluster.nodes.iter().filter(|n| n.is_control_plane());
    // Nobody else has an API server; workers that are down shall not be waited for.
    driver.options.only = planes.map(|node| node.name.to_string()).collect();
    if let Err(failure) = sequence::run(driver, REACH).await {
        return Err(silent(driver, Some(failure)));
    }
    let objects = any(driver, async |session| session.storage().await).await?;
    installed(&objects)?;
    for problem in &objects.unreadable {
        driver.tell(Event::Warning {
            node: None,
            message: problem.clone(),
        });
    }
    Ok(objects)
}

/// Takes a snapshot as planned and waits until it is ready, `patience` at most.
///
/// # Errors
/// When the API server refuses it, it is not ready in time, or it is removed meanwhile.
pub async fn take(driver: &mut Driver, plan: &Plan, patience: Duration) -> Result<Taken, Failure> {
    let begin = Instant::now();
    driver.tell(Event::PhaseStarted {
        phase: PHASE.into(),
        title: format!("Take snapshot {}", plan.snapshot),
        nodes: vec![plan.claim.to_string()],
    });
    let result = wait(driver, plan, begin, patience).await;
    driver.tell(Event::PhaseFinished {
        phase: PHASE.into(),
        changed: usize::from(matches!(&result, Ok(taken) if taken.made)),
        milliseconds: u64::try_from(begin.elapsed().as_millis()).unwrap_or(u64::MAX),
    });
    result.map_err(|failure| failure.during(PHASE))
}

async fn wait(
    driver: &mut Driver,
    plan: &Plan,
    begin: Instant,
    patience: Duration,
) -> Result<Taken, Failure> {
    let mut made = false;
    if let Some(object) = &plan.create {
        made = any(driver, async |session| {
            session.kube_create(object.clone()).await
        })
        .await?;
    }
    let progress = driver.progress(PHASE);
    loop {
        let (found, content) = any(driver, async |session| {
            session.volume_snapshot(&plan.snapshot).await
        })
        .await?;
        let reason = match snapshot::progress(found.as_ref(), content.as_ref()) {
            Progress::Ready { size } => {
                return Ok(Taken {
                    snapshot: plan.snapshot.clone(),
                    claim: plan.claim.clone(),
                    made,
                    size,
                });
            }
            Progress::Gone => return Err(snapshot::gone(plan)),
            Progress::Waiting(reason) => reason,
        };
        if begin.elapsed() >= patience {
            return Err(snapshot::late(plan, &reason, patience.as_secs()));
        }
        progress.tell(&plan.claim.to_string(), reason, None);
        tokio::time::sleep(AGAIN).await;
    }
}

/// Asks one control plane after the other.
async fn any<T>(
    driver: &mut Driver,
    question: impl AsyncFn(&mut Session) -> Result<T, Failure>,
) -> Result<T, Failure> {
    for (name, machine) in &mut driver.machines {
        match question(&mut machine.session).await {
            Ok(answer) => return Ok(answer),
            Err(failure) if failure.kind == FailureKind::Bug => return Err(failure.on(name)),
            Err(failure) => drop(driver.failed.insert(name.clone(), failure)),
        }
    }
    Err(silent(driver, None))
}

/// No control plane answers: what each of them said.
fn silent(driver: &Driver, failure: Option<Failure>) -> Failure {
    let kind = failure.as_ref().map_or(FailureKind::Machine, |f| f.kind);
    let said = driver
        .failed
        .iter()
        .map(|(name, failure)| (name.as_str(), failure));
    no_answer(kind, said)
}

/// The words for it.
pub fn no_answer<'a>(
    kind: FailureKind,
    said: impl Iterator<Item = (&'a str, &'a Failure)>,
) -> Failure {
    let said: Vec<String> = said
        .map(|(name, f)| format!("{name}: {}", f.message))
        .collect();
    let text = format!("no control plane answers:\n  {}", said.join("\n  "));
    Failure::text(kind, text).hint("see how the servers are: ingot status")
}
