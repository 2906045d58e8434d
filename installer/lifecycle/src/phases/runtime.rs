//! Starts the registry on control planes and the container runtime, on all hosts that are not members yet.

use crate::driver::Driver;
use crate::error::Failure;

/// Runs the phase.
///
/// # Errors
/// Never by itself; hosts that fail drop out.
pub async fn run(driver: &mut Driver) -> Result<(), Failure> {
    super::apply_group(driver, "runtime", 1, |machine| !super::is_member(machine)).await;
    Ok(())
}
