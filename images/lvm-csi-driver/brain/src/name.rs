//! Names that are checked when they come in, and trusted from then on.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt;
use std::str::FromStr;

/// A name that cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Not 32 hexadecimal digits.
    #[error("{0:?} is not an identifier of 32 hexadecimal digits")]
    Uid(String),
    /// LVM would refuse or misread it.
    #[error(
        "{name:?} cannot name {what}: {reason}; use letters, digits, '_', '.', '+' and '-', not first"
    )]
    Lvm {
        /// What it was to name.
        what: &'static str,
        /// The name.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Kubernetes would not take it as a node.
    #[error("{0:?} is not a node name: 1 to 253 letters, digits, '-' and '.'")]
    Node(String),
}

/// 128 bits as 32 hexadecimal digits, in text and in JSON.
macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(into = "String", try_from = "String")]
        pub struct $name(pub u128);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:032x}", self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({:x})", stringify!($name), self.0)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.to_string()
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                text.parse()
            }
        }

        impl FromStr for $name {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                let plain = text.len() == 32
                    && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
                match u128::from_str_radix(text, 16) {
                    Ok(id) if plain => Ok(Self(id)),
                    _ => Err(NameError::Uid(text.to_owned())),
                }
            }
        }
    };
}

identifier! {
    /// Identity of one life of a volume or snapshot: made anew for each intent, never used again.
    VolumeUid
}

identifier! {
    /// What stands for a CSI name, which may have 128 bytes in any script, where LVM allows few.
    NameHash
}

impl NameHash {
    /// The first half of the SHA-256 of the name: no name is cut, so no two collide.
    pub fn of(name: &str) -> Self {
        let digest = Sha256::digest(name.as_bytes());
        let half = digest.iter().take(16);
        Self(half.fold(0, |sum, byte| (sum << 8) | u128::from(*byte)))
    }
}

fn lvm_name(what: &'static str, name: &str, longest: usize) -> Result<(), NameError> {
    let refuse = |reason| {
        Err(NameError::Lvm {
            what,
            name: name.to_owned(),
            reason,
        })
    };
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_.+-".contains(c);
    if name.is_empty() || name == "." || name == ".." {
        return refuse("it is empty or a directory");
    }
    if name.len() > longest {
        return refuse("it is too long for device-mapper");
    }
    if name.starts_with('-') {
        return refuse("it begins with a hyphen, like an option");
    }
    if !name.chars().all(allowed) {
        return refuse("it has a character that LVM does not know");
    }
    Ok(())
}

/// Name of a volume group.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct VgName(String);

/// Name of a logical volume.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct LvName(String);

/// Name of a node as Kubernetes knows it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct NodeName(String);

/// What every checked name has: the way in, the way out, the text.
macro_rules! checked {
    ($name:ident) => {
        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                Self::new(&text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }
    };
}

checked!(VgName);
checked!(LvName);
checked!(NodeName);

impl VgName {
    /// Takes a name that LVM takes. Device-mapper names have 127 bytes and double each hyphen.
    pub fn new(name: &str) -> Result<Self, NameError> {
        lvm_name("a volume group", name, 60)?;
        Ok(Self(name.to_owned()))
    }
}

impl LvName {
    /// The logical volume of a volume: a letter, so that LVM reserves no such name, and the uid.
    pub fn volume(uid: VolumeUid) -> Self {
        Self(format!("v{uid}"))
    }

    /// The logical volume of a snapshot.
    pub fn snapshot(uid: VolumeUid) -> Self {
        Self(format!("s{uid}"))
    }

    /// What LVM calls the checksums of an image of this RAID, also before they are a part of it.
    pub fn checksums(&self, image: u32) -> Self {
        Self(format!("{}_rimage_{image}_imeta", self.0))
    }

    /// Takes a name that LVM takes for something people name, like a thin pool.
    pub fn new(name: &str) -> Result<Self, NameError> {
        lvm_name("a logical volume", name, 60)?;
        let reserved = ["snapshot", "pvmove"];
        let parts = [
            "_cdata", "_cmeta", "_corig", "_mlog", "_mimage", "_pmspare", "_rimage", "_rmeta",
            "_tdata", "_tmeta", "_vdata", "_vorigin", "_imeta", "_iorig",
        ];
        if reserved.iter().any(|word| name.starts_with(word))
            || parts.iter().any(|part| name.contains(part))
        {
            return Err(NameError::Lvm {
                what: "a logical volume",
                name: name.to_owned(),
                reason: "LVM keeps it for itself",
            });
        }
        Ok(Self(name.to_owned()))
    }
}

impl NodeName {
    /// Takes what Kubernetes takes as the name of a node.
    pub fn new(name: &str) -> Result<Self, NameError> {
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || ".-".contains(c);
        let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
        if name.len() > 253
            || !name.chars().all(allowed)
            || !edge(name.chars().next())
            || !edge(name.chars().last())
        {
            return Err(NameError::Node(name.to_owned()));
        }
        Ok(Self(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_that_differ_only_at_the_end_do_not_collide() {
        let long = "名".repeat(42);
        assert_ne!(
            NameHash::of(&format!("{long}a")),
            NameHash::of(&format!("{long}b"))
        );
    }

    #[test]
    fn identifiers_survive_text_and_json() {
        let uid = VolumeUid(0x0123_4567);
        assert_eq!(uid.to_string().parse(), Ok(uid));
        let json = serde_json::to_string(&uid).expect("a string");
        assert_eq!(serde_json::from_str::<VolumeUid>(&json).expect("read"), uid);
        for wrong in [
            "",
            "0123",
            "+0000000000000000000000000000001",
            &"A".repeat(32),
        ] {
            assert!(wrong.parse::<VolumeUid>().is_err(), "{wrong} was taken");
        }
    }

    #[test]
    fn names_that_lvm_reserves_or_reads_as_options_are_refused() {
        for wrong in ["", ".", "..", "-y", "a b", "a/b", "é", &"x".repeat(61)] {
            assert!(VgName::new(wrong).is_err(), "{wrong} was taken");
            assert!(LvName::new(wrong).is_err(), "{wrong} was taken");
        }
        for wrong in ["snapshot1", "pvmove0", "pool_tdata", "a_rimage_0"] {
            assert!(LvName::new(wrong).is_err(), "{wrong} was taken");
        }
        assert!(LvName::new(LvName::volume(VolumeUid(1)).as_str()).is_ok());
        assert!(NodeName::new("worker-1.example").is_ok());
        assert!(NodeName::new("Worker").is_err() && NodeName::new("-a").is_err());
    }
}
