//! What is wrong with a volume, and what to do about it: from its own report, its pool, its node.

use super::join::{Joined, Named};
use super::objects::{DiskHealth, NodePool, Phase, Volume};
use super::order;
use super::size::{human, percent};
use serde::Serialize;

/// How bad it is; the words are those of CSI's health requests where it has some.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Data is gone.
    DataLoss,
    /// It cannot be used now.
    Inaccessible,
    /// It can be used, and something is to be done.
    Degraded,
    /// Something to know.
    Notice,
}

impl Severity {
    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Self::DataLoss => "data loss",
            Self::Inaccessible => "inaccessible",
            Self::Degraded => "degraded",
            Self::Notice => "notice",
        }
    }
}

/// Something that is known against a volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What it is.
    pub what: String,
    /// What to do next.
    pub next: String,
}

fn finding(severity: Severity, what: impl Into<String>, next: impl Into<String>) -> Finding {
    Finding {
        severity,
        what: what.into(),
        next: next.into(),
    }
}

/// Shows the agents; what an agent does not report is mostly the agent's own trouble.
const AGENTS: &str =
    "kubectl -n kube-system get pods -o wide -l app.kubernetes.io/name=storage-agent";

/// What is known against a volume itself, the worst first.
pub fn of_volume(joined: &Joined<'_>, volume: &Volume) -> Vec<Finding> {
    let claim = joined.claim(&volume.id(), &volume.spec.csi_name);
    let mut all: Vec<Finding> = of_itself(volume, claim.as_ref()).into_iter().collect();
    all.extend(of_deletion(joined, volume, claim.as_ref()));
    all.extend(of_place(joined, &volume.spec.node, &volume.spec.pool));
    worst_first(all)
}

/// The worst first; those that are equally bad stay as they were.
pub fn worst_first(findings: Vec<Finding>) -> Vec<Finding> {
    order::by(findings, |finding| (finding.severity as u8).to_string())
}

/// What its own report says.
fn of_itself(volume: &Volume, claim: Option<&Named>) -> Option<Finding> {
    let status = &volume.status;
    let message = status.message.as_str();
    let told = |otherwise: &str| match message {
        "" => otherwise.to_owned(),
        message => message.to_owned(),
    };
    match status.phase {
        Phase::Lost => {
            let delete = match claim {
                Some(claim) => format!(
                    "restore it into a new claim, then give this one up: kubectl -n {} delete pvc {}",
                    claim.namespace, claim.name
                ),
                None => "ingot volume orphans".into(),
            };
            Some(finding(
                Severity::DataLoss,
                told("its logical volume is gone and with it the data"),
                delete,
            ))
        }
        Phase::Refused => Some(finding(
            Severity::Inaccessible,
            told("it cannot be made"),
            "see what is free: ingot volume list --pools",
        )),
        Phase::Ready if status.refused.is_some() => Some(finding(
            Severity::Notice,
            told("it cannot grow"),
            "see what is free: ingot volume list --pools",
        )),
        // The words of what failed last and is tried again.
        Phase::Pending | Phase::Claimed | Phase::Ready if !message.is_empty() => Some(finding(
            Severity::Notice,
            message,
            "it is tried again by itself; nothing need be done unless this stays",
        )),
        Phase::Pending | Phase::Claimed | Phase::Ready => None,
    }
}

/// What keeps a deletion waiting.
fn of_deletion(joined: &Joined<'_>, volume: &Volume, claim: Option<&Named>) -> Option<Finding> {
    let pods = joined.pods(claim?);
    if !volume.spec.deleting || pods.is_empty() {
        return None;
    }
    let names: Vec<_> = pods.iter().map(|pod| pod.metadata.name.as_str()).collect();
    Some(finding(
        Severity::Notice,
        format!(
            "its deletion waits for pods that have it: {}",
            names.join(", ")
        ),
        "end these pods",
    ))
}

/// What is wrong where it lies.
fn of_place(joined: &Joined<'_>, node: &str, pool: &str) -> Vec<Finding> {
    let mut all = Vec::new();
    match joined.node(node) {
        None => all.push(finding(
            Severity::Inaccessible,
            format!("node {node} is not in the cluster; the volume is on its disks"),
            "bring the node back: ingot apply; if it is gone for good: ingot volume orphans",
        )),
        Some(found) => {
            if let Some(reason) = found.unready() {
                all.push(finding(
                    Severity::Inaccessible,
                    format!("node {node} is not ready: {reason}"),
                    "ingot status",
                ));
            }
        }
    }
    let Some(found) = joined.pool(node, pool) else {
        all.push(finding(
            Severity::Inaccessible,
            format!("node {node} does not report pool {pool}"),
            AGENTS,
        ));
        return all;
    };
    if let Some(trouble) = &found.spec.trouble {
        // What does not lie on a disk that is missing can be used.
        let severity = match found.spec.missing.is_empty() {
            true => Severity::Inaccessible,
            false => Severity::Degraded,
        };
        all.push(finding(
            severity,
            format!("its pool {pool} is in trouble: {trouble}"),
            "ingot disk list",
        ));
    }
    for disk in joined.disks(&found.spec.node, &found.spec.pool) {
        let how = match disk.spec.health {
            DiskHealth::Good => continue,
            DiskHealth::Failed => "has failed",
            DiskHealth::Missing => "is missing",
        };
        all.push(finding(
            Severity::Degraded,
            format!("disk {} of its pool {how}", disk.spec.path),
            "reconnect or replace it; which it is: ingot disk list",
        ));
    }
    all
}

/// What its thin pool makes it share with all others in it. A list says so once, of the pool.
pub fn of_thin(pool: &NodePool) -> Option<Finding> {
    let thin = pool.spec.space.thin.as_ref()?;
    let stop = pool.spec.guard.stop();
    if !thin.healthy {
        return Some(finding(
            Severity::Degraded,
            format!(
                "LVM finds something wrong with thin pool {}/{}",
                pool.spec.vg, thin.pool
            ),
            "ingot disk list",
        ));
    }
    let fullest = thin.data.max(thin.metadata);
    (fullest >= stop).then(|| {
        finding(
            Severity::Degraded,
            format!(
                "its thin pool of {} is full to {} (metadata {}); from {} on nothing is promised",
                human(thin.size),
                percent(thin.data),
                percent(thin.metadata),
                percent(stop)
            ),
            "add a disk, or delete volumes or snapshots",
        )
    })
}
