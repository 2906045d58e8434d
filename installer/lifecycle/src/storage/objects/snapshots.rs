//! The objects of snapshots, `snapshot.storage.k8s.io/v1`.

use super::field::object;
use super::{Metadata, Reference};

object! {
    /// A class of snapshots of this driver.
    VolumeSnapshotClass {
        metadata: Metadata = "metadata",
        driver: String = "driver",
    }
}

object! {
    /// A VolumeSnapshot.
    VolumeSnapshot {
        metadata: Metadata = "metadata",
        spec: VolumeSnapshotSpec = "spec",
        status: VolumeSnapshotStatus = "status",
    }
}

object! {
    VolumeSnapshotSpec {
        source: VolumeSnapshotSource = "source",
    }
}

object! {
    VolumeSnapshotSource {
        persistent_volume_claim_name: Option<String> = "persistentVolumeClaimName",
        volume_snapshot_content_name: Option<String> = "volumeSnapshotContentName",
    }
}

object! {
    VolumeSnapshotStatus {
        bound_volume_snapshot_content_name: String = "boundVolumeSnapshotContentName",
        ready_to_use: bool = "readyToUse",
        restore_size: String = "restoreSize",
        error: Option<Trouble> = "error",
    }
}

object! {
    /// The last error of whoever makes snapshots; it is tried again.
    Trouble {
        message: String = "message",
    }
}

object! {
    /// A VolumeSnapshotContent.
    Content {
        metadata: Metadata = "metadata",
        spec: ContentSpec = "spec",
        status: ContentStatus = "status",
    }
}

object! {
    ContentSpec {
        driver: String = "driver",
        source: ContentSource = "source",
        volume_snapshot_ref: Reference = "volumeSnapshotRef",
    }
}

object! {
    ContentSource {
        volume_handle: String = "volumeHandle",
        snapshot_handle: String = "snapshotHandle",
    }
}

object! {
    ContentStatus {
        snapshot_handle: String = "snapshotHandle",
        error: Option<Trouble> = "error",
    }
}

impl Content {
    /// The CSI id of its snapshot, once it is known.
    pub fn handle(&self) -> &str {
        match self.status.snapshot_handle.as_str() {
            "" => &self.spec.source.snapshot_handle,
            handle => handle,
        }
    }
}
