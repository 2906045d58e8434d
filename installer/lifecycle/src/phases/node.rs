//! Starts the kubelets, and with them the static pods: load balancer, etcd, control plane. All at once:
//! every part waits for the others by itself.

use crate::driver::Driver;
use crate::error::Failure;

/// Runs the phase.
///
/// # Errors
/// When too few control planes are left for etcd to have a majority.
pub async fn run(driver: &mut Driver) -> Result<(), Failure> {
    super::require_majority(driver)?;
    super::apply_group(driver, "node", 2).await;
    Ok(())
}
