//! What is said at the end: plans, states of clusters, failures with their next step.

use crate::progress::Output;
use ingot_engine::Plan;
use ingot_engine::plan::Action;
use ingot_lifecycle::agent::kube::ClusterStatus;
use ingot_lifecycle::agent::protocol::HostPlan;
use ingot_lifecycle::rollout;
use ingot_lifecycle::{Driver, Failure, FailureKind};
use std::collections::BTreeMap;
use std::process::ExitCode;

/// Prints a failure and its hint on standard error.
pub fn print_failure(failure: &Failure) {
    let place = match (&failure.node, &failure.phase) {
        (Some(node), Some(phase)) => format!("{node}: {phase}: "),
        (Some(node), None) => format!("{node}: "),
        (None, Some(phase)) => format!("{phase}: "),
        (None, None) => String::new(),
    };
    crate::talk!("error: {place}{}", failure.message);
    if let Some(hint) = &failure.hint {
        crate::talk!("  next: {hint}");
    }
    if failure.kind == FailureKind::Bug {
        crate::talk!(
            "  this is a mistake of ingot {} itself; please report it with this output and the command that was typed",
            env!("CARGO_PKG_VERSION")
        );
    }
}

/// Says why a command did not even come to its work, or broke off in it.
pub fn refused(failure: &Failure, output: Output) {
    print_failure(failure);
    if output == Output::Json {
        let code = failure.kind.exit_code();
        crate::say!(
            "{}",
            end_line(code, None, &[], &BTreeMap::new(), Some(failure), None)
        );
    }
}

/// The last line of `-o json`.
fn end_line(
    code: u8,
    changed: Option<usize>,
    done: &[&str],
    failed: &BTreeMap<String, Failure>,
    failure: Option<&Failure>,
    command: Option<&str>,
) -> serde_json::Value {
    serde_json::json!({
        "event": "end",
        "exitCode": code,
        "changed": changed,
        "done": done,
        "failed": failed,
        "failure": failure,
        "continueWith": command,
    })
}

/// Says how a run ended, and how to go on where it did not end well; returns the exit code.
pub fn end(driver: &Driver, result: &Result<usize, Failure>, output: Output, command: &str) -> u8 {
    let done: Vec<&str> = driver.machines.keys().map(String::as_str).collect();
    let code = match result {
        Err(failure) => failure.kind.exit_code(),
        Ok(_) => driver
            .failed
            .values()
            .map(|failure| failure.kind)
            .max()
            .map_or(0, FailureKind::exit_code),
    };
    if output == Output::Json {
        let (changed, failure) = (result.as_ref().ok().copied(), result.as_ref().err());
        let command = (code != 0).then_some(command);
        let json = end_line(code, changed, &done, &driver.failed, failure, command);
        crate::say!("{json}");
        return code;
    }
    for failure in driver.failed.values() {
        print_failure(failure);
    }
    match result {
        Ok(0) if code == 0 => crate::say!("nothing to do: {} as described", nodes(&done)),
        Ok(changed) if code == 0 => crate::say!("done: {changed} changes on {}", nodes(&done)),
        Ok(_) => crate::talk!("{} done, {} failed", nodes(&done), driver.failed.len()),
        Err(failure)
            if driver
                .failed
                .values()
                .any(|told| told.message == failure.message) => {}
        Err(failure) => print_failure(failure),
    }
    if code != 0 {
        crate::talk!("continue with: {command}");
    }
    code
}

fn nodes(names: &[&str]) -> String {
    match names {
        [one] => format!("node {one}"),
        [] => "no node".into(),
        many => format!("nodes {}", many.join(", ")),
    }
}

/// Says that the person interrupted the run.
pub fn interrupted(output: Output, command: &str) {
    match output {
        Output::Json => crate::say!(
            "{}",
            serde_json::json!({ "event": "interrupted", "continueWith": command })
        ),
        Output::Text => {
            crate::talk!("interrupted; the hosts finish the step they are in, nothing is lost");
            crate::talk!("continue with: {command}");
        }
    }
}

/// The exit code for hosts that failed, after saying why.
pub fn failed_hosts(driver: &Driver) -> ExitCode {
    for failure in driver.failed.values() {
        print_failure(failure);
    }
    ExitCode::from(
        driver
            .failed
            .values()
            .map(|failure| failure.kind)
            .max()
            .map_or(0, FailureKind::exit_code),
    )
}

/// Prints the plan of each host.
pub fn plans(plans: &BTreeMap<String, HostPlan>) {
    for (node, found) in plans {
        let found = &found.plan;
        crate::say!(
            "{node}: {} of {} resources would change",
            found.work().count(),
            found.resources.len()
        );
        plan(found);
    }
}

/// Prints what a plan would change.
pub fn plan(plan: &Plan) {
    for planned in plan.work() {
        match &planned.action {
            Action::Change { changes } => {
                crate::say!("  {}", planned.target);
                for change in changes {
                    crate::say!("      {change}");
                    for line in change.diff.iter().flat_map(|diff| diff.lines()) {
                        crate::say!("        {line}");
                    }
                }
            }
            Action::React { because } if because.is_empty() => {
                crate::say!(
                    "  {} restarts: a run was interrupted before it could",
                    planned.target
                );
            }
            Action::React { because } => crate::say!(
                "  {} restarts: {} changes",
                planned.target,
                because.join(", ")
            ),
            Action::None | Action::Skip { .. } => {}
        }
    }
}

/// Prints the state of a cluster.
pub fn status(status: &ClusterStatus) {
    crate::say!(
        "{:<20} {:<10} {:<24} {:<10} REASON",
        "NODE",
        "STATE",
        "ROLES",
        "KUBELET"
    );
    for node in &status.nodes {
        let state = if node.ready { "ready" } else { "not ready" };
        let row = format!(
            "{:<20} {state:<10} {:<24} {:<10} {}",
            node.name,
            node.roles.join(","),
            node.version,
            node.reason
        );
        crate::say!("{}", row.trim_end());
    }
    crate::say!("");
    crate::say!("{:<56} {:<16} {:<12} RESTARTS", "POD", "NODE", "STATE");
    for pod in &status.pods {
        let state = if pod.ready {
            "ready"
        } else {
            pod.state.as_str()
        };
        crate::say!(
            "{:<56} {:<16} {state:<12} {}",
            pod.name,
            pod.node,
            pod.restarts
        );
    }
    crate::say!("");
    for missing in rollout::unfinished(status) {
        crate::say!("{}", missing.what);
    }
    match &status.dns {
        None => crate::say!("cluster DNS answers"),
        Some(reason) => crate::say!("cluster DNS: {reason}"),
    }
}
