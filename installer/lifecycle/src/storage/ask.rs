//! Asks the control planes, one after the other, until one answers. The only part that is not pure.

use super::snapshot::{self, Plan, Progress, Taken};
use super::{Objects, installed};
use crate::agent::Session;
use crate::driver::{Driver, Unanswered};
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
    // One that is not reached is named when no other answers.
    if let Err(failure) = sequence::run(driver, REACH).await
        && driver.failed.is_empty()
    {
        return Err(failure);
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

/// Asks the control planes.
async fn any<T>(
    driver: &mut Driver,
    question: impl AsyncFn(&mut Session) -> Result<T, Failure>,
) -> Result<T, Failure> {
    match driver.ask(question).await {
        Ok((_, answer)) => Ok(answer),
        Err(unanswered) => Err(no_answer(&unanswered)),
    }
}

/// No control plane answers: what each of them said.
pub fn no_answer(unanswered: &Unanswered) -> Failure {
    let failure = unanswered.failure("no control plane answers");
    match failure.kind {
        FailureKind::Bug => failure,
        _ => failure.hint("see how the servers are: ingot status"),
    }
}
