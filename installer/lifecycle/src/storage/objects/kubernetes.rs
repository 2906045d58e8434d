//! The objects of Kubernetes that belong to volumes.

use super::field::object;
use serde_json::Value;
use std::collections::BTreeMap;

object! {
    /// What every object has.
    Metadata {
        name: String = "name",
        namespace: String = "namespace",
        uid: String = "uid",
        labels: Labels = "labels",
        annotations: Annotations = "annotations",
        creation_timestamp: Option<jiff::Timestamp> = "creationTimestamp",
        deletion_timestamp: Option<jiff::Timestamp> = "deletionTimestamp",
    }
}

object! {
    /// The labels that are looked at.
    Labels {
        app: String = "app.kubernetes.io/name",
    }
}

object! {
    /// The annotations that are looked at.
    Annotations {
        selected_node: String = "volume.kubernetes.io/selected-node",
        default_snapshot_class: String = "snapshot.storage.kubernetes.io/is-default-class",
    }
}

object! {
    /// A node.
    Node {
        metadata: Metadata = "metadata",
        status: NodeStatus = "status",
    }
}

object! {
    NodeStatus {
        conditions: Vec<Condition> = "conditions",
    }
}

object! {
    Condition {
        name: String = "type",
        status: String = "status",
        message: String = "message",
    }
}

impl Node {
    /// Why it is not ready, if it is not.
    pub fn unready(&self) -> Option<&str> {
        let ready = self.status.conditions.iter().find(|c| c.name == "Ready");
        match ready {
            Some(condition) if condition.status == "True" => None,
            Some(condition) => Some(&condition.message),
            None => Some("its kubelet has not reported yet"),
        }
    }
}

object! {
    /// A class of storage of this driver.
    StorageClass {
        metadata: Metadata = "metadata",
        provisioner: String = "provisioner",
        parameters: BTreeMap<String, String> = "parameters",
        volume_binding_mode: String = "volumeBindingMode",
    }
}

object! {
    /// A PersistentVolume.
    PersistentVolume {
        metadata: Metadata = "metadata",
        spec: PersistentVolumeSpec = "spec",
        status: ClaimStatus = "status",
    }
}

object! {
    PersistentVolumeSpec {
        capacity: BTreeMap<String, String> = "capacity",
        csi: Option<Csi> = "csi",
        claim_ref: Option<Reference> = "claimRef",
        storage_class_name: String = "storageClassName",
        persistent_volume_reclaim_policy: String = "persistentVolumeReclaimPolicy",
        node_affinity: Value = "nodeAffinity",
    }
}

object! {
    Csi {
        driver: String = "driver",
        volume_handle: String = "volumeHandle",
        fs_type: String = "fsType",
    }
}

object! {
    /// Another object.
    Reference {
        namespace: String = "namespace",
        name: String = "name",
        uid: String = "uid",
    }
}

impl PersistentVolume {
    /// The part that names a volume of a driver.
    pub fn csi(&self) -> Option<&Csi> {
        self.spec.csi.as_ref()
    }

    /// The CSI id of its volume.
    pub fn handle(&self) -> &str {
        self.csi().map_or("", |csi| csi.volume_handle.as_str())
    }

    /// The node that it says its data is on.
    pub fn node(&self) -> Option<&str> {
        let terms = &self.spec.node_affinity["required"]["nodeSelectorTerms"];
        let expressions = terms[0]["matchExpressions"].as_array()?;
        let node = expressions
            .iter()
            .find(|e| e["key"] == super::super::restore::TOPOLOGY)?;
        node["values"][0].as_str()
    }
}

object! {
    /// A PersistentVolumeClaim.
    Claim {
        metadata: Metadata = "metadata",
        spec: ClaimSpec = "spec",
        status: ClaimStatus = "status",
    }
}

object! {
    ClaimSpec {
        storage_class_name: String = "storageClassName",
        volume_name: String = "volumeName",
        resources: Resources = "resources",
    }
}

object! {
    Resources {
        requests: BTreeMap<String, String> = "requests",
    }
}

object! {
    ClaimStatus {
        phase: String = "phase",
    }
}

object! {
    /// A pod that uses claims, or an agent of ours.
    Pod {
        metadata: Metadata = "metadata",
        spec: PodSpec = "spec",
        status: ClaimStatus = "status",
    }
}

object! {
    PodSpec {
        node_name: String = "nodeName",
        volumes: Vec<PodVolume> = "volumes",
    }
}

object! {
    PodVolume {
        name: String = "name",
        persistent_volume_claim: Option<ClaimVolume> = "persistentVolumeClaim",
        ephemeral: Option<Value> = "ephemeral",
    }
}

object! {
    ClaimVolume {
        claim_name: String = "claimName",
    }
}

impl Pod {
    /// The names of the claims that it uses.
    pub fn claims(&self) -> impl Iterator<Item = String> {
        self.spec.volumes.iter().filter_map(|volume| {
            let ephemeral = || format!("{}-{}", self.metadata.name, volume.name);
            match &volume.persistent_volume_claim {
                Some(claim) => Some(claim.claim_name.clone()),
                None => volume.ephemeral.as_ref().map(|_| ephemeral()),
            }
        })
    }

    /// Whether it has, or is about to have, its volumes on its node.
    pub fn holds(&self) -> bool {
        let ended = matches!(self.status.phase.as_str(), "Succeeded" | "Failed");
        !ended && !self.spec.node_name.is_empty()
    }

    /// Whether it is the agent of a node.
    pub fn is_agent(&self) -> bool {
        self.metadata.labels.app == super::super::AGENT
            && self.metadata.namespace == super::super::NAMESPACE
    }
}
