//! Volumes and disks as people see them: objects of the API in, rows and next steps out.
//!
//! [`objects`] is what was read, [`ask`] the only part that talks to a control plane. Everything else
//! is pure: the same objects give the same words. Nothing here deletes anything.

pub mod ask;
pub mod disks;
pub mod find;
pub mod health;
pub mod join;
pub mod objects;
mod order;
pub mod orphans;
pub mod pools;
pub mod restore;
pub mod show;
pub mod size;
pub mod snapshot;
mod table;
pub mod volumes;

pub use objects::Objects;

/// The name of the driver, in classes and in what is made of them.
pub const DRIVER: &str = "lvm.csi.ingot.dev";

/// Where the agents and the controller run.
const NAMESPACE: &str = "kube-system";

/// What the agents of nodes are called.
const AGENT: &str = "storage-agent";

use crate::error::{Failure, FailureKind};
use objects::Kind;

/// Whether this cluster has storage at all.
///
/// # Errors
/// When it has not, with the way to give it some.
pub fn installed(objects: &Objects) -> Result<(), Failure> {
    if !objects.absent.contains(&Kind::NodePool) && !objects.absent.contains(&Kind::Volume) {
        return Ok(());
    }
    let text = "storage is not installed in this cluster: its API server does not know storage.ingot.dev/v1alpha1";
    Err(Failure::text(FailureKind::Input, text).hint(
        "give a node pools under `storage` in cluster.yaml and run `ingot apply`; see docs/guides/local-storage.md",
    ))
}
