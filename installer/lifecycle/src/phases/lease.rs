//! Keeps other installers out: the lease of every host is taken, or the run ends before any change.

use crate::driver::Driver;
use crate::error::Failure;
use std::sync::{Mutex, PoisonError};

/// Runs the phase.
///
/// # Errors
/// When another installer holds the lease of any host: two runs must not share a cluster.
pub async fn run(driver: &mut Driver) -> Result<(), Failure> {
    let holder = driver.options.holder.clone();
    let held = Mutex::new(None);
    driver
        .each(
            "lease",
            |_| true,
            async |machine| {
                let Err(failure) = machine.session.lease(&holder).await else {
                    // Nobody else changes the host now, so its services may get this program.
                    return machine.session.install_program().await.map(|()| 0);
                };
                // A host that died holds nobody's lease; the others go on without it.
                if machine.session.lost().is_none() {
                    let failure = failure.clone().on(machine.node.name.as_str());
                    *held.lock().unwrap_or_else(PoisonError::into_inner) = Some(failure);
                }
                Err(failure)
            },
        )
        .await;
    match held.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(failure) => Err(failure),
        None => Ok(()),
    }
}
