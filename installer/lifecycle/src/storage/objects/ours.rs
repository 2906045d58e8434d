//! The objects of `storage.ingot.dev/v1alpha1`; their definitions are in `images/lvm-csi-driver/crds`.

use super::Metadata;
use super::field::{object, words};

object! {
    /// The pools of a node as they are wanted.
    StorageNode {
        metadata: Metadata = "metadata",
        spec: StorageNodeSpec = "spec",
        status: StorageNodeStatus = "status",
    }
}

object! {
    StorageNodeSpec {
        pools: Vec<WantedPool> = "pools",
    }
}

object! {
    WantedPool {
        name: String = "name",
        volume_group: String = "volumeGroup",
    }
}

object! {
    StorageNodeStatus {
        message: String = "message",
    }
}

object! {
    /// A pool as its node's agent reports it.
    NodePool {
        metadata: Metadata = "metadata",
        spec: NodePoolSpec = "spec",
    }
}

object! {
    NodePoolSpec {
        node: String = "node",
        pool: String = "pool",
        vg: String = "vg",
        thin: Option<String> = "thin",
        guard: Guard = "guard",
        space: Space = "space",
        quarantined: Vec<Quarantined> = "quarantined",
        missing: Vec<String> = "missing",
        trouble: Option<String> = "trouble",
    }
}

object! {
    /// From which fill on a thin pool promises nothing more.
    Guard {
        stop: Option<f64> = "stop",
    }
}

impl Guard {
    /// The fill from which on nothing is promised.
    pub fn stop(&self) -> f64 {
        self.stop.unwrap_or(0.8)
    }
}

object! {
    Space {
        free: Vec<u64> = "free",
        thin: Option<ThinSpace> = "thin",
    }
}

object! {
    ThinSpace {
        pool: String = "pool",
        size: u64 = "size",
        promised: u64 = "promised",
        data: f64 = "data",
        metadata: f64 = "metadata",
        healthy: bool = "healthy",
    }
}

object! {
    /// A logical volume that no object speaks of.
    Quarantined {
        lv: String = "lv",
        kind: VolumeKind = "kind",
        id: String = "id",
        size: u64 = "size",
        thin: Option<String> = "thin",
        encrypted: bool = "encrypted",
    }
}

object! {
    /// A disk as its node's agent reports it.
    Disk {
        metadata: Metadata = "metadata",
        spec: DiskSpec = "spec",
    }
}

object! {
    DiskSpec {
        node: String = "node",
        path: String = "path",
        kernel_name: String = "kernelName",
        size: u64 = "size",
        model: Option<String> = "model",
        serial: Option<String> = "serial",
        rotational: bool = "rotational",
        pool: Option<String> = "pool",
        health: DiskHealth = "health",
        content: Option<String> = "content",
        unused: Option<String> = "unused",
    }
}

/// How a disk is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "as in the definition")]
pub enum DiskHealth {
    Good,
    Failed,
    Missing,
}

words!(DiskHealth, "Good, Failed or Missing",
    Some("Good") => Good, Some("Failed") => Failed, Some("Missing") => Missing);

object! {
    /// A volume, or a snapshot, which has the same fields.
    Volume {
        metadata: Metadata = "metadata",
        spec: VolumeSpec = "spec",
        status: VolumeStatus = "status",
    }
}

object! {
    VolumeSpec {
        kind: VolumeKind = "kind",
        uid: String = "uid",
        csi_name: String = "csiName",
        node: String = "node",
        pool: String = "pool",
        vg: String = "vg",
        layout: Layout = "layout",
        size: u64 = "size",
        deleting: bool = "deleting",
        origin: Option<Origin> = "origin",
        encrypted: bool = "encrypted",
        filesystem: Option<String> = "filesystem",
        group: Option<String> = "group",
        created: i64 = "created",
    }
}

/// What a logical volume is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "as in the definition")]
pub enum VolumeKind {
    Volume,
    Snapshot,
}

words!(VolumeKind, "volume or snapshot", Some("volume") => Volume, Some("snapshot") => Snapshot);

object! {
    /// How it lies on the disks.
    Layout {
        name: String = "type",
        stripes: Option<u64> = "stripes",
        copies: Option<u64> = "copies",
        integrity: bool = "integrity",
        pool: Option<String> = "pool",
    }
}

impl Layout {
    /// Whether it is in a thin pool; only such volumes have snapshots.
    pub fn is_thin(&self) -> bool {
        self.name == "thin"
    }
}

impl std::fmt::Display for Layout {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name)?;
        match (self.stripes, self.copies) {
            (Some(stripes), _) => write!(f, " over {stripes}"),
            (_, Some(copies)) => write!(f, " x{copies}"),
            _ => Ok(()),
        }?;
        match self.integrity {
            true => f.write_str(" with integrity"),
            false => Ok(()),
        }
    }
}

object! {
    /// What it began as a copy of.
    Origin {
        kind: VolumeKind = "kind",
        uid: String = "uid",
        id: String = "id",
    }
}

object! {
    /// What its owner reports.
    VolumeStatus {
        phase: Phase = "phase",
        size: u64 = "size",
        refused: Option<u64> = "refused",
        message: String = "message",
    }
}

/// How far its owner has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "as in the definition")]
pub enum Phase {
    Pending,
    Claimed,
    Ready,
    Refused,
    Lost,
}

// Before the first report there is none.
words!(Phase, "Pending, Claimed, Ready, Refused or Lost",
    None | Some("Pending") => Pending, Some("Claimed") => Claimed, Some("Ready") => Ready,
    Some("Refused") => Refused, Some("Lost") => Lost);

impl Volume {
    /// Its CSI id: the name of its object, and this life of it.
    pub fn id(&self) -> String {
        format!("{}-{}", self.metadata.name, self.spec.uid)
    }

    /// The name of its logical volume.
    pub fn logical_volume(&self) -> String {
        let letter = match self.spec.kind {
            VolumeKind::Volume => 'v',
            VolumeKind::Snapshot => 's',
        };
        format!("{letter}{}", self.spec.uid)
    }

    /// What it has; before it is made, what it shall have.
    pub fn size(&self) -> u64 {
        match self.status.size {
            0 => self.spec.size,
            size => size,
        }
    }
}
