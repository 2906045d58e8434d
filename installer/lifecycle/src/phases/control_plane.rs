//! Waits until the API server of every control plane is ready.

use crate::driver::Driver;
use crate::error::Failure;
use std::time::{Duration, Instant};

const PHASE: &str = "control-plane";

/// Runs the phase.
///
/// # Errors
/// When not one API server becomes ready in time.
pub async fn run(driver: &mut Driver) -> Result<(), Failure> {
    let deadline = Instant::now() + driver.options.ready_timeout;
    let progress = driver.progress(PHASE);
    driver
        .each(PHASE, |node| node.is_control_plane(), async |machine| {
            loop {
                let Err(failure) = machine.session.kube_ready().await else { return Ok(0) };
                if let Some(lost) = machine.session.lost() {
                    return Err(lost);
                }
                if Instant::now() > deadline {
                    return Err(Failure::machine(format!("its API server does not become ready: {failure}"))
                        .hint("look at `journalctl -u kubelet` and /var/log/pods on the host, then run the same command again"));
                }
                progress.tell(machine.node.name.as_str(), format!("API server: {failure}"), None);
                tokio::time::sleep(Duration::from_millis(250)).await;
            }
        })
        .await;
    if driver.any_control_plane().is_none() {
        return Err(Failure::machine("no control plane became ready"));
    }
    Ok(())
}
