//! The commands that give back to a volume or snapshot the object it has lost.
//!
//! Each makes an object and changes none, so typing one too many does no harm.

use super::join::{Joined, Named};
use super::objects::{NodePool, Quarantined, Volume, VolumeKind};
use super::{DRIVER, Objects};
use ingot_transport::quote;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::fmt::Write;

/// The label by which volumes are bound to their node.
pub const TOPOLOGY: &str = "topology.lvm.csi.ingot.dev/node";

fn create(object: &Value) -> String {
    format!("echo {} | kubectl create -f -", quote(&object.to_string()))
}

/// The name of the object of what has that CSI name: the first half of its SHA-256.
fn object_name(kind: VolumeKind, csi_name: &str) -> String {
    let mut name = match kind {
        VolumeKind::Volume => "v-",
        VolumeKind::Snapshot => "s-",
    }
    .to_owned();
    for byte in Sha256::digest(csi_name.as_bytes()).iter().take(16) {
        // A string takes whatever is written to it.
        let _ = write!(name, "{byte:02x}");
    }
    name
}

/// Makes the object of what is in quarantine anew, if everything that stood in it is known.
pub fn of_quarantined(joined: &Joined<'_>, pool: &NodePool, found: &Quarantined) -> Option<String> {
    let (name, uid) = found.id.rsplit_once('-')?;
    let mut spec = json!({
        "kind": "volume", "uid": uid, "node": pool.spec.node, "pool": pool.spec.pool,
        "vg": pool.spec.vg, "size": found.size, "encrypted": found.encrypted,
    });
    let csi_name = match found.kind {
        VolumeKind::Volume => {
            let pv = joined.persistent(&found.id)?;
            spec["layout"] = layout(joined.objects, &pv.spec.storage_class_name, found)?;
            spec["created"] = json!(pv.metadata.creation_timestamp?.as_second());
            pv.metadata.name.clone()
        }
        VolumeKind::Snapshot => {
            let content = joined.content(&found.id)?;
            let source = &content.spec.source.volume_handle;
            let (_, origin) = source.rsplit_once('-')?;
            spec["kind"] = json!("snapshot");
            spec["layout"] = json!({ "type": "thin", "pool": found.thin.as_ref()? });
            spec["created"] = json!(content.metadata.creation_timestamp?.as_second());
            spec["origin"] = json!({ "kind": "volume", "uid": origin, "id": source });
            // As the snapshotter calls it.
            format!("snapshot-{}", content.spec.volume_snapshot_ref.uid)
        }
    };
    // Another name would be another volume.
    if object_name(found.kind, &csi_name) != name {
        return None;
    }
    spec["csiName"] = json!(csi_name);
    let kind = match found.kind {
        VolumeKind::Volume => "Volume",
        VolumeKind::Snapshot => "Snapshot",
    };
    Some(create(&json!({
        "apiVersion": "storage.ingot.dev/v1alpha1", "kind": kind,
        "metadata": { "name": name }, "spec": spec,
    })))
}

/// How it lies: seen on the disk if it is thin, else as its class says.
fn layout(objects: &Objects, class: &str, found: &Quarantined) -> Option<Value> {
    if let Some(pool) = &found.thin {
        return Some(json!({ "type": "thin", "pool": pool }));
    }
    let class = objects.classes.iter().find(|c| c.metadata.name == class)?;
    let number = |name: &str| match class.parameters.get(name) {
        Some(text) => text.parse::<u32>().ok(),
        // The driver's own default.
        None => Some(2),
    };
    let name = class
        .parameters
        .get("layout")
        .map_or("linear", String::as_str);
    let mut layout = match name {
        "linear" => json!({ "type": name }),
        "striped" | "raid5" | "raid10" => json!({ "type": name, "stripes": number("stripes")? }),
        "raid1" => json!({ "type": name, "copies": number("copies")? }),
        _ => return None,
    };
    if class.parameters.get("integrity").map(String::as_str) == Some("true") {
        layout["integrity"] = json!(true);
    }
    Some(layout)
}

/// Makes a PersistentVolume for a volume that has none. A claim takes it by `volumeName`.
pub fn persistent_volume(volume: &Volume) -> Option<String> {
    // Of the Secret that opens it the object says nothing.
    if volume.spec.encrypted || volume.status.size == 0 {
        return None;
    }
    let node = json!({ "key": TOPOLOGY, "operator": "In", "values": [volume.spec.node] });
    let filesystem = volume.spec.filesystem.as_deref().unwrap_or("ext4");
    Some(create(&json!({
        "apiVersion": "v1", "kind": "PersistentVolume",
        "metadata": {
            "name": volume.spec.csi_name,
            "annotations": { "pv.kubernetes.io/provisioned-by": DRIVER },
        },
        "spec": {
            "capacity": { "storage": volume.status.size.to_string() },
            "accessModes": ["ReadWriteOnce"],
            "persistentVolumeReclaimPolicy": "Retain",
            "csi": { "driver": DRIVER, "volumeHandle": volume.id(), "fsType": filesystem },
            "nodeAffinity": { "required": { "nodeSelectorTerms": [{ "matchExpressions": [node] }] } },
        },
    })))
}

/// Makes a VolumeSnapshot with its content for a snapshot that has none.
pub fn volume_snapshot(snapshot: &Volume, place: &Named) -> String {
    let Named { namespace, name } = place;
    let content = json!({
        "apiVersion": "snapshot.storage.k8s.io/v1", "kind": "VolumeSnapshotContent",
        "metadata": { "name": snapshot.spec.csi_name },
        "spec": {
            "driver": DRIVER, "deletionPolicy": "Retain",
            "source": { "snapshotHandle": snapshot.id() },
            "volumeSnapshotRef": { "namespace": namespace, "name": name },
        },
    });
    let claimed = json!({
        "apiVersion": "snapshot.storage.k8s.io/v1", "kind": "VolumeSnapshot",
        "metadata": { "namespace": namespace, "name": name },
        "spec": { "source": { "volumeSnapshotContentName": snapshot.spec.csi_name } },
    });
    create(&json!({ "apiVersion": "v1", "kind": "List", "items": [content, claimed] }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_called_as_the_driver_calls_them() {
        // SHA-256 of "pvc-1", its first half.
        assert_eq!(
            object_name(VolumeKind::Volume, "pvc-1"),
            "v-f2868e1aa7cab669517cd9f5ab1b7957"
        );
    }
}
