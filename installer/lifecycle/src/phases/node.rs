//! Starts the kubelets, and with them the static pods: load balancer, etcd, control plane. All hosts that are not
//! members yet at once: every part waits for the others by itself. Only control planes that join a cluster that
//! exists go one after the other.

use super::join;
use crate::driver::Driver;
use crate::error::Failure;

/// Runs the phase.
///
/// # Errors
/// When too few control planes are left for etcd to have a majority, or etcd refuses a new member.
pub async fn run(driver: &mut Driver) -> Result<(), Failure> {
    super::require_majority(driver)?;
    let joining = join::joining(driver);
    super::apply_group(driver, "node", 2, |machine| {
        !super::is_member(machine) && !joining.contains(&machine.node.name.to_string())
    })
    .await;
    for name in &joining {
        join::run(driver, name).await?;
    }
    Ok(())
}
