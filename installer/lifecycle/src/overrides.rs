//! What cluster.yaml overrides, checked by the very programs of the bundle before any host is touched.
//!
//! The bundle's Kubernetes program knows its flags, fields, feature gates and ranges; it is asked
//! ([`program`]) whether it would start with them, and its words become findings with line and column.
//! Where nothing is overridden no program is started. Never knows a flag or a field itself.

mod program;
mod question;

pub use program::{AskError, Judge};
pub use question::{Answer, Complaint, Question, questions};

use crate::settings::Release;
use ingot_cluster::{Cluster, Finding, Findings, Part, Places, Severity};

/// The name of the check, for `--ignore-check`.
pub const CHECK: &str = "settings";

/// What came of it.
#[derive(Debug)]
pub struct Outcome {
    /// What the programs say, by the place in cluster.yaml.
    pub findings: Findings,
    /// Why a program could not be asked.
    pub unasked: Vec<AskError>,
}

/// Asks about everything that the cluster overrides.
pub fn check(
    cluster: &Cluster,
    places: &Places,
    (release, kubernetes): (&Release, &str),
    ask: &dyn Fn(&Question) -> Result<Answer, AskError>,
) -> Outcome {
    let mut findings = Vec::new();
    let mut unasked = Vec::new();
    for question in questions(cluster, release) {
        match complaints(&question, ask) {
            Ok(complaints) => {
                let told = complaints
                    .into_iter()
                    .map(|complaint| finding(&question, complaint, places, kubernetes));
                findings.extend(told);
            }
            Err(error) => unasked.push(error),
        }
    }
    Outcome {
        findings: findings.into_iter().collect(),
        unasked,
    }
}

/// What a component says of the overrides. What it says of none of them, and without them as well, comes
/// from where it is asked and not from cluster.yaml.
fn complaints(
    question: &Question,
    ask: &dyn Fn(&Question) -> Result<Answer, AskError>,
) -> Result<Vec<Complaint>, AskError> {
    let mut complaints = ask(question)?.findings;
    if complaints.iter().any(|one| one.setting.is_empty()) {
        let usual = ask(&question.without_overrides())?.findings;
        complaints.retain(|one| !one.setting.is_empty() || !usual.contains(one));
    }
    Ok(complaints)
}

fn finding(
    question: &Question,
    complaint: Complaint,
    places: &Places,
    kubernetes: &str,
) -> Finding {
    let component = question.component.name();
    let Complaint {
        setting,
        message,
        refused,
    } = complaint;
    let unknown = message.starts_with("unknown flag") || message.starts_with("unknown field");
    let part = if unknown { Part::Key } else { Part::Value };
    let place = match setting.as_str() {
        "" => question.component.place().to_owned(),
        setting => format!("{}.{setting}", question.component.place()),
    };
    let message = message.trim();
    if refused {
        places.finding(
            (&place, part),
            Severity::Error,
            format!("{component} {kubernetes} refuses it: {message}"),
            "correct it, or remove it",
        )
    } else {
        places.finding(
            (&place, part),
            Severity::Warning,
            format!("{component} {kubernetes} says: {message}"),
            "replace it before the next upgrade",
        )
    }
}

#[cfg(test)]
mod tests;
