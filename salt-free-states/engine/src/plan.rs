//! What would change: every resource compared with the host, nothing touched.

use crate::change::Change;
use crate::graph::Graph;
use crate::journal::Journal;
use crate::resource::service::{self, Found};
use crate::resource::{Resource, ResourceError, Status};
use crate::system::System;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What applying does to one resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "kebab-case")]
pub enum Action {
    /// It is as described.
    None,
    /// It is changed in these attributes.
    Change {
        /// What differs.
        changes: Vec<Change>,
    },
    /// It is as described but reacts to the change of others (a service restarts).
    React {
        /// The ids of the changed resources; empty when a reaction was left over from before.
        because: Vec<String>,
    },
    /// It does not apply to this host.
    Skip {
        /// Why.
        reason: String,
    },
}

/// One resource of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Planned {
    /// The id, `<state>/<id>`.
    pub id: String,
    /// What it manages.
    pub target: String,
    /// What will be done.
    #[serde(flatten)]
    pub action: Action,
}

/// The plan of a host: all resources, in an order of application.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// One entry a resource.
    pub resources: Vec<Planned>,
}

impl Plan {
    /// The resources that something will be done to.
    pub fn work(&self) -> impl Iterator<Item = &Planned> {
        self.resources
            .iter()
            .filter(|p| matches!(p.action, Action::Change { .. } | Action::React { .. }))
    }

    /// Whether applying changes nothing.
    pub fn is_empty(&self) -> bool {
        self.work().next().is_none()
    }
}

/// A resource could not be compared with the host.
#[derive(Debug, thiserror::Error)]
#[error("{id} ({target})")]
pub struct PlanError {
    /// The id of the resource.
    pub id: String,
    /// What it manages.
    pub target: String,
    /// Why.
    pub source: ResourceError,
}

/// Compares every resource of `graph` with the host.
///
/// # Errors
/// Every resource that could not be compared.
pub fn plan(
    system: &System,
    graph: &Graph,
    journal: Option<&Journal>,
) -> Result<Plan, Vec<PlanError>> {
    let pending = journal.map(Journal::pending).unwrap_or_default();
    let units = units(system, graph);
    let mut errors = Vec::new();
    let mut resources: Vec<Planned> = Vec::with_capacity(graph.nodes.len());
    for node in &graph.nodes {
        let id = node.declared.id.clone();
        let target = node.declared.resource.target();
        let changed = |positions: &[usize]| -> Vec<String> {
            positions
                .iter()
                .map(|&p| &resources[p])
                .filter(|p| matches!(p.action, Action::Change { .. }))
                .map(|p| p.id.clone())
                .collect()
        };
        let because = changed(&node.watch);
        let idle = !node.onchanges.is_empty()
            && changed(&node.onchanges).is_empty()
            && !pending.contains(&id);
        let status = if idle {
            Ok(Status::NotApplicable(
                "nothing it depends on changed".into(),
            ))
        } else {
            match &node.declared.resource {
                Resource::Service(service) if units.contains_key(&service.unit) => {
                    Ok(service.compare(units[&service.unit]))
                }
                resource => resource.kind().check(system),
            }
        };
        let action = match status {
            Ok(Status::Drifted(changes)) => Action::Change { changes },
            Ok(Status::NotApplicable(reason)) => Action::Skip { reason },
            Ok(Status::InSync) if !because.is_empty() || pending.contains(&id) => {
                Action::React { because }
            }
            Ok(Status::InSync) => Action::None,
            Err(source) => {
                errors.push(PlanError {
                    id: id.clone(),
                    target: target.clone(),
                    source,
                });
                Action::None
            }
        };
        resources.push(Planned { id, target, action });
    }
    if errors.is_empty() {
        Ok(Plan { resources })
    } else {
        Err(errors)
    }
}

/// What systemd says of every unit of the graph, asked once. Nothing where it does not answer for all:
/// each service then asks for itself, and fails by its own name.
fn units(system: &System, graph: &Graph) -> BTreeMap<String, Found> {
    let services = graph.nodes.iter().filter_map(|node| {
        let Resource::Service(service) = &node.declared.resource else {
            return None;
        };
        Some(service.unit.as_str())
    });
    let names: Vec<&str> = BTreeSet::from_iter(services).into_iter().collect();
    let found = service::find(system, &names).unwrap_or_default();
    let names = names.into_iter().map(str::to_owned);
    names.zip(found).collect()
}
