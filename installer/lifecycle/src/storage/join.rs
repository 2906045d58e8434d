//! Finds what belongs to what: claim and PersistentVolume of a volume, pods that have it, its pool.

use super::objects::{
    Claim, Content, Disk, Node, NodePool, PersistentVolume, Pod, Quarantined, Volume,
};
use super::order::Index;
use super::{NAMESPACE, Objects};
use serde::Serialize;
use std::fmt;

/// The name of a claim, or of another object in a namespace.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[allow(missing_docs, reason = "they are what they are called")]
pub struct Named {
    pub namespace: String,
    pub name: String,
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// The objects, and what leads from one to the other.
pub struct Joined<'a> {
    /// All objects.
    pub objects: &'a Objects,
    volumes: Index,
    snapshots: Index,
    persistent: Index,
    /// By the name that the provisioner gives to what it makes for them.
    claims: Index,
    contents: Index,
    found: Vec<(&'a NodePool, &'a Quarantined)>,
    quarantined: Index,
}

impl<'a> Joined<'a> {
    /// Joins the objects.
    pub fn new(objects: &'a Objects) -> Self {
        let mut found = Vec::new();
        for pool in &objects.pools {
            found.extend(pool.spec.quarantined.iter().map(|lv| (pool, lv)));
        }
        let persistent = objects.persistent_volumes.iter();
        let claims = objects.claims.iter();
        Self {
            objects,
            volumes: Index::of(objects.volumes.iter().map(Volume::id)),
            snapshots: Index::of(objects.snapshots.iter().map(Volume::id)),
            persistent: Index::of(persistent.map(|pv| pv.handle().to_owned())),
            claims: Index::of(claims.map(|claim| format!("pvc-{}", claim.metadata.uid))),
            contents: Index::of(objects.contents.iter().map(|c| c.handle().to_owned())),
            quarantined: Index::of(found.iter().map(|(_, lv)| lv.id.clone())),
            found,
        }
    }

    /// The volume with that CSI id.
    pub fn volume(&self, id: &str) -> Option<&'a Volume> {
        self.volumes.find(&self.objects.volumes, id)
    }

    /// The snapshot with that CSI id.
    pub fn snapshot(&self, id: &str) -> Option<&'a Volume> {
        self.snapshots.find(&self.objects.snapshots, id)
    }

    /// The PersistentVolume of a volume.
    pub fn persistent(&self, id: &str) -> Option<&'a PersistentVolume> {
        self.persistent.find(&self.objects.persistent_volumes, id)
    }

    /// What is in quarantine and had that CSI id.
    pub fn quarantined(&self, id: &str) -> Option<(&'a NodePool, &'a Quarantined)> {
        self.quarantined.find(&self.found, id).copied()
    }

    /// The VolumeSnapshotContent of a snapshot.
    pub fn content(&self, id: &str) -> Option<&'a Content> {
        self.contents.find(&self.objects.contents, id)
    }

    /// The VolumeSnapshot of a snapshot: as its content says, or as the snapshotter named it.
    pub fn taken_as(&self, snapshot: &Volume) -> Option<Named> {
        if let Some(content) = self.content(&snapshot.id()) {
            let reference = &content.spec.volume_snapshot_ref;
            return Some(Named {
                namespace: reference.namespace.clone(),
                name: reference.name.clone(),
            });
        }
        let uid = snapshot.spec.csi_name.strip_prefix("snapshot-")?;
        let mut all = self.objects.volume_snapshots.iter();
        let found = all.find(|found| found.metadata.uid == uid)?;
        Some(Named {
            namespace: found.metadata.namespace.clone(),
            name: found.metadata.name.clone(),
        })
    }

    /// The claim of a volume: as its PersistentVolume says, or as the provisioner named it.
    pub fn claim(&self, id: &str, csi_name: &str) -> Option<Named> {
        let bound = self
            .persistent(id)
            .and_then(|pv| pv.spec.claim_ref.as_ref());
        if let Some(claim) = bound {
            return Some(Named {
                namespace: claim.namespace.clone(),
                name: claim.name.clone(),
            });
        }
        self.asking(csi_name).map(named)
    }

    /// The claim of that name.
    pub fn claim_object(&self, name: &Named) -> Option<&'a Claim> {
        let claims = self.objects.claims.iter();
        claims.into_iter().find(|claim| named(claim) == *name)
    }

    /// The claim that a volume with that CSI name is made for, if it is there.
    pub fn asking(&self, csi_name: &str) -> Option<&'a Claim> {
        self.claims.find(&self.objects.claims, csi_name)
    }

    /// The pods that have a claim's volume, or are about to.
    pub fn pods(&self, claim: &Named) -> Vec<&'a Pod> {
        let has = |pod: &&Pod| {
            pod.metadata.namespace == claim.namespace
                && pod.holds()
                && pod.claims().any(|name| name == claim.name)
        };
        self.objects.pods.iter().filter(has).collect()
    }

    /// A pool, as its node reports it.
    pub fn pool(&self, node: &str, pool: &str) -> Option<&'a NodePool> {
        let pools = self.objects.pools.iter();
        pools
            .into_iter()
            .find(|found| found.spec.node == node && found.spec.pool == pool)
    }

    /// The disks of a pool.
    pub fn disks(&self, node: &'a str, pool: &'a str) -> impl Iterator<Item = &'a Disk> {
        self.objects
            .disks
            .iter()
            .filter(move |disk| disk.spec.node == node && disk.spec.pool.as_deref() == Some(pool))
    }

    /// A node of the cluster.
    pub fn node(&self, name: &str) -> Option<&'a Node> {
        self.objects
            .nodes
            .iter()
            .find(|node| node.metadata.name == name)
    }

    /// How a command is run where the disks of a node are: in its agent.
    pub fn on_node(&self, node: &str, command: &str) -> String {
        let agent = self
            .objects
            .pods
            .iter()
            .find(|pod| pod.is_agent() && pod.holds() && pod.spec.node_name == node);
        match agent {
            Some(pod) => format!(
                "kubectl -n {NAMESPACE} exec {} -c agent -- {command}",
                pod.metadata.name
            ),
            None => format!("{command}    # as root on {node}, which has no agent now"),
        }
    }
}

/// The name of a claim.
pub fn named(claim: &Claim) -> Named {
    Named {
        namespace: claim.metadata.namespace.clone(),
        name: claim.metadata.name.clone(),
    }
}
