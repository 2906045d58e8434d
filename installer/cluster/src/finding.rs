//! What is wrong with a cluster.yaml, and where: findings with line and column, and their sorted list.
//!
//! Never decides what a finding is about; the parser, the shape and the checks do.

use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;

/// A place in a text; both numbers start at one, columns count characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Mark {
    /// Line.
    pub line: usize,
    /// Column.
    pub column: usize,
}

impl Mark {
    /// Where a file begins.
    pub const START: Self = Self { line: 1, column: 1 };
}

/// Whether the cluster can be made nevertheless.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// It cannot.
    Error,
    /// It can, but somebody should know.
    Warning,
}

/// One thing that is wrong or worth knowing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The file, as the user named it.
    pub file: String,
    /// Where in the file.
    #[serde(flatten)]
    pub mark: Mark,
    /// Whether it stops the work.
    pub severity: Severity,
    /// What is wrong.
    pub what: String,
    /// What to do about it.
    pub next: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "",
            Severity::Warning => "warning: ",
        };
        let Mark { line, column } = self.mark;
        write!(
            f,
            "{}:{line}:{column}: {severity}{}; {}",
            self.file, self.what, self.next
        )
    }
}

/// Everything found in a file that cannot be used, sorted by place; at least one is an error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Findings(Vec<Finding>);

impl Findings {
    /// The findings, sorted by place.
    pub fn iter(&self) -> impl Iterator<Item = &Finding> {
        self.0.iter()
    }

    /// How many of them stop the work.
    pub fn errors(&self) -> usize {
        self.0
            .iter()
            .filter(|finding| finding.severity == Severity::Error)
            .count()
    }
}

impl fmt::Display for Findings {
    /// One line a finding.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, finding) in self.0.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{finding}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Findings {}

impl FromIterator<Finding> for Findings {
    /// Sorted by place.
    fn from_iter<I: IntoIterator<Item = Finding>>(findings: I) -> Self {
        let mut all: Vec<Finding> = findings.into_iter().collect();
        all.sort_by(|a, b| (a.mark, a.severity, &a.what).cmp(&(b.mark, b.severity, &b.what)));
        Self(all)
    }
}

/// Where the key and the value of one field are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Marks {
    key: Mark,
    value: Mark,
}

/// Whether a finding is about the name of a field or about what it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The name.
    Key,
    /// What it holds.
    Value,
}

/// Where each field of a cluster.yaml stands: for findings of those who know more of its values than
/// this crate does, such as the programs that are given them.
///
/// Fields are named by their place, such as `spec.nodes[2].address`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    file: String,
    marks: BTreeMap<String, Marks>,
}

impl Places {
    fn marks(&self, place: &str) -> Marks {
        let mut place = place;
        loop {
            if let Some(marks) = self.marks.get(place) {
                return *marks;
            }
            match place.rfind(['.', '[']) {
                Some(end) => place = &place[..end],
                None => {
                    return Marks {
                        key: Mark::START,
                        value: Mark::START,
                    };
                }
            }
        }
    }

    /// A finding about the field at `place`, or else about what contains it.
    pub fn finding(
        &self,
        (place, part): (&str, Part),
        severity: Severity,
        what: impl Into<String>,
        next: impl Into<String>,
    ) -> Finding {
        let marks = self.marks(place);
        Finding {
            file: self.file.clone(),
            mark: match part {
                Part::Key => marks.key,
                Part::Value => marks.value,
            },
            severity,
            what: what.into(),
            next: next.into(),
        }
    }
}

/// Collects findings while a file is read, and knows where each field of it stands.
///
/// Fields are named by their place, such as `spec.nodes[2].address`.
pub(crate) struct Report {
    places: Places,
    findings: Vec<Finding>,
    broken: Vec<String>,
}

impl Report {
    pub(crate) fn new(file: &str) -> Self {
        Self {
            places: Places {
                file: file.into(),
                marks: BTreeMap::new(),
            },
            findings: Vec::new(),
            broken: Vec::new(),
        }
    }

    /// Remembers where a field is.
    pub(crate) fn locate(&mut self, place: &str, key: Mark, value: Mark) {
        self.places.marks.insert(place.into(), Marks { key, value });
    }

    /// Remembers that the value at `place` could not be used, so that no conclusion is drawn from its absence.
    pub(crate) fn broken(&mut self, place: &str) {
        self.broken.push(place.into());
    }

    /// Whether something at or below `place` could not be used.
    pub(crate) fn is_broken(&self, place: &str) -> bool {
        self.broken.iter().any(|broken| {
            broken
                .strip_prefix(place)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        })
    }

    /// Where the value at `place` is, or else what contains it.
    pub(crate) fn value_mark(&self, place: &str) -> Mark {
        self.places.marks(place).value
    }

    fn push(&mut self, severity: Severity, mark: Mark, what: String, next: String) {
        let finding = Finding {
            file: self.places.file.clone(),
            mark,
            severity,
            what,
            next,
        };
        if !self.findings.contains(&finding) {
            self.findings.push(finding);
        }
    }

    /// An error at a mark.
    pub(crate) fn error_at(
        &mut self,
        mark: Mark,
        what: impl Into<String>,
        next: impl Into<String>,
    ) {
        self.push(Severity::Error, mark, what.into(), next.into());
    }

    /// An error about the value at `place`.
    pub(crate) fn error(&mut self, place: &str, what: impl Into<String>, next: impl Into<String>) {
        self.push(
            Severity::Error,
            self.places.marks(place).value,
            what.into(),
            next.into(),
        );
    }

    /// An error about the key at `place`.
    pub(crate) fn key_error(
        &mut self,
        place: &str,
        what: impl Into<String>,
        next: impl Into<String>,
    ) {
        self.push(
            Severity::Error,
            self.places.marks(place).key,
            what.into(),
            next.into(),
        );
    }

    /// A warning about the value at `place`.
    pub(crate) fn warn(&mut self, place: &str, what: impl Into<String>, next: impl Into<String>) {
        self.push(
            Severity::Warning,
            self.places.marks(place).value,
            what.into(),
            next.into(),
        );
    }

    /// Whether an error was found.
    pub(crate) fn failed(&self) -> bool {
        self.findings
            .iter()
            .any(|finding| finding.severity == Severity::Error)
    }

    /// All findings, sorted by place.
    pub(crate) fn into_findings(self) -> Findings {
        self.findings.into_iter().collect()
    }

    /// The warnings of a file without errors, sorted by place, and where its fields stand.
    pub(crate) fn into_warnings(self) -> (Vec<Finding>, Places) {
        let findings: Findings = self.findings.into_iter().collect();
        (findings.0, self.places)
    }
}
