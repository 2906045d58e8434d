//! What a node is told about itself: its name and its pools.

use ingot_lvm::ThinGuard;
use ingot_volume_brain::{Bytes, LvName, NodeName, VgName};
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::Path;

/// Name of the driver, as in CSIDriver and StorageClass objects.
pub const DRIVER_NAME: &str = "lvm.csi.ingot.dev";

/// The label by which a node is found.
pub const TOPOLOGY_NODE: &str = "topology.lvm.csi.ingot.dev/node";

/// Configuration of a node's agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NodeConfig {
    /// The node, as Kubernetes names it.
    pub node: NodeName,
    /// Its pools.
    pub pools: Vec<PoolConfig>,
    /// Volume groups that are gone for good: what was in them is lost, and can be deleted. They are
    /// not looked at any more, so what comes back after all is left as it is.
    #[serde(default)]
    pub abandoned: BTreeSet<VgName>,
    /// Serial numbers of disks that a pool asks for and that may be emptied for it, whatever is on them.
    #[serde(default)]
    pub wipe: BTreeSet<String>,
    /// Where /metrics and /healthz are served: address and port. Without it, nowhere.
    #[serde(default)]
    pub metrics: Option<SocketAddr>,
}

/// A pool: a volume group, and how volumes are made in it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PoolConfig {
    /// The name by which storage classes ask for it.
    pub name: String,
    /// The volume group.
    pub volume_group: VgName,
    /// The disks, by names that survive a reboot: /dev/disk/by-id/... .
    #[serde(default)]
    pub devices: Vec<String>,
    /// The disks, by their serial numbers.
    #[serde(default)]
    pub serials: Vec<String>,
    /// Takes names like /dev/sdb, which may be another disk after a reboot.
    #[serde(default)]
    pub unstable_names: bool,
    /// The thin pool, if volumes are thin.
    #[serde(default)]
    pub thin: Option<ThinConfig>,
    /// Whether a thick volume is overwritten with zeros before its space is given back.
    #[serde(default = "yes")]
    pub erase: bool,
}

/// A thin pool.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ThinConfig {
    /// Name of its logical volume.
    pub pool: LvName,
    /// Its size when it is made.
    #[serde(deserialize_with = "written")]
    pub size: Bytes,
    /// Size of its metadata when it is made; by the number of its chunks, if nobody says.
    #[serde(
        default,
        deserialize_with = "written_or_not",
        skip_serializing_if = "Option::is_none"
    )]
    pub metadata: Option<Bytes>,
    /// Size of a chunk; by the size of the group, if nobody says.
    #[serde(
        default,
        deserialize_with = "written_or_not",
        skip_serializing_if = "Option::is_none"
    )]
    pub chunk: Option<Bytes>,
    /// What it may promise and when it stops.
    #[serde(default)]
    pub guard: ThinGuard,
}

/// A size that may be left out.
fn written_or_not<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Bytes>, D::Error> {
    written(from).map(Some)
}

/// A size as people write it: bytes, or with a binary unit.
fn written<'de, D: Deserializer<'de>>(from: D) -> Result<Bytes, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Number(u64),
        Text(String),
    }
    match Written::deserialize(from)? {
        Written::Number(bytes) => Ok(Bytes(bytes)),
        Written::Text(text) => text.parse().map_err(serde::de::Error::custom),
    }
}

fn yes() -> bool {
    true
}

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It cannot be read.
    #[error("{path} cannot be read: {source}")]
    Read {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// It is not what was expected.
    #[error("{path}: {source}")]
    Syntax {
        /// The file.
        path: String,
        /// Where and why.
        source: serde_yaml::Error,
    },
    /// Its object is not what was expected.
    #[error("StorageNode {node}: {reason}")]
    Object {
        /// The node.
        node: String,
        /// Where and why.
        reason: String,
    },
    /// Its parts do not go together.
    #[error("pool {pool:?}: {reason}")]
    Pool {
        /// The pool.
        pool: String,
        /// What is wrong and what to do.
        reason: String,
    },
}

impl NodeConfig {
    /// Reads and checks a file.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let name = || path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
            path: name(),
            source,
        })?;
        let config: Self = serde_yaml::from_str(&text).map_err(|source| ConfigError::Syntax {
            path: name(),
            source,
        })?;
        config.check()?;
        Ok(config)
    }

    /// Finds what the types cannot: names used twice, disks that may change theirs.
    pub fn check(&self) -> Result<(), ConfigError> {
        let (mut names, mut groups, mut disks) =
            (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for pool in &self.pools {
            let refuse = |reason: String| {
                Err(ConfigError::Pool {
                    pool: pool.name.clone(),
                    reason,
                })
            };
            let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            if pool.name.is_empty() || pool.name.len() > 60 || !pool.name.chars().all(plain) {
                return refuse("its name must have 1 to 60 of a-z, 0-9 and '-'".into());
            }
            if !names.insert(&pool.name) || !groups.insert(&pool.volume_group) {
                return refuse(
                    "its name or volume group is used by another pool; give each its own".into(),
                );
            }
            if self.abandoned.contains(&pool.volume_group) {
                return refuse(format!(
                    "its volume group {} is named under `abandoned`; take it off one of the two",
                    pool.volume_group
                ));
            }
            if pool.devices.is_empty() && pool.serials.is_empty() {
                return refuse(
                    "it has no disks; name them under `serials`, or by /dev/disk/by-id/... under `devices`"
                        .into(),
                );
            }
            for serial in &pool.serials {
                if !disks.insert(serial) {
                    return refuse(format!(
                        "serial number {serial} is named twice; a disk belongs to one pool"
                    ));
                }
            }
            for disk in &pool.devices {
                if !disks.insert(disk) {
                    return refuse(format!("{disk} is named twice; a disk belongs to one pool"));
                }
                let lasting = disk.starts_with("/dev/disk/by-") || disk.starts_with("/dev/mapper/");
                if !lasting && !pool.unstable_names {
                    return refuse(format!(
                        "{disk} may be another disk after a reboot; name it by /dev/disk/by-id/... or by its serial number, or say `unstableNames: true`"
                    ));
                }
            }
            if let Some(ThinConfig {
                chunk: Some(chunk), ..
            }) = &pool.thin
                && (chunk.0 < 64 << 10 || chunk.0 > 1 << 30 || !chunk.0.is_multiple_of(64 << 10))
            {
                return refuse(format!(
                    "thin.chunk: {chunk} is not possible; write 64KiB to 1GiB, in multiples of 64KiB, or leave it out"
                ));
            }
            if let Some(ThinConfig { guard, .. }) = &pool.thin
                && !(guard.ratio >= 0.1
                    && guard.ratio <= 100.0
                    && guard.stop > 0.0
                    && guard.stop <= 1.0
                    && guard.extend > 0.0
                    && guard.step > 0.0)
            {
                return refuse(
                    "guard: ratio must be 0.1 to 100, stop above 0 and at most 1, extend and step above 0".into(),
                );
            }
        }
        Ok(())
    }

    /// How the node is found by the scheduler.
    pub fn topology(&self) -> BTreeMap<String, String> {
        BTreeMap::from([(TOPOLOGY_NODE.to_owned(), self.node.to_string())])
    }
}
