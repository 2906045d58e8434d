//! What is asked and answered. The Kubernetes program of the bundle reads and writes the same JSON
//! (`images/programs/kubernetes/settings.go`). Pure.

use crate::agent::states;
use crate::facts::Facts;
use crate::settings::{Release, api_server_flags, host_settings};
use ingot_cluster::Cluster;
use ingot_engine::resource::Resource;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// A program whose settings cluster.yaml may override.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Component {
    /// kube-apiserver.
    KubeApiserver,
    /// kubelet.
    Kubelet,
}

impl Component {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::KubeApiserver => "kube-apiserver",
            Self::Kubelet => "kubelet",
        }
    }

    /// Where cluster.yaml overrides its settings.
    pub fn place(self) -> &'static str {
        match self {
            Self::KubeApiserver => "spec.apiServer.extraArgs",
            Self::Kubelet => "spec.kubelet.config",
        }
    }
}

/// Would the component start with these settings?
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Question {
    /// The component.
    pub component: Component,
    /// What it is given in any case.
    pub base: BTreeMap<String, Value>,
    /// What cluster.yaml says; it wins.
    pub overrides: BTreeMap<String, Value>,
}

impl Question {
    /// The same without what cluster.yaml says.
    pub fn without_overrides(&self) -> Self {
        Self {
            overrides: BTreeMap::new(),
            ..self.clone()
        }
    }
}

/// What the program answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    /// Version of the form.
    pub format_version: u32,
    /// What it says.
    pub findings: Vec<Complaint>,
}

/// One thing a component says of its settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Complaint {
    /// The flag or field it is about; empty where that cannot be told.
    pub setting: String,
    /// In the component's own words.
    pub message: String,
    /// Whether the component would not start, or would not heed it.
    pub refused: bool,
}

/// The questions about a cluster; none where it overrides nothing.
pub fn questions(cluster: &Cluster, release: &Release) -> Vec<Question> {
    let mut all = Vec::new();
    if !cluster.api_server.extra_args.is_empty()
        && let Some(node) = cluster.control_planes().next()
    {
        let texts = |flags: &BTreeMap<String, String>| {
            let text = |(name, value): (&String, &String)| (name.clone(), value.clone().into());
            flags.iter().map(text).collect()
        };
        all.push(Question {
            component: Component::KubeApiserver,
            base: texts(&api_server_flags(cluster, node)),
            overrides: texts(&cluster.api_server.extra_args),
        });
    }
    if !cluster.kubelet.config.is_empty() {
        all.push(Question {
            component: Component::Kubelet,
            base: kubelet_configuration(cluster, release),
            overrides: cluster.kubelet.config.clone(),
        });
    }
    all
}

/// What the state gives the kubelet of a host that is like most.
fn kubelet_configuration(cluster: &Cluster, release: &Release) -> BTreeMap<String, Value> {
    let node = cluster.nodes.first();
    let rendered = node.and_then(|node| {
        let settings = host_settings(cluster, node, &Facts::default(), release);
        let graph = states::graph(&["kubelet".into()], &settings).ok()?;
        graph.nodes.iter().find_map(|node| {
            let Resource::File(file) = &node.declared.resource else {
                return None;
            };
            (node.declared.id == "kubelet/config").then(|| file.content.clone())
        })
    });
    serde_yaml::from_str(&rendered.unwrap_or_default()).unwrap_or_default()
}
