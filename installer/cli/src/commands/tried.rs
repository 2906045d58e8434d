//! What cluster.yaml overrides, tried with the programs of the bundle before a host is reached.

use ingot_cluster::{Places, Severity};
use ingot_lifecycle::error::chain;
use ingot_lifecycle::overrides::{self, Judge};
use ingot_lifecycle::{Driver, Failure, FailureKind};
use std::path::PathBuf;

/// Tries them; warnings go to standard error.
///
/// # Errors
/// Everything that the programs refuse, at once.
pub fn overrides(driver: &Driver, places: &Places) -> Result<(), Failure> {
    let judge = Judge::new(&driver.bundle, answers());
    let kubernetes = &driver.bundle.manifest().kubernetes_version;
    let outcome = overrides::check(
        &driver.cluster,
        places,
        (&driver.release, kubernetes),
        &|question| judge.ask(question),
    );
    for error in &outcome.unasked {
        crate::talk!(
            "warning: the settings of cluster.yaml were not tried before the hosts are changed: {}; a wrong value shows when a node starts with it",
            chain(error)
        );
    }
    let ignored = driver
        .options
        .ignored_checks
        .iter()
        .any(|name| name == overrides::CHECK);
    if outcome.findings.errors() == 0 || ignored {
        for finding in outcome.findings.iter() {
            let word = match finding.severity {
                Severity::Error => "ignored: ",
                Severity::Warning => "",
            };
            crate::talk!("{word}{finding}");
        }
        return Ok(());
    }
    Err(
        Failure::text(FailureKind::Input, outcome.findings.to_string()).hint(format!(
            "nothing was changed; to go on all the same: --ignore-check {}",
            overrides::CHECK
        )),
    )
}

/// Where answers are kept (XDG Base Directory Specification, cache).
fn answers() -> Option<PathBuf> {
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let base = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    base.or_else(home)
        .map(|base| base.join("ingot/tried-settings"))
}
