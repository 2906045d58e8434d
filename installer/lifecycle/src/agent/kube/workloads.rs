//! The Deployments and DaemonSets of the platform with their present revisions, and which pods are of those.
//! Pure: made of lists of objects of the API; nothing is judged here.
//!
//! A pod that was made from a former template says nothing about what was just applied, so each is told as
//! current or not. The API's own counts cannot be used for that: they include pods on nodes that are down.

use k8s_openapi::api::apps::v1::{ControllerRevision, DaemonSet, Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::{Node, Pod, PodTemplateSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What the templates of our pods are marked with.
const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "ingot");
/// The number of the template of a Deployment, and of the ReplicaSet that was made from it.
const REVISION: &str = "deployment.kubernetes.io/revision";
/// The revision that a pod of a DaemonSet was made from.
const REVISION_HASH: &str = "controller-revision-hash";

/// A Deployment or DaemonSet of the platform.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Workload {
    /// Its kind and name: `DaemonSet flannel`.
    pub name: String,
    /// Whether its controller has taken note of its present template.
    pub observed: bool,
    /// Where its pods shall run.
    pub wanted: Wanted,
}

/// Where the pods of a workload shall run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Wanted {
    /// That many, anywhere.
    Replicas(usize),
    /// One on each of these nodes.
    Nodes(Vec<String>),
}

/// What made a pod.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MadeBy {
    /// The kubelet, from a manifest on its host.
    Kubelet,
    /// A workload of the platform, by its name in [`Workload`].
    Workload {
        /// The name.
        name: String,
        /// Whether from its present template.
        current: bool,
    },
    /// Anything else; it is not the platform's.
    #[default]
    Other,
}

/// The workloads of a namespace, and what their pods are known by.
#[derive(Debug, Default)]
pub(super) struct Workloads {
    pub(super) all: Vec<Workload>,
    /// The workload of each ReplicaSet, by its UID, and whether it is of the present template.
    replica_sets: BTreeMap<String, (String, bool)>,
    /// Each DaemonSet, by its UID, with its present revision.
    daemon_sets: BTreeMap<String, (String, Option<String>)>,
}

/// Lists of objects of the API, as they came.
#[derive(Debug, Default)]
pub(crate) struct Lists {
    pub(crate) deployments: Vec<Deployment>,
    pub(crate) replica_sets: Vec<ReplicaSet>,
    pub(crate) daemon_sets: Vec<DaemonSet>,
    pub(crate) revisions: Vec<ControllerRevision>,
}

impl Workloads {
    pub(super) fn of(lists: &Lists, nodes: &[Node]) -> Self {
        let mut found = Self::default();
        for deployment in &lists.deployments {
            let Some(spec) = &deployment.spec else {
                continue;
            };
            if !is_ours(&spec.template) {
                continue;
            }
            let name = format!("Deployment {}", name_of(&deployment.metadata));
            let revision = annotation(&deployment.metadata, REVISION);
            let own = lists
                .replica_sets
                .iter()
                .filter(|set| is_of(&set.metadata, &deployment.metadata));
            for set in own {
                let current = revision.is_some() && annotation(&set.metadata, REVISION) == revision;
                let uid = set.metadata.uid.clone().unwrap_or_default();
                found.replica_sets.insert(uid, (name.clone(), current));
            }
            let observed = deployment
                .status
                .as_ref()
                .and_then(|s| s.observed_generation);
            let replicas = spec.replicas.unwrap_or(1);
            found.all.push(Workload {
                observed: revision.is_some() && observed >= deployment.metadata.generation,
                wanted: Wanted::Replicas(usize::try_from(replicas).unwrap_or(0)),
                name,
            });
        }
        for set in &lists.daemon_sets {
            let Some(spec) = &set.spec else { continue };
            if !is_ours(&spec.template) {
                continue;
            }
            let name = format!("DaemonSet {}", name_of(&set.metadata));
            let present = lists
                .revisions
                .iter()
                .filter(|revision| is_of(&revision.metadata, &set.metadata))
                .max_by_key(|revision| revision.revision);
            let hash = present.and_then(|revision| label(&revision.metadata, REVISION_HASH));
            let observed = set.status.as_ref().map(|status| status.observed_generation);
            let observed = observed.flatten() >= set.metadata.generation && hash.is_some();
            let uid = set.metadata.uid.clone().unwrap_or_default();
            found.daemon_sets.insert(uid, (name.clone(), hash));
            found.all.push(Workload {
                name,
                observed,
                wanted: Wanted::Nodes(selected(&spec.template, nodes)),
            });
        }
        found.all.sort_by(|a, b| a.name.cmp(&b.name));
        found
    }

    /// What made a pod.
    pub(super) fn maker(&self, pod: &Pod) -> MadeBy {
        let Some(owner) = controller(&pod.metadata) else {
            return MadeBy::Other;
        };
        if owner.kind == "Node" {
            return MadeBy::Kubelet;
        }
        if let Some((name, current)) = self.replica_sets.get(&owner.uid) {
            return MadeBy::Workload {
                name: name.clone(),
                current: *current,
            };
        }
        match self.daemon_sets.get(&owner.uid) {
            None => MadeBy::Other,
            Some((name, hash)) => MadeBy::Workload {
                name: name.clone(),
                current: hash.is_some() && label(&pod.metadata, REVISION_HASH) == *hash,
            },
        }
    }
}

fn name_of(metadata: &ObjectMeta) -> &str {
    metadata.name.as_deref().unwrap_or_default()
}

fn label(metadata: &ObjectMeta, key: &str) -> Option<String> {
    metadata.labels.as_ref()?.get(key).cloned()
}

fn annotation(metadata: &ObjectMeta, key: &str) -> Option<String> {
    metadata.annotations.as_ref()?.get(key).cloned()
}

fn controller(metadata: &ObjectMeta) -> Option<&OwnerReference> {
    let mut owners = metadata.owner_references.iter().flatten();
    owners.find(|owner| owner.controller == Some(true))
}

fn is_of(metadata: &ObjectMeta, owner: &ObjectMeta) -> bool {
    controller(metadata).is_some_and(|found| Some(&found.uid) == owner.uid.as_ref())
}

fn is_ours(template: &PodTemplateSpec) -> bool {
    let metadata = template.metadata.as_ref();
    metadata
        .and_then(|metadata| label(metadata, MANAGED_BY.0))
        .as_deref()
        == Some(MANAGED_BY.1)
}

/// The nodes on which a DaemonSet of ours shall have a pod: it tolerates all taints, so its selector decides.
fn selected(template: &PodTemplateSpec, nodes: &[Node]) -> Vec<String> {
    let selector = template
        .spec
        .as_ref()
        .and_then(|spec| spec.node_selector.as_ref());
    let fits = |node: &&Node| {
        let mut labels = selector.into_iter().flatten();
        labels.all(|(key, value)| label(&node.metadata, key).as_ref() == Some(value))
    };
    let mut names: Vec<String> = nodes
        .iter()
        .filter(fits)
        .map(|node| name_of(&node.metadata).to_owned())
        .collect();
    names.sort();
    names
}
