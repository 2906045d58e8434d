//! Prepares the hosts: directories, kernel settings, no swap, the release's programs unpacked.

use crate::driver::Driver;
use crate::error::Failure;

/// Runs the phase.
///
/// # Errors
/// Never by itself; hosts that fail drop out.
pub async fn run(driver: &mut Driver) -> Result<(), Failure> {
    super::apply_group(driver, "prepare", 0, |_| true).await;
    Ok(())
}
