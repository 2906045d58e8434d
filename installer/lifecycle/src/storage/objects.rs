//! The objects that storage is made of, with the fields that are looked at and no others.
//!
//! They are read where they come in; what cannot be read is named and hides nothing else.

mod field;
mod kubernetes;
mod ours;
mod snapshots;

pub use kubernetes::*;
pub use ours::*;
pub use snapshots::*;

use super::{AGENT, DRIVER};
use field::{Field, Wrong};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeSet;

/// Kinds of objects that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[allow(missing_docs, reason = "they are named as in the API")]
pub enum Kind {
    Node,
    StorageNode,
    NodePool,
    Disk,
    Volume,
    Snapshot,
    StorageClass,
    PersistentVolume,
    PersistentVolumeClaim,
    Pod,
    VolumeSnapshotClass,
    VolumeSnapshot,
    VolumeSnapshotContent,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::Node,
        Self::StorageNode,
        Self::NodePool,
        Self::Disk,
        Self::Volume,
        Self::Snapshot,
        Self::StorageClass,
        Self::PersistentVolume,
        Self::PersistentVolumeClaim,
        Self::Pod,
        Self::VolumeSnapshotClass,
        Self::VolumeSnapshot,
        Self::VolumeSnapshotContent,
    ];

    /// Where all of a kind are listed in the API.
    pub fn path(self) -> &'static str {
        match self {
            Self::Node => "/api/v1/nodes",
            Self::StorageNode => "/apis/storage.ingot.dev/v1alpha1/storagenodes",
            Self::NodePool => "/apis/storage.ingot.dev/v1alpha1/nodepools",
            Self::Disk => "/apis/storage.ingot.dev/v1alpha1/disks",
            Self::Volume => "/apis/storage.ingot.dev/v1alpha1/volumes",
            Self::Snapshot => "/apis/storage.ingot.dev/v1alpha1/snapshots",
            Self::StorageClass => "/apis/storage.k8s.io/v1/storageclasses",
            Self::PersistentVolume => "/api/v1/persistentvolumes",
            Self::PersistentVolumeClaim => "/api/v1/persistentvolumeclaims",
            Self::Pod => "/api/v1/pods",
            Self::VolumeSnapshotClass => "/apis/snapshot.storage.k8s.io/v1/volumesnapshotclasses",
            Self::VolumeSnapshot => "/apis/snapshot.storage.k8s.io/v1/volumesnapshots",
            Self::VolumeSnapshotContent => {
                "/apis/snapshot.storage.k8s.io/v1/volumesnapshotcontents"
            }
        }
    }
}

/// What a control plane answers: objects as its API server has them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// When it was read, by the clock of the control plane.
    pub now: Timestamp,
    /// Kinds that the API server does not know.
    pub absent: BTreeSet<Kind>,
    /// The objects.
    pub items: Vec<(Kind, Value)>,
}

/// Whether an object matters here: what belongs to other drivers does not, nor do most pods.
pub fn matters(kind: Kind, value: &Value) -> bool {
    let ours = |driver: &Value| driver == DRIVER;
    match kind {
        Kind::StorageClass => ours(&value["provisioner"]),
        Kind::PersistentVolume => ours(&value["spec"]["csi"]["driver"]),
        Kind::VolumeSnapshotClass => ours(&value["driver"]),
        Kind::VolumeSnapshotContent => ours(&value["spec"]["driver"]),
        Kind::Pod => {
            let volumes = value["spec"]["volumes"].as_array();
            let claimed = |volume: &Value| {
                volume["persistentVolumeClaim"].is_object() || volume["ephemeral"].is_object()
            };
            value["metadata"]["labels"]["app.kubernetes.io/name"] == AGENT
                || volumes.into_iter().flatten().any(claimed)
        }
        _ => true,
    }
}

/// Everything that was read at one time.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "the fields are the kinds")]
pub struct Objects {
    /// When it was read, by the clock of the control plane.
    pub now: Timestamp,
    /// Kinds that the API server does not know.
    pub absent: BTreeSet<Kind>,
    /// Objects that could not be understood, each with the reason.
    pub unreadable: Vec<String>,
    pub nodes: Vec<Node>,
    pub storage_nodes: Vec<StorageNode>,
    pub pools: Vec<NodePool>,
    pub disks: Vec<Disk>,
    pub volumes: Vec<Volume>,
    pub snapshots: Vec<Volume>,
    pub classes: Vec<StorageClass>,
    pub persistent_volumes: Vec<PersistentVolume>,
    pub claims: Vec<Claim>,
    pub pods: Vec<Pod>,
    pub snapshot_classes: Vec<VolumeSnapshotClass>,
    pub volume_snapshots: Vec<VolumeSnapshot>,
    pub contents: Vec<Content>,
}

impl From<Answer> for Objects {
    fn from(answer: Answer) -> Self {
        let mut objects = Self {
            now: answer.now,
            absent: answer.absent,
            unreadable: Vec::new(),
            nodes: Vec::new(),
            storage_nodes: Vec::new(),
            pools: Vec::new(),
            disks: Vec::new(),
            volumes: Vec::new(),
            snapshots: Vec::new(),
            classes: Vec::new(),
            persistent_volumes: Vec::new(),
            claims: Vec::new(),
            pods: Vec::new(),
            snapshot_classes: Vec::new(),
            volume_snapshots: Vec::new(),
            contents: Vec::new(),
        };
        for (kind, value) in answer.items {
            if matters(kind, &value) {
                objects.add(kind, value);
            }
        }
        objects
    }
}

impl Objects {
    fn add(&mut self, kind: Kind, value: Value) {
        let text = |field: &str| value["metadata"][field].as_str().map(str::to_owned);
        let place = text("namespace").map_or_else(String::new, |namespace| namespace + "/");
        let name = format!("{kind:?} {place}{}", text("name").unwrap_or_default());
        if let Some(field) = lacking(kind, &value) {
            let text = format!("{name} is left out: it has no .spec.{field}");
            self.unreadable.push(text);
            return;
        }
        let taken = match kind {
            Kind::Node => take(&mut self.nodes, &value),
            Kind::StorageNode => take(&mut self.storage_nodes, &value),
            Kind::NodePool => take(&mut self.pools, &value),
            Kind::Disk => take(&mut self.disks, &value),
            Kind::Volume => take(&mut self.volumes, &value),
            Kind::Snapshot => take(&mut self.snapshots, &value),
            Kind::StorageClass => take(&mut self.classes, &value),
            Kind::PersistentVolume => take(&mut self.persistent_volumes, &value),
            Kind::PersistentVolumeClaim => take(&mut self.claims, &value),
            Kind::Pod => take(&mut self.pods, &value),
            Kind::VolumeSnapshotClass => take(&mut self.snapshot_classes, &value),
            Kind::VolumeSnapshot => take(&mut self.volume_snapshots, &value),
            Kind::VolumeSnapshotContent => take(&mut self.contents, &value),
        };
        if let Err(error) = taken {
            let text = format!("{name} is left out: {error}");
            self.unreadable.push(text);
        }
    }
}

/// A field that an object of ours cannot be without. Its definition asks for it, but was younger than
/// the object, or is another release's.
fn lacking(kind: Kind, value: &Value) -> Option<&'static str> {
    let needed: &[&str] = match kind {
        Kind::Volume | Kind::Snapshot => &["uid", "csiName", "node", "pool", "vg"],
        Kind::NodePool => &["node", "pool", "vg"],
        Kind::Disk => &["node", "path"],
        _ => &[],
    };
    let mut needed = needed.iter().copied();
    needed.find(|field| !value["spec"][field].is_string())
}

fn take<T: Field>(into: &mut Vec<T>, value: &Value) -> Result<(), Wrong> {
    into.push(T::read(value)?);
    Ok(())
}

/// One object, as an answer has it.
#[allow(
    private_bounds,
    reason = "only objects are read, and they are read only here"
)]
pub(crate) fn one<T: Field>(value: &Value) -> Result<T, String> {
    T::read(value).map_err(|wrong| wrong.to_string())
}
