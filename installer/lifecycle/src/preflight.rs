//! Whether the hosts will do: checks over the facts of all hosts, pure, all of them run, all findings
//! reported together. One check a function, one theme a file; adding one touches its file and one list.

mod clock;
mod host;
mod identity;
mod network;
mod occupied;
mod quorum;

pub use occupied::peer_ports;
pub use quorum::missing_majority;

use crate::facts::Facts;
use ingot_cluster::Cluster;
use std::collections::BTreeMap;

/// How much a finding weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// It stops the run.
    Error,
    /// It is told.
    Warning,
}

/// Something a check found.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Finding {
    /// The name of the check, for `--ignore-check`.
    pub check: &'static str,
    /// The node, where it concerns one.
    pub node: Option<String>,
    /// How much it weighs.
    pub severity: Severity,
    /// What, why, and what to do.
    pub message: String,
}

/// The facts of all hosts, by the name of the node.
pub type AllFacts = BTreeMap<String, Facts>;

type Check = fn(&Cluster, &AllFacts) -> Vec<Finding>;

/// All checks.
const CHECKS: &[Check] = &[
    host::operating_system,
    host::cgroups,
    host::kernel_features,
    host::memory,
    host::disk_space,
    host::disk_latency,
    host::writable,
    host::swap,
    host::oom_scores,
    identity::machine_ids,
    identity::hostnames,
    clock::skew,
    network::address,
    network::mtu,
    network::own_name,
    occupied::ports,
    occupied::foreign,
    occupied::membership,
    quorum::majority,
];

/// Runs all checks.
pub fn judge(cluster: &Cluster, facts: &AllFacts) -> Vec<Finding> {
    let mut findings: Vec<Finding> = CHECKS
        .iter()
        .flat_map(|check| check(cluster, facts))
        .collect();
    findings.sort_by(|a, b| (&a.node, a.severity, a.check).cmp(&(&b.node, b.severity, b.check)));
    findings
}

fn error(check: &'static str, node: &str, message: impl Into<String>) -> Finding {
    Finding {
        check,
        node: Some(node.into()),
        severity: Severity::Error,
        message: message.into(),
    }
}

fn warning(check: &'static str, node: &str, message: impl Into<String>) -> Finding {
    Finding {
        check,
        node: Some(node.into()),
        severity: Severity::Warning,
        message: message.into(),
    }
}
