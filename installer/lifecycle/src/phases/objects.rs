//! Applies the cluster's objects through one control plane, or the next one when that fails.

use crate::driver::Driver;
use crate::error::Failure;
use crate::pki::Authority;
use crate::{manifests, settings};
use std::time::{Duration, Instant};

const PHASE: &str = "objects";

/// Runs the phase.
///
/// # Errors
/// When no control plane accepts the objects in time.
pub async fn run(driver: &mut Driver) -> Result<(), Failure> {
    let ca = driver
        .authorities
        .as_ref()
        .map_or("", |a| a.certificate(Authority::Cluster))
        .to_owned();
    let site_dns = driver
        .machines
        .values()
        .any(|machine| !machine.facts.name_servers.is_empty());
    let settings = settings::manifest_settings(&driver.cluster, &driver.release, &ca, site_dns);
    let manifests = manifests::render(&settings).map_err(Failure::bug)?;
    let deadline = Instant::now() + driver.options.ready_timeout;
    let progress = driver.progress(PHASE);
    loop {
        driver.drop_lost(PHASE);
        if driver.any_control_plane().is_none() {
            return Err(Failure::machine("no control plane is left"));
        }
        let mut last = Failure::machine("no control plane accepts the objects");
        for machine in driver
            .machines
            .values_mut()
            .filter(|machine| machine.node.is_control_plane())
        {
            match machine.session.kube_apply(manifests.clone()).await {
                Ok(changed) => {
                    driver.changed += changed.len();
                    return Ok(());
                }
                Err(failure) => {
                    // Right after its start an API server lacks namespaces and default rules.
                    progress.tell(machine.node.name.as_str(), failure.message.clone(), None);
                    last = failure.on(machine.node.name.as_str());
                }
            }
        }
        if Instant::now() > deadline {
            return Err(last);
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}
