//! Finds out what the hosts are like. The disk is measured only where nothing was installed yet.

use crate::driver::Driver;
use crate::error::Failure;

/// Runs the phase.
///
/// # Errors
/// Never by itself; hosts that do not answer drop out.
pub async fn run(driver: &mut Driver) -> Result<(), Failure> {
    let progress = driver.progress("facts");
    driver
        .each(
            "facts",
            |_| true,
            async |machine| {
                machine.facts = machine.session.facts(false).await?;
                if machine.facts.membership.is_none() && machine.node.is_control_plane() {
                    progress.tell(machine.node.name.as_str(), "measure the disk", None);
                    machine.facts.fsync_p99_ms = machine.session.facts(true).await?.fsync_p99_ms;
                }
                Ok(0)
            },
        )
        .await;
    Ok(())
}
