//! Keeps other installers out: the lease of every host is taken, or the run ends before any change.

use crate::driver::Driver;
use crate::error::Failure;

/// Runs the phase.
///
/// # Errors
/// When another installer holds the lease of any host: two runs must not share a cluster.
pub async fn run(driver: &mut Driver) -> Result<(), Failure> {
    let holder = driver.options.holder.clone();
    driver
        .each(
            "lease",
            |_| true,
            async |machine| machine.session.lease(&holder).await.map(|()| 0),
        )
        .await;
    let held = driver
        .failed
        .values()
        .find(|failure| failure.phase.as_deref() == Some("lease"));
    match held {
        Some(failure) => Err(failure.clone()),
        None => Ok(()),
    }
}
