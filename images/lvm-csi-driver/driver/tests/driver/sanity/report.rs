//! What the suite's report must say: what may be skipped and why, and that nothing failed.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;

const ALL: &[&str] = &[
    "thin",
    "thick",
    "raw block",
    "two processes",
    "objects in Kubernetes",
];
const THICK: &[&str] = &["thick"];
const NO_ATTACHMENT: &str = "a local volume is not attached: PUBLISH_UNPUBLISH_VOLUME is not offered (attachRequired: false)";
const NO_COPIES: &str =
    "by design only thin volumes have snapshots and clones: thick copy-on-write ones are slow";

/// What is not run: a part of the specification's name, in which runs, and why.
const SKIPS: [(&str, &[&str], &str); 15] = [
    ("/ ControllerPublishVolume /", ALL, NO_ATTACHMENT),
    ("/ ControllerUnpublishVolume /", ALL, NO_ATTACHMENT),
    (
        "[Controller Server] / volume lifecycle /",
        ALL,
        NO_ATTACHMENT,
    ),
    (
        "pagination should detect volumes added between pages",
        ALL,
        "the suite itself marks it as pending (csi-test#223); tests/driver/lists.rs has the same case",
    ),
    (
        "should succeed when creating a snapshot with accessibility requirements",
        ALL,
        "fails for each driver that answers with a topology: csi-test 5.6.0 compares Go messages with their cached sizes; tests/driver/lists.rs has the same case",
    ),
    ("from an existing source snapshot", THICK, NO_COPIES),
    ("from an existing source volume", THICK, NO_COPIES),
    (
        "already existing name and different source volume ID",
        THICK,
        NO_COPIES,
    ),
    (
        "creating snapshot with maximum-length name",
        THICK,
        NO_COPIES,
    ),
    (
        "already existing name and same source volume ID",
        THICK,
        NO_COPIES,
    ),
    (
        "DeleteSnapshot [Controller Server] / should return appropriate values",
        THICK,
        NO_COPIES,
    ),
    (
        "should return snapshot that match the specified snapshot id",
        THICK,
        NO_COPIES,
    ),
    (
        "check the presence of new snapshots in the snapshot list",
        THICK,
        NO_COPIES,
    ),
    (
        "should return next token when a limited number of entries are requested",
        THICK,
        NO_COPIES,
    ),
    (
        "should return snapshots that match the specified",
        THICK,
        NO_COPIES,
    ),
];

/// What the suite cannot find out by itself is taken out by name.
pub fn taken_out(run: &str) -> Vec<String> {
    let here = SKIPS.iter().filter(|(_, runs, why)| {
        runs.contains(&run) && *why != NO_ATTACHMENT && !why.contains("pending")
    });
    // Ginkgo's names have blanks where ours have strokes, and are taken as expressions.
    let plain = |part: &str| part.replace(" / ", " ").replace(['[', ']'], ".");
    here.map(|(part, _, _)| format!("--ginkgo.skip={}", plain(part)))
        .collect()
}

/// Outcome of one specification.
#[derive(Debug, PartialEq)]
pub enum Outcome {
    Passed,
    Failed,
    Skipped(String),
}

/// Reads ginkgo's JSON report.
pub fn outcomes(report: &Path) -> Result<BTreeMap<String, Outcome>, Box<dyn Error>> {
    let json: serde_json::Value = serde_json::from_slice(&std::fs::read(report)?)?;
    let mut outcomes = BTreeMap::new();
    for spec in json[0]["SpecReports"].as_array().ok_or("no reports")? {
        if spec["LeafNodeType"] != "It" {
            continue;
        }
        let mut name: Vec<&str> = spec["ContainerHierarchyTexts"]
            .as_array()
            .map(|texts| texts.iter().filter_map(|text| text.as_str()).collect())
            .unwrap_or_default();
        name.push(spec["LeafNodeText"].as_str().unwrap_or_default());
        let outcome = match spec["State"].as_str() {
            Some("passed") => Outcome::Passed,
            Some("skipped" | "pending") => Outcome::Skipped(
                spec["Failure"]["Message"]
                    .as_str()
                    .unwrap_or("pending")
                    .into(),
            ),
            _ => Outcome::Failed,
        };
        outcomes.insert(name.join(" / "), outcome);
    }
    Ok(outcomes)
}

/// The row of a run for the table, and of each specification that was skipped with the reason; what
/// must not be goes to `complaints`.
pub fn judge(
    run: &str,
    outcomes: &BTreeMap<String, Outcome>,
    complaints: &mut Vec<String>,
) -> (String, String) {
    let count = |wanted: fn(&Outcome) -> bool| outcomes.values().filter(|o| wanted(o)).count();
    let row = format!(
        "| {run} | {} | {} | {} |",
        count(|o| *o == Outcome::Passed),
        count(|o| matches!(o, Outcome::Skipped(_))),
        count(|o| *o == Outcome::Failed)
    );
    let mut skips = String::new();
    for (name, outcome) in outcomes {
        let known = SKIPS
            .iter()
            .find(|(part, runs, _)| name.contains(part) && runs.contains(&run));
        match (outcome, known) {
            (Outcome::Passed, None) => {}
            (Outcome::Passed, Some(_)) => {
                complaints.push(format!("{run}: {name}: passes now; take it from SKIPS"));
            }
            (Outcome::Failed, _) => complaints.push(format!("{run}: {name}: failed")),
            (Outcome::Skipped(_), Some((_, _, reason))) => {
                skips += &format!("| {run} | {name} | {reason} |\n");
            }
            (Outcome::Skipped(why), None) => {
                complaints.push(format!("{run}: {name}: skipped and nobody says why: {why}"));
            }
        }
    }
    if outcomes.len() < 100 {
        complaints.push(format!("{run}: only {} specifications ran", outcomes.len()));
    }
    (row, skips)
}
