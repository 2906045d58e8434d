//! Starts the registry on control planes and the container runtime everywhere.

use crate::driver::Driver;
use crate::error::Failure;

/// Runs the phase.
///
/// # Errors
/// Never by itself; hosts that fail drop out.
pub async fn run(driver: &mut Driver) -> Result<(), Failure> {
    super::apply_group(driver, "runtime", 1).await;
    Ok(())
}
