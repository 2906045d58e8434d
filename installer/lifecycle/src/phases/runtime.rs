//! Starts the registry on control planes and the container runtime, on all hosts that are not members yet.

use crate::agent::health::{Health, Part};
use crate::driver::{Driver, Machine};
use crate::error::Failure;
use std::time::{Duration, Instant};

const PHASE: &str = "runtime";
/// How long containerd may take to answer. Its unit tells systemd itself when it serves.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs the phase.
///
/// # Errors
/// Never by itself; hosts that fail drop out.
pub async fn run(driver: &mut Driver) -> Result<(), Failure> {
    super::apply_group(driver, PHASE, 1, |machine| !super::is_member(machine)).await;
    driver
        .each(
            PHASE,
            |_| true,
            async |machine| {
                if !super::is_member(machine) {
                    serves(machine).await?;
                }
                Ok(0)
            },
        )
        .await;
    Ok(())
}

/// Waits until containerd can make pods. Its CRI is loaded at its start or not at all, so it is restarted once.
async fn serves(machine: &mut Machine) -> Result<(), Failure> {
    let deadline = Instant::now() + PATIENCE;
    let mut restarted = false;
    loop {
        let health = machine.session.health(&[Part::Containerd], 0.0).await?;
        let reason = match health.into_iter().next() {
            Some((_, Health::Well { .. })) => return Ok(()),
            Some((_, Health::Broken { .. })) if !restarted => {
                restarted = true;
                machine.session.restart_containerd().await?;
                continue;
            }
            Some((_, Health::Broken { reason })) => return Err(broken(reason)),
            Some((_, Health::Waiting { reason })) => reason,
            None => return Err(Failure::bug("the agent said nothing of containerd")),
        };
        if Instant::now() > deadline {
            return Err(broken(reason));
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

fn broken(reason: String) -> Failure {
    Failure::machine(format!("containerd: {reason}")).hint(
        "look at `journalctl -u containerd` on the host, mend what it names, and run the same command again",
    )
}
