//! Whether the hosts will do: checks over the facts of all hosts, pure, all of them run, all findings
//! reported together. One theme a file; adding a check touches its file and the list here. Each carries its
//! own description, from which docs/reference/preflight.md is made ([`reference`]).

mod clock;
mod host;
mod identity;
mod network;
mod occupied;
mod probes;
mod quorum;
mod ranges;
mod reference;
mod release;
mod resources;
mod services;
mod sysctl;

pub use clock::may_date;
pub use occupied::peer_ports;
pub use probes::{FORWARDING, PATH_MTU, REACHABILITY};
pub use quorum::missing_majority;
pub use reference::reference;
pub use release::judge_release;

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

/// How much the findings of a check weigh.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// They stop the run.
    Errors,
    /// They are told.
    Warnings,
    /// It depends.
    Both,
}

/// A check, with what a person should know of it.
#[derive(Debug, Clone, Copy)]
pub struct Check {
    /// Its name, for `--ignore-check`.
    pub name: &'static str,
    /// What is looked at, and how.
    pub how: &'static str,
    /// What happens to a cluster where it is not as it should be.
    pub consequence: &'static str,
    /// What to do.
    pub remedy: &'static str,
    /// How much its findings weigh.
    pub weight: Weight,
    /// Finds what is wrong; none where hosts try it among themselves.
    judge: Option<fn(&Cluster, &AllFacts) -> Vec<Finding>>,
}

/// All checks that hosts are judged by, in the order of the reference.
pub const CHECKS: &[Check] = &[
    host::OPERATING_SYSTEM,
    host::CGROUPS,
    host::KERNEL_FEATURES,
    host::MEMORY,
    host::OOM_SCORES,
    resources::DISK_SPACE,
    resources::DISK_FILES,
    resources::DISK_LATENCY,
    resources::WRITABLE,
    resources::NOEXEC,
    resources::SWAP,
    resources::INOTIFY,
    identity::MACHINE_ID,
    identity::HOSTNAME,
    identity::NODE_NAME,
    identity::OWN_NAME,
    clock::CLOCK,
    network::ADDRESS,
    network::MTU,
    network::DEFAULT_ROUTE,
    network::NAME_SERVERS,
    ranges::RANGES,
    services::PROXY,
    services::DROP_INS,
    services::SELINUX,
    services::APPARMOR,
    sysctl::SYSCTL,
    occupied::PORTS,
    occupied::FOREIGN,
    occupied::MEMBERSHIP,
    release::RELEASE,
    quorum::QUORUM,
    quorum::MEMBERS,
    REACHABILITY,
    PATH_MTU,
    FORWARDING,
];

/// Runs all checks over what is known of the hosts.
pub fn judge(cluster: &Cluster, facts: &AllFacts) -> Vec<Finding> {
    let mut findings: Vec<Finding> = CHECKS
        .iter()
        .filter_map(|check| check.judge)
        .flat_map(|judge| judge(cluster, facts))
        .collect();
    findings.sort_by(|a, b| (&a.node, a.severity, a.check).cmp(&(&b.node, b.severity, b.check)));
    findings
}

impl Check {
    fn error(&self, node: &str, message: impl Into<String>) -> Finding {
        self.finding(node, Severity::Error, message)
    }

    fn warning(&self, node: &str, message: impl Into<String>) -> Finding {
        self.finding(node, Severity::Warning, message)
    }

    /// A finding about a node.
    pub fn finding(&self, node: &str, severity: Severity, message: impl Into<String>) -> Finding {
        Finding {
            check: self.name,
            node: Some(node.into()),
            severity,
            message: message.into(),
        }
    }
}
