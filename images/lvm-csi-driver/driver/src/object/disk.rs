//! What an agent publishes of each disk of its node, so that a person sees which are used and why
//! the others are not.

use ingot_volume_brain::{Bytes, NameHash, NodeName};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Names a disk for as long as it lives, wherever it is plugged in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DiskId(String);

/// An object's name has 253 characters, of which the node has its part.
const LONGEST: usize = 60;

impl DiskId {
    /// The id of the disk that udev calls so: `nvme-Example_S1` becomes `nvme-example-s1-0a1b2c`.
    /// What does not fit into the name of an object is told apart by a hash.
    pub fn of(name: &str) -> Self {
        let plain = |c: char| match c.to_ascii_lowercase() {
            c if c.is_ascii_lowercase() || c.is_ascii_digit() => c,
            _ => '-',
        };
        let mut id: String = name.chars().map(plain).take(LONGEST).collect();
        while id.ends_with('-') {
            id.pop();
        }
        let id = id.trim_start_matches('-');
        if id == name {
            return Self(id.to_owned());
        }
        let hash = NameHash::of(name).to_string();
        let parts = [id, &hash[..6]];
        let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        Self(parts.join("-"))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DiskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How a disk is, as far as the kernel says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum DiskHealth {
    /// The kernel finds nothing wrong.
    Good,
    /// It is there and the kernel has given it up.
    Failed,
    /// It belongs to a pool and is not there.
    Missing,
}

/// A disk of a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Disk {
    /// The node.
    pub node: NodeName,
    /// The disk, in the name of its object.
    pub id: DiskId,
    /// Its path: one that survives a reboot, if it has one.
    pub path: String,
    /// What the kernel calls it until the next reboot, for those who look at its log.
    #[serde(default)]
    pub kernel_name: String,
    /// Its size.
    pub size: Bytes,
    /// What its maker calls it.
    #[serde(default)]
    pub model: Option<String>,
    /// Its serial number, as configurations name it.
    #[serde(default)]
    pub serial: Option<String>,
    /// Whether it turns.
    #[serde(default)]
    pub rotational: bool,
    /// The configured pool that it belongs to.
    #[serde(default)]
    pub pool: Option<String>,
    /// How it is.
    pub health: DiskHealth,
    /// What is on it: a filesystem, a partition table, LVM; nothing, if it is empty.
    #[serde(default)]
    pub content: Option<String>,
    /// Why it is not used, and what to do to use it; nothing, if it is.
    #[serde(default)]
    pub unused: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_fit_into_names_of_objects_and_do_not_collide() {
        assert_eq!(DiskId::of("virtio-disk1").as_str(), "virtio-disk1");
        let (a, b) = (DiskId::of("ata-Disk_S1"), DiskId::of("ata-Disk-S1"));
        assert!(a.as_str().starts_with("ata-disk-s1-") && a != b, "{a} {b}");
        for name in ["__", &"Ä".repeat(80), &"a_".repeat(80)] {
            let id = DiskId::of(name);
            let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            assert!(id.as_str().len() <= 67 && id.as_str().chars().all(plain));
            assert!(!id.as_str().starts_with('-') && !id.as_str().ends_with('-'));
        }
    }
}
