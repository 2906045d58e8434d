//! Chooses the node and pool of a new volume.

use super::ControllerService;
use crate::object::{NodePool, ObjectKind, Volume};
use crate::parameters::{Arrangement, ClassParameters};
use crate::problem::Problem;
use crate::store;
use ingot_csi_proto::v1::TopologyRequirement;
use ingot_lvm::Layout;
use ingot_volume_brain::{Bytes, Phase};
use std::collections::HashMap;

/// A pool that could have the volume.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    pub pool: NodePool,
    pub layout: Layout,
    /// The largest volume it can have, with what is asked for and not yet made taken off.
    pub largest: Bytes,
}

impl Candidate {
    /// The size the volume would get.
    pub fn size(&self, wanted: Bytes) -> Bytes {
        self.layout
            .round_up(wanted.max(Bytes(1)), self.pool.space.extent.max(Bytes(512)))
    }
}

/// Whether the labels of a node are those asked for.
pub(super) fn on(pool: &NodePool, segments: &HashMap<String, String>) -> bool {
    segments
        .iter()
        .all(|(label, value)| pool.topology.get(label) == Some(value))
}

impl ControllerService {
    /// All pools of that class, with what can be made in them.
    pub(super) async fn candidates(
        &self,
        class: &ClassParameters,
    ) -> Result<Vec<Candidate>, Problem> {
        let pools = self.store.list(ObjectKind::Pool).await?;
        let volumes = store::volumes(&*self.store, ObjectKind::Volume).await?;
        let snapshots = store::volumes(&*self.store, ObjectKind::Snapshot).await?;
        let pending = |volume: &&Volume| {
            matches!(volume.report.phase, Phase::Pending | Phase::Claimed) && !volume.deleting
        };
        let pending: Vec<&Volume> = volumes
            .iter()
            .chain(&snapshots)
            .map(|(_, volume)| volume)
            .filter(pending)
            .collect();
        let mut candidates = Vec::new();
        for (_, stored) in &pools {
            let Some(pool) = stored.object.pool() else {
                continue;
            };
            if class.pool.as_ref().is_some_and(|name| *name != pool.pool) {
                continue;
            }
            let Some(layout) = Arrangement::layout(class.layout.as_ref(), pool.thin.as_ref())
            else {
                continue;
            };
            let here = |volume: &&&Volume| volume.node == pool.node && volume.pool == pool.pool;
            let promised = Bytes(
                pending
                    .iter()
                    .filter(here)
                    .map(|volume| volume.size.0)
                    .sum(),
            );
            let largest = pool
                .space
                .largest(&layout, pool.guard)
                .saturating_sub(promised);
            candidates.push(Candidate {
                largest: layout.round_down(largest, pool.space.extent),
                pool: pool.clone(),
                layout,
            });
        }
        Ok(candidates)
    }

    /// The pool for a new volume of that size: in the order of preference, else the roomiest.
    pub(super) async fn place(
        &self,
        class: &ClassParameters,
        size: Bytes,
        topology: Option<&TopologyRequirement>,
    ) -> Result<Candidate, Problem> {
        let mut candidates = self.candidates(class).await?;
        if candidates.is_empty() {
            return Err(Problem::Invalid(no_pool(class)));
        }
        if let Some(topology) = topology.filter(|topology| !topology.requisite.is_empty()) {
            let asked = |candidate: &Candidate| {
                topology
                    .requisite
                    .iter()
                    .any(|t| on(&candidate.pool, &t.segments))
            };
            candidates.retain(asked);
            if candidates.is_empty() {
                return Err(Problem::NoRoom(
                    "no node of the requested topology has a pool of this class; give one of them disks, or let the class use other nodes".into(),
                ));
            }
        }
        let rank = |candidate: &Candidate| {
            let preferred = topology.map(|topology| topology.preferred.as_slice());
            let place = |t: &ingot_csi_proto::v1::Topology| on(&candidate.pool, &t.segments);
            preferred
                .and_then(|all| all.iter().position(place))
                .unwrap_or(usize::MAX)
        };
        candidates.sort_by_key(|candidate| {
            (
                rank(candidate),
                std::cmp::Reverse(candidate.largest),
                candidate.pool.node.clone(),
            )
        });
        let fits = |candidate: &&Candidate| candidate.size(size) <= candidate.largest;
        if let Some(found) = candidates.iter().find(fits) {
            return Ok(found.clone());
        }
        Err(Problem::NoRoom(no_room(size, &candidates)))
    }
}

fn no_pool(class: &ClassParameters) -> String {
    let layout = match &class.layout {
        Some(Arrangement::Thin) => " with a thin pool",
        _ => "",
    };
    match &class.pool {
        Some(pool) => format!(
            "no node has a pool {pool:?}{layout}; correct the parameter pool of the class, or configure that pool on a node"
        ),
        None => format!("no node has a pool{layout}; configure one on a node"),
    }
}

fn no_room(size: Bytes, candidates: &[Candidate]) -> String {
    let trouble = candidates.iter().filter_map(|candidate| {
        let trouble = candidate.pool.trouble.as_ref()?;
        Some(format!("; node {}: {trouble}", candidate.pool.node))
    });
    let waiting = candidates.iter().filter_map(|candidate| {
        let (node, left) = (&candidate.pool.node, candidate.pool.overwriting);
        let more = "of a new disk is being overwritten first, ask again later";
        (left > Bytes::ZERO).then(|| format!("; node {node}: {left} {more}"))
    });
    let trouble: String = trouble.chain(waiting).collect();
    let most = candidates.iter().max_by_key(|candidate| candidate.largest);
    match most {
        Some(best) if best.largest > Bytes::ZERO => format!(
            "no pool has room for {size}; the largest volume possible is {} ({}) on node {}: ask for less, add a disk, or delete volumes{trouble}",
            best.largest, best.layout, best.pool.node
        ),
        _ => format!("no pool has room for {size}; add a disk, or delete volumes{trouble}"),
    }
}
