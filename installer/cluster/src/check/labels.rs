//! `nodes[].labels`: the syntax of Kubernetes (apimachinery validation), and labels that are not the user's.

use super::dns;
use crate::finding::Report;
use crate::shape::field;
use std::collections::BTreeMap;

/// Labels whose value follows from the node; setting them would be undone or would mislead.
const OWNED: [&str; 5] = [
    "kubernetes.io/hostname",
    "kubernetes.io/os",
    "kubernetes.io/arch",
    "node-role.kubernetes.io/control-plane",
    "node-role.kubernetes.io/worker",
];

/// Checks the labels of one node; gives back those that are good.
pub(super) fn check(
    place: &str,
    given: Option<&BTreeMap<String, String>>,
    report: &mut Report,
) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    for (key, value) in given.into_iter().flatten() {
        let place = field(place, key);
        if OWNED.contains(&key.as_str()) || key.starts_with("ingot.dev/") {
            report.key_error(
                &place,
                format!("the label `{key}` is set by the platform"),
                "remove it",
            );
        } else if !is_key(key) {
            report.key_error(
                &place,
                format!("`{key}` is not the key of a label"),
                "use `name` or `domain/name`; a name has up to 63 letters, digits, `-`, `_` and `.`",
            );
        } else if !value.is_empty() && !is_name(value) {
            report.error(
                &place,
                format!("`{}` is not the value of a label", crate::tree::shorten(value)),
                "use up to 63 letters, digits, `-`, `_` and `.`, beginning and ending with a letter or digit",
            );
        } else {
            labels.insert(key.clone(), value.clone());
        }
    }
    labels
}

fn is_key(key: &str) -> bool {
    match key.split_once('/') {
        None => is_name(key),
        Some((domain, name)) => {
            domain == domain.to_lowercase() && dns::is_name(domain) && is_name(name)
        }
    }
}

fn is_name(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let outer = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    (1..=63).contains(&text.len())
        && text.chars().all(inner)
        && outer(text.chars().next())
        && outer(text.chars().next_back())
}
