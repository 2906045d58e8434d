//! How a pod wants to use a volume: read from the request, and refused where we cannot.

use crate::problem::Problem;
use ingot_csi_proto::v1::VolumeCapability;
use ingot_csi_proto::v1::volume_capability::AccessType;
use ingot_csi_proto::v1::volume_capability::access_mode::Mode;
use ingot_lvm::Filesystem;

/// As what a volume is handed out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// A raw device.
    Block,
    /// A filesystem.
    Mount {
        /// The kind asked for.
        filesystem: Option<Filesystem>,
        /// Options of the class.
        options: Vec<String>,
    },
}

/// A capability that we have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capability {
    /// As what.
    pub access: Access,
    /// By whom.
    pub mode: Mode,
}

/// Options that change how a filesystem treats data we answer for, or that name other devices.
const REFUSED_OPTIONS: [&str; 6] = ["bind", "loop", "remount", "move", "logdev", "rtdev"];

/// Reads the name of a filesystem; nothing, if it is left open.
pub fn filesystem(name: &str) -> Result<Option<Filesystem>, Problem> {
    match name {
        "" => Ok(None),
        "ext4" => Ok(Some(Filesystem::Ext4)),
        "xfs" => Ok(Some(Filesystem::Xfs)),
        other => Err(Problem::Invalid(format!(
            "filesystem {other:?} is not offered; use ext4 or xfs"
        ))),
    }
}

impl Capability {
    /// Reads one.
    pub fn parse(capability: &VolumeCapability) -> Result<Self, Problem> {
        let mode = capability
            .access_mode
            .as_ref()
            .map_or(Mode::Unknown, |mode| mode.mode());
        match mode {
            Mode::SingleNodeWriter
            | Mode::SingleNodeReaderOnly
            | Mode::SingleNodeSingleWriter
            | Mode::SingleNodeMultiWriter => {}
            Mode::Unknown => {
                return Err(Problem::Invalid(
                    "the volume capability has no access mode; name one".into(),
                ));
            }
            Mode::MultiNodeReaderOnly
            | Mode::MultiNodeSingleWriter
            | Mode::MultiNodeMultiWriter => {
                return Err(Problem::Invalid(
                    "a local volume is on one node only; use ReadWriteOnce or ReadWriteOncePod"
                        .into(),
                ));
            }
        }
        let access = match &capability.access_type {
            Some(AccessType::Block(_)) => Access::Block,
            Some(AccessType::Mount(mount)) => {
                let refused = |option: &&String| {
                    let name = option.split('=').next().unwrap_or_default();
                    REFUSED_OPTIONS.contains(&name) || option.contains([',', ' ', '\0'])
                };
                if let Some(option) = mount.mount_flags.iter().find(refused) {
                    return Err(Problem::Invalid(format!(
                        "mount option {option:?} is refused; take it out of the storage class"
                    )));
                }
                Access::Mount {
                    filesystem: filesystem(&mount.fs_type)?,
                    options: mount.mount_flags.clone(),
                }
            }
            None => {
                return Err(Problem::Invalid(
                    "the volume capability says neither block nor mount; name one".into(),
                ));
            }
        };
        Ok(Self { access, mode })
    }

    /// Reads all of a request; at least one must be there.
    pub fn parse_all(capabilities: &[VolumeCapability]) -> Result<Vec<Self>, Problem> {
        if capabilities.is_empty() {
            return Err(Problem::Invalid(
                "the request has no volume capabilities; name at least one".into(),
            ));
        }
        capabilities.iter().map(Self::parse).collect()
    }

    /// Reads the one of a request to a node.
    pub fn required(capability: Option<&VolumeCapability>) -> Result<Self, Problem> {
        let missing = || Problem::Invalid("the request has no volume capability; add it".into());
        Self::parse(capability.ok_or_else(missing)?)
    }

    /// Whether only reading was asked for.
    pub fn read_only(&self) -> bool {
        self.mode == Mode::SingleNodeReaderOnly
    }
}
