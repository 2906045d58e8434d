//! `ingot plan`: what apply would change.

use super::run::HostOptions;
use crate::progress::Output;
use crate::report;
use ingot_lifecycle::sequence::{self, INSPECT};
use ingot_lifecycle::{Failure, phases, settings};
use std::collections::BTreeMap;
use std::process::ExitCode;

/// Runs the command.
///
/// # Errors
/// When an input is wrong, a check fails, or no host can be reached.
pub fn run(options: &HostOptions) -> Result<ExitCode, Failure> {
    let mut driver = options.tried_driver(Vec::new())?;
    super::runtime()?.block_on(async {
        sequence::run(&mut driver, INSPECT).await?;
        let (cluster, release) = (driver.cluster.clone(), driver.release.clone());
        let plans = std::sync::Mutex::new(BTreeMap::new());
        driver
            .each(
                "plan",
                |_| true,
                async |machine| {
                    let states = phases::all_states(&machine.node);
                    let settings =
                        settings::host_settings(&cluster, &machine.node, &machine.facts, &release);
                    let plan = machine.session.plan(&states, &settings).await?;
                    let count = plan.plan.work().count();
                    plans
                        .lock()
                        .unwrap_or_else(std::sync::PoisonError::into_inner)
                        .insert(machine.node.name.to_string(), plan);
                    Ok(count)
                },
            )
            .await;
        let plans = plans
            .into_inner()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        match options.output {
            Output::Json => crate::say!(
                "{}",
                serde_json::to_string(&plans).map_err(|e| Failure::bug(e.to_string()))?
            ),
            Output::Text => report::plans(&plans),
        }
        Ok(report::failed_hosts(&driver))
    })
}
