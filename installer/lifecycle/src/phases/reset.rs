//! Takes hosts back to what they were before the first bootstrap.

use crate::driver::Driver;
use crate::error::Failure;

/// Runs the phase.
///
/// # Errors
/// Never by itself; hosts on which something is left drop out, with what is left.
pub async fn run(driver: &mut Driver) -> Result<(), Failure> {
    let progress = driver.progress("reset");
    driver
        .each(
            "reset",
            |_| true,
            async |machine| {
                progress.tell(
                    machine.node.name.as_str(),
                    "stop workloads and undo the journal",
                    None,
                );
                let problems = machine.session.reset().await?;
                if problems.is_empty() {
                    return Ok(1);
                }
                Err(Failure::machine(format!(
                    "not everything could be taken back:\n  {}",
                    problems.join("\n  ")
                ))
                .hint(
                    "mend what is named and run the same command again, or reboot the host first",
                ))
            },
        )
        .await;
    Ok(())
}
