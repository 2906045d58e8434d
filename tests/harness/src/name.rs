//! Names of labs and hosts.
//!
//! A name ends up in paths, cgroup names and host names, so it is checked once, here, and trusted
//! afterwards. Nothing else may turn a raw string into a path component.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The longest name accepted, in bytes: short enough for a cgroup name that holds two of them.
pub const MAX_NAME_LEN: usize = 40;

/// The name of a lab or of a host: lower-case letters, digits and inner hyphens (an RFC 1123 label).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

/// Why a string cannot name a lab or a host.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum NameError {
    /// It is empty, too long, or has a character that is not allowed.
    #[error(
        "{0:?} cannot name a lab or a host: use 1 to {MAX_NAME_LEN} lower-case letters, digits and \
         hyphens, with a letter or digit at both ends"
    )]
    Malformed(String),
}

impl Name {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Name {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        let bytes = text.as_bytes();
        let inner = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-';
        let hyphen_at_edge = bytes.first() == Some(&b'-') || bytes.last() == Some(&b'-');
        if bytes.is_empty()
            || bytes.len() > MAX_NAME_LEN
            || hyphen_at_edge
            || !bytes.iter().all(inner)
        {
            return Err(NameError::Malformed(text));
        }
        Ok(Name(text))
    }
}

impl TryFrom<&str> for Name {
    type Error = NameError;

    fn try_from(text: &str) -> Result<Self, NameError> {
        Name::try_from(text.to_owned())
    }
}

impl From<Name> for String {
    fn from(name: Name) -> String {
        name.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_accepted() {
        for good in [
            "a",
            "cp-1",
            "7",
            "control-plane-1",
            &"x".repeat(MAX_NAME_LEN),
        ] {
            assert_eq!(Name::try_from(good).unwrap().as_str(), good);
        }
    }

    #[test]
    fn anything_that_could_leave_its_directory_or_be_truncated_is_refused() {
        let too_long = "x".repeat(MAX_NAME_LEN + 1);
        for bad in [
            "", "-a", "a-", "A", "a.b", "a/b", "..", "a b", "é", "a_b", &too_long,
        ] {
            assert_eq!(
                Name::try_from(bad),
                Err(NameError::Malformed(bad.to_owned())),
                "{bad:?}"
            );
        }
    }
}
