//! What differs between a resource as described and as found.

use serde::{Deserialize, Serialize};

/// One attribute of a resource that differs from its description.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// The attribute, by the name it has in the state file (`mode`, `content`, `running`, ...).
    pub attribute: String,
    /// What was found; absent where there was nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// What is wanted; absent where it is to be gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// For text: a unified diff. Never filled for content marked secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diff: Option<String>,
}

impl Change {
    /// An attribute found as `from` that is wanted as `to`.
    pub fn new(attribute: &str, from: impl Into<String>, to: impl Into<String>) -> Self {
        Self {
            attribute: attribute.into(),
            from: Some(from.into()),
            to: Some(to.into()),
            diff: None,
        }
    }

    /// A thing that is not there yet.
    pub fn create(attribute: &str, to: impl Into<String>) -> Self {
        Self {
            attribute: attribute.into(),
            from: None,
            to: Some(to.into()),
            diff: None,
        }
    }

    /// A thing that is there and is to be removed.
    pub fn remove(attribute: &str, from: impl Into<String>) -> Self {
        Self {
            attribute: attribute.into(),
            from: Some(from.into()),
            to: None,
            diff: None,
        }
    }

    /// A difference of text content, with a unified diff of at most 60 lines.
    pub fn text(attribute: &str, from: &str, to: &str) -> Self {
        let diff = similar::TextDiff::from_lines(from, to);
        let unified = diff.unified_diff().context_radius(1).to_string();
        let mut lines: Vec<&str> = unified.lines().take(61).collect();
        if lines.len() == 61 {
            lines[60] = "(the rest of the difference is not shown)";
        }
        Self {
            attribute: attribute.into(),
            from: Some(size(from.len())),
            to: Some(size(to.len())),
            diff: Some(lines.join("\n")),
        }
    }

    /// A difference of content that must not be shown, or is not text.
    pub fn opaque(attribute: &str, from: usize, to: usize) -> Self {
        Self::new(attribute, size(from), size(to))
    }
}

fn size(bytes: usize) -> String {
    if bytes == 1 {
        "1 byte".into()
    } else {
        format!("{bytes} bytes")
    }
}

impl std::fmt::Display for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (&self.from, &self.to) {
            (None, Some(to)) => write!(f, "{}: {to} (new)", self.attribute),
            (Some(from), None) => write!(f, "{}: {from} is removed", self.attribute),
            (Some(from), Some(to)) => write!(f, "{}: {from} -> {to}", self.attribute),
            (None, None) => write!(f, "{}", self.attribute),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_change_shows_the_lines_and_the_sizes() {
        let change = Change::text("content", "a\nb\n", "a\nc\n");
        assert_eq!(change.to_string(), "content: 4 bytes -> 4 bytes");
        assert!(change.diff.unwrap().contains("-b\n+c"));
    }

    #[test]
    fn long_differences_are_cut() {
        let new: String = (0..500).map(|n| format!("line {n}\n")).collect();
        let diff = Change::text("content", "", &new).diff.unwrap();
        assert_eq!(diff.lines().count(), 61);
        assert!(diff.ends_with("is not shown)"));
    }
}
