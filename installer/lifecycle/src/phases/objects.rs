//! Applies the cluster's objects through one control plane, or the next one when that fails.

use super::rolled_out;
use crate::agent::Session;
use crate::driver::Driver;
use crate::error::Failure;
use crate::manifests::Part;
use crate::pki::Authority;
use crate::{manifests, settings};
use std::time::{Duration, Instant};

/// How long an API server may call one of our objects wrong before we believe it: until it has made its
/// own defaults, the network of Services above all, it says so of good ones.
const GRACE: Duration = Duration::from_secs(20);

/// Applies what makes a cluster.
///
/// # Errors
/// When no control plane accepts the objects in time.
pub async fn run(driver: &mut Driver) -> Result<(), Failure> {
    apply(driver, "objects", Part::Platform).await.map(drop)
}

/// Applies what runs in a cluster that is ready, and waits for what ran there before and was changed.
///
/// # Errors
/// When no control plane accepts the objects in time, or what was changed does not become ready.
pub async fn add_ons(driver: &mut Driver) -> Result<(), Failure> {
    const PHASE: &str = "add-ons";
    let before = rolled_out::status(driver).await;
    let changed = apply(driver, PHASE, Part::AddOns).await?;
    match before {
        Some(before) => rolled_out::add_ons(driver, PHASE, &before, &changed).await,
        None => Ok(()),
    }
}

async fn apply(
    driver: &mut Driver,
    phase: &'static str,
    part: Part,
) -> Result<Vec<String>, Failure> {
    let ca = driver
        .authorities
        .as_ref()
        .map_or("", |a| a.certificate(Authority::Cluster))
        .to_owned();
    // CoreDNS may run on any host, and does not start where it is to forward to nobody.
    let hosts_have_dns = driver
        .machines
        .values()
        .all(|machine| !machine.facts.name_servers.is_empty());
    let settings =
        settings::manifest_settings(&driver.cluster, &driver.release, &ca, hosts_have_dns);
    let objects = manifests::render(&settings, part).map_err(Failure::bug)?;
    let deadline = Instant::now() + driver.options.ready_timeout;
    let progress = driver.progress(phase);
    let mut refused_since = None;
    loop {
        driver.drop_lost(phase);
        let apply = async |session: &mut Session| session.kube_apply(objects.clone()).await;
        let unanswered = match driver.ask(apply).await {
            Ok((_, changed)) => {
                driver.changed += changed.len();
                return Ok(changed);
            }
            Err(unanswered) => unanswered,
        };
        if driver.any_control_plane().is_none() {
            return Err(unanswered.failure("no control plane is left"));
        }
        // Right after its start an API server lacks namespaces and default rules.
        let here = |(name, _): &&(String, Failure)| driver.machines.contains_key(name);
        for (name, failure) in unanswered.said.iter().filter(here) {
            progress.tell(name, failure.message.clone(), None);
        }
        refused_since = match unanswered.bug() {
            Some(_) => refused_since.or_else(|| Some(Instant::now())),
            None => None,
        };
        let hopeless = refused_since.is_some_and(|since: Instant| since.elapsed() > GRACE);
        if hopeless || Instant::now() > deadline {
            return Err(unanswered.failure("no control plane accepts the objects"));
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}
