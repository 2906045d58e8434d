//! Starts the kubelets, and with them the static pods: load balancer, etcd, control plane. All at once:
//! every part waits for the others by itself.

use crate::driver::Driver;
use crate::error::Failure;

/// Runs the phase.
///
/// # Errors
/// When too few control planes are left for etcd to have a majority.
pub async fn run(driver: &mut Driver) -> Result<(), Failure> {
    let all = driver.cluster.control_planes().count();
    let here = driver
        .machines
        .values()
        .filter(|machine| machine.node.is_control_plane())
        .count();
    if here * 2 <= all && driver.options.only.is_empty() {
        return Err(Failure::machine(format!(
            "only {here} of {all} control planes can be worked on; etcd needs a majority of them to start"
        ))
        .hint("bring the missing hosts back, or change cluster.yaml, and run the same command again"));
    }
    super::apply_group(driver, "node", 2).await;
    Ok(())
}
