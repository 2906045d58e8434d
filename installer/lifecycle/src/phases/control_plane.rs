//! Waits until an API server is ready: from then on the rest of the cluster can begin, while the other
//! API servers come up.

use crate::driver::{Driver, Machine, Progress};
use crate::error::Failure;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const PHASE: &str = "control-plane";

/// Runs the phase.
///
/// # Errors
/// When not one API server becomes ready in time.
pub async fn run(driver: &mut Driver) -> Result<(), Failure> {
    let deadline = Instant::now() + driver.options.ready_timeout;
    let progress = driver.progress(PHASE);
    let first = AtomicBool::new(false);
    driver
        .each(
            PHASE,
            |node| node.is_control_plane(),
            async |machine| {
                let enough = || first.load(Ordering::Relaxed);
                wait(machine, &progress, deadline, enough).await?;
                first.store(true, Ordering::Relaxed);
                Ok(0)
            },
        )
        .await;
    if driver.any_control_plane().is_none() {
        return Err(Failure::machine("no control plane became ready"));
    }
    Ok(())
}

/// Waits until the API server of a control plane is ready, or `enough` says that it need not be.
///
/// # Errors
/// When it is not ready at the `deadline`, or the host is lost.
pub async fn wait(
    machine: &mut Machine,
    progress: &Progress,
    deadline: Instant,
    enough: impl Fn() -> bool,
) -> Result<(), Failure> {
    while !enough() {
        let Err(failure) = machine.session.kube_ready().await else {
            return Ok(());
        };
        if let Some(lost) = machine.session.lost() {
            return Err(lost);
        }
        if Instant::now() > deadline {
            return Err(Failure::machine(format!(
                "its API server does not become ready: {failure}"
            ))
            .hint("look at `journalctl -u kubelet` and /var/log/pods on the host, then run the same command again"));
        }
        let node = machine.node.name.as_str();
        progress.tell(node, format!("API server: {failure}"), None);
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    Ok(())
}
