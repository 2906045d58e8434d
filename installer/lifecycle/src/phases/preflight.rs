//! Judges the hosts by their facts and by what they reach of each other; everything is reported at once.

mod among;

use crate::driver::Driver;
use crate::error::Failure;
use crate::event::Event;
use crate::preflight::{Severity, judge, judge_release};
use std::collections::BTreeMap;

/// Runs the phase.
///
/// # Errors
/// When any host will not do, before anything was changed.
pub async fn run(driver: &mut Driver) -> Result<(), Failure> {
    let facts = driver
        .machines
        .iter()
        .map(|(name, machine)| (name.clone(), machine.facts.clone()))
        .collect();
    let mut findings = judge(&driver.cluster, &facts);
    findings.extend(judge_release(&facts, &driver.release));
    findings.extend(among::tried(driver).await);
    let mut errors: BTreeMap<Option<String>, Vec<String>> = BTreeMap::new();
    let mut warnings: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for finding in findings {
        let ignored = driver
            .options
            .ignored_checks
            .iter()
            .any(|name| name == finding.check);
        if finding.severity == Severity::Error && !ignored {
            let text = format!("[{}] {}", finding.check, finding.message);
            errors.entry(finding.node.clone()).or_default().push(text);
        } else {
            warnings
                .entry(finding.message)
                .or_default()
                .extend(finding.node);
        }
    }
    // What is true of many hosts is said once.
    for (message, nodes) in warnings {
        let node = (!nodes.is_empty()).then(|| nodes.join(", "));
        driver.tell(Event::Warning { node, message });
    }
    if errors.is_empty() {
        return Ok(());
    }
    let lines: Vec<String> = errors
        .into_iter()
        .flat_map(|(node, texts)| {
            let node = node.unwrap_or_else(|| "cluster".into());
            texts.into_iter().map(move |text| format!("{node}: {text}"))
        })
        .collect();
    let count = lines.len();
    let noun = if count == 1 { "problem" } else { "problems" };
    Err(Failure::machine(format!(
        "{count} {noun} on the hosts, nothing was changed:\n  {}",
        lines.join("\n  ")
    ))
    .hint("mend them, or pass --ignore-check NAME for those you know better about"))
}
