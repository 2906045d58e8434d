//! Writes down on each host which cluster and release it belongs to: after the work, never before.

use crate::driver::Driver;
use crate::error::Failure;
use crate::facts::{Fixed, Membership};

/// Runs the phase.
///
/// # Errors
/// Never by itself; hosts that fail drop out.
pub async fn run(driver: &mut Driver) -> Result<(), Failure> {
    let (cluster, version) = (
        driver.cluster.name.to_string(),
        driver.release.version.clone(),
    );
    let (kubernetes, content) = (
        driver.release.kubernetes.clone(),
        driver.release.content.clone(),
    );
    let network = Fixed::from(&driver.cluster.network);
    driver
        .each(
            "record",
            |_| true,
            async |machine| {
                let node = machine.node.name.to_string();
                let membership = Membership {
                    format_version: 1,
                    cluster: cluster.clone(),
                    node,
                    version: version.clone(),
                    kubernetes: kubernetes.clone(),
                    content: Some(content.clone()),
                    network: network.clone(),
                };
                machine.session.join(membership).await
            },
        )
        .await;
    Ok(())
}
