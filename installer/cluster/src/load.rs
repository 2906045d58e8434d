//! The way in: from the text of a cluster.yaml to a [`Cluster`], or to everything wrong with it.

use crate::check;
use crate::files::FileProbe;
use crate::finding::{Finding, Findings, Mark, Places, Report};
use crate::model::Cluster;
use crate::parse::parse;
use crate::schema::schema;
use crate::shape;
use crate::spec::Document;
use crate::tree::{Node, Value};

/// A cluster.yaml that can be used.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// The cluster.
    pub cluster: Cluster,
    /// What the user should know, sorted by place.
    pub warnings: Vec<Finding>,
    /// Where its fields stand.
    pub places: Places,
}

/// Reads and checks a cluster.yaml. `file_name` is how the user named it: it begins every finding,
/// and paths in the text that are not absolute are relative to its directory.
///
/// # Errors
/// Everything wrong with the text, each with its line and column.
pub fn load(file_name: &str, text: &str, files: &dyn FileProbe) -> Result<Loaded, Findings> {
    let mut report = Report::new(file_name);
    let cluster = read(
        text.strip_prefix('\u{feff}').unwrap_or(text),
        file_name,
        files,
        &mut report,
    );
    match cluster {
        Some(cluster) if !report.failed() => {
            let (warnings, places) = report.into_warnings();
            Ok(Loaded {
                cluster,
                warnings,
                places,
            })
        }
        _ => {
            if !report.failed() {
                // A rule gave nothing back and did not say why: ours to mend, never the user's.
                report.error_at(
                    Mark::START,
                    "the cluster could not be built",
                    "report this as a bug of ingot",
                );
            }
            Err(report.into_findings())
        }
    }
}

/// The same for the bytes of a file.
///
/// # Errors
/// As [`load`], and when the bytes are not UTF-8.
pub fn load_bytes(
    file_name: &str,
    bytes: &[u8],
    files: &dyn FileProbe,
) -> Result<Loaded, Findings> {
    match std::str::from_utf8(bytes) {
        Ok(text) => load(file_name, text, files),
        Err(error) => {
            let before = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
            let line = before.matches('\n').count() + 1;
            let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
            let mut report = Report::new(file_name);
            let byte = bytes[error.valid_up_to()];
            report.error_at(
                Mark { line, column },
                format!("the byte {byte:#04x} is not UTF-8"),
                "save the file as UTF-8",
            );
            Err(report.into_findings())
        }
    }
}

fn read(
    text: &str,
    file_name: &str,
    files: &dyn FileProbe,
    report: &mut Report,
) -> Option<Cluster> {
    let tree = parse(text, report)?;
    let schema = schema();
    if is_another_format(&tree, &schema, report) {
        return None;
    }
    let fitting = shape::fit(&tree, &schema, report)?;
    match serde_json::from_value::<Document>(fitting) {
        Ok(document) => check::cluster(&document, file_name, files, report),
        Err(error) => {
            // The shape admits only what the types take, so this cannot be the user's doing.
            let what =
                format!("the shape of the document is right, yet it was not understood ({error})");
            report.error_at(Mark::START, what, "report this as a bug of ingot");
            None
        }
    }
}

/// Another version or kind has other fields: saying of each that it is unknown here would only hide the cause.
fn is_another_format(tree: &Node, schema: &serde_json::Value, report: &mut Report) -> bool {
    let Value::Mapping(entries) = &tree.value else {
        return false;
    };
    let mut other = false;
    for key in ["apiVersion", "kind"] {
        let entry = entries.iter().find(|entry| entry.key == key);
        let wanted = schema["properties"].get(key).and_then(shape::choices);
        if let (Some(entry), Some(wanted)) = (entry, wanted)
            && let Value::Text(found) = &entry.value.value
            && !wanted.contains(&found.as_str())
        {
            other = true;
            report.error_at(
                entry.value.mark,
                format!("`{key}` is `{found}`, which this version of ingot does not read"),
                format!("write `{}`", wanted.join("` or `")),
            );
        }
    }
    other
}
