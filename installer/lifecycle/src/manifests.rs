//! The objects that make a bare API server a cluster: access rules, kube-proxy, flannel, CoreDNS,
//! metrics-server, storage. Pure: templates built into the program, rendered with the cluster's settings.

use ingot_bundle::Hasher;

include!(concat!(env!("OUT_DIR"), "/manifests.rs"));
include!(concat!(env!("OUT_DIR"), "/storage_definitions.rs"));
include!(concat!(env!("OUT_DIR"), "/snapshot_definitions.rs"));

/// The manifests of storage, for clusters that have some.
const STORAGE: [&str; 2] = ["60-storage.yaml.tera", SNAPSHOT_METADATA];

/// What can be turned off again. It holds no data of anybody.
const SNAPSHOT_METADATA: &str = "61-snapshot-metadata.yaml.tera";

/// What no node needs to be Ready.
const ADD_ONS: [&str; 1] = ["50-metrics-server.yaml.tera"];

/// The workloads among them.
const ADD_ON_WORKLOADS: [&str; 1] = ["Deployment metrics-server"];

/// Whether a workload, by its kind and name, is of the add-ons.
pub fn is_add_on(workload: &str) -> bool {
    ADD_ON_WORKLOADS.contains(&workload)
}

/// Objects that are applied together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// What makes a cluster.
    Platform,
    /// What runs in a cluster that is ready. Before, it would keep the processors from the others.
    AddOns,
}

/// Objects as YAML documents.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Objects {
    /// Those that shall be there, in the order of application.
    pub wanted: String,
    /// Those of services that are turned off; an earlier configuration may have made them.
    pub unwanted: String,
}

/// The objects of a part.
///
/// # Errors
/// A template that does not fit the settings: a mistake of this program.
pub fn render(settings: &serde_json::Value, part: Part) -> Result<Objects, String> {
    let context =
        tera::Context::from_serialize(settings).map_err(|error| crate::error::chain(&error))?;
    let storage = settings["storage_nodes"]
        .as_array()
        .is_some_and(|nodes| !nodes.is_empty());
    let mut all = Objects::default();
    if storage && part == Part::Platform {
        for (_, definition) in STORAGE_DEFINITIONS.iter().chain(SNAPSHOT_DEFINITIONS) {
            all.wanted.push_str("---\n");
            all.wanted.push_str(definition);
        }
    }
    let part_of = |name: &str| match ADD_ONS.contains(&name) {
        true => Part::AddOns,
        false => Part::Platform,
    };
    let known = |name: &str| part_of(name) == part && (storage || !STORAGE.contains(&name));
    for (name, template) in MANIFESTS.iter().filter(|(name, _)| known(name)) {
        let text = tera::Tera::one_off(template, &context, false)
            .map_err(|error| format!("{name}: {}", crate::error::chain(&error)))?;
        let off = *name == SNAPSHOT_METADATA && settings["snapshot_metadata"] != true;
        let objects = match off {
            true => &mut all.unwanted,
            false => &mut all.wanted,
        };
        objects.push_str("---\n");
        objects.push_str(&with_digest(&text));
    }
    Ok(all)
}

/// Stands in a pod template for the digest of the ConfigMaps beside it.
const CONFIGURATION: &str = "@configuration@";

/// Programs read their configuration when they start: with its digest in their template, a change of it makes
/// new pods, in the order and at the pace of their Deployment or DaemonSet.
fn with_digest(manifest: &str) -> String {
    let mut hasher = Hasher::new();
    for document in manifest.split("---\n") {
        if document.contains("kind: ConfigMap\n") {
            hasher.update(document.as_bytes());
        }
    }
    let digest = hasher.finish().hex();
    manifest.replace(CONFIGURATION, &digest[..16])
}

/// The label of nodes whose storage agent shall run.
const STORAGE_NODE: &str = "storage.ingot.dev/node";

/// The labels of a node that only an administrator may set.
pub fn node(node: &ingot_cluster::Node) -> String {
    let mut all = node.labels.clone();
    if !node.pools.is_empty() {
        all.insert(STORAGE_NODE.into(), String::new());
    }
    for role in &node.roles {
        let role = match role {
            ingot_cluster::Role::ControlPlane => "control-plane",
            ingot_cluster::Role::Worker => "worker",
        };
        all.insert(format!("node-role.kubernetes.io/{role}"), String::new());
    }
    let object = serde_json::json!({
        "apiVersion": "v1", "kind": "Node", "metadata": { "name": node.name, "labels": all },
    });
    format!("---\n{object}\n")
}
