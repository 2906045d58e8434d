//! Volumes as rows: whose each is, where it lies, and how it is.

use super::health::{self, Finding, Severity};
use super::join::{Joined, Named, named};
use super::objects::{Claim, NodePool, PersistentVolume, Phase, Quarantined, Volume, VolumeKind};
use super::pools::{self, PoolRow};
use super::size::{human, quantity};
use super::{Objects, order, table};
use serde::Serialize;
use std::fmt;

mod row;

pub use self::row::{State, VolumeRow};

/// All volumes, and the pools they are in.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct VolumeList {
    /// By claim, then by name.
    pub volumes: Vec<VolumeRow>,
    /// By name and node.
    pub pools: Vec<PoolRow>,
}

/// The volumes of the cluster with their pools.
pub fn list(objects: &Objects) -> VolumeList {
    VolumeList {
        volumes: rows(&Joined::new(objects)),
        pools: pools::list(objects).pools,
    }
}

/// All volumes: those that are, those that shall be, and what is left of those that were.
pub fn rows(joined: &Joined<'_>) -> Vec<VolumeRow> {
    let objects = joined.objects;
    let mut rows: Vec<VolumeRow> = objects.volumes.iter().map(|v| made(joined, v)).collect();
    for pool in &objects.pools {
        let found = pool.spec.quarantined.iter();
        rows.extend(
            found
                .filter(|found| found.kind == VolumeKind::Volume)
                // Its object came back; the agent has not said so yet.
                .filter(|found| joined.volume(&found.id).is_none())
                .map(|found| quarantined(joined, pool, found)),
        );
    }
    rows.extend(
        objects
            .persistent_volumes
            .iter()
            .filter(|pv| joined.volume(pv.handle()).is_none())
            .filter(|pv| joined.quarantined(pv.handle()).is_none())
            .map(missing),
    );
    let waits = |claim: &&Claim| {
        let class = &claim.spec.storage_class_name;
        let ours = objects.classes.iter().any(|c| c.metadata.name == *class);
        let name = named(claim);
        ours && claim.status.phase == "Pending"
            && !rows.iter().any(|row| row.claim.as_ref() == Some(&name))
    };
    let waiting: Vec<VolumeRow> = objects
        .claims
        .iter()
        .filter(waits)
        .map(|claim| waiting(objects, claim))
        .collect();
    rows.extend(waiting);
    // What has no claim comes last.
    order::by(rows, |row| match &row.claim {
        Some(claim) => format!("0{}\0{}\0{}", claim.namespace, claim.name, row.called()),
        None => format!("1{}", row.called()),
    })
}

fn made(joined: &Joined<'_>, volume: &Volume) -> VolumeRow {
    let (id, spec) = (volume.id(), &volume.spec);
    let claim = joined.claim(&id, &spec.csi_name);
    let used = claim.as_ref().is_some_and(|c| !joined.pods(c).is_empty());
    let smaller = volume.status.size < spec.size && volume.status.refused.is_none();
    let state = match volume.status.phase {
        _ if spec.deleting => State::Deleting,
        Phase::Pending | Phase::Claimed => State::Creating,
        Phase::Refused => State::Refused,
        Phase::Lost => State::Lost,
        Phase::Ready if smaller => State::Expanding,
        Phase::Ready if used => State::InUse,
        Phase::Ready => State::Ready,
    };
    VolumeRow {
        claim,
        name: Some(spec.csi_name.clone()),
        persistent_volume: joined.persistent(&id).map(|pv| pv.metadata.name.clone()),
        id: Some(id),
        node: Some(spec.node.clone()),
        pool: Some(spec.pool.clone()),
        volume_group: Some(spec.vg.clone()),
        logical_volume: Some(volume.logical_volume()),
        size: Some(volume.size()),
        layout: Some(spec.layout.to_string()),
        state,
        findings: health::of_volume(joined, volume),
    }
}

fn orphan(severity: Severity, what: impl Into<String>) -> Vec<Finding> {
    vec![Finding {
        severity,
        what: what.into(),
        next: "ingot volume orphans".into(),
    }]
}

fn quarantined(joined: &Joined<'_>, pool: &NodePool, found: &Quarantined) -> VolumeRow {
    let persistent = joined
        .persistent(&found.id)
        .map(|pv| pv.metadata.name.clone());
    let what = "its Volume object is gone; the data is kept until a person decides";
    VolumeRow {
        claim: joined.claim(&found.id, ""),
        name: persistent.clone(),
        id: Some(found.id.clone()),
        persistent_volume: persistent,
        node: Some(pool.spec.node.clone()),
        pool: Some(pool.spec.pool.clone()),
        volume_group: Some(pool.spec.vg.clone()),
        logical_volume: Some(found.lv.clone()),
        size: Some(found.size),
        layout: found.thin.as_ref().map(|_| "thin".to_owned()),
        state: State::Quarantined,
        findings: orphan(Severity::Inaccessible, what),
    }
}

fn missing(pv: &PersistentVolume) -> VolumeRow {
    let claim = pv.spec.claim_ref.as_ref().map(|claim| Named {
        namespace: claim.namespace.clone(),
        name: claim.name.clone(),
    });
    VolumeRow {
        claim,
        name: Some(pv.metadata.name.clone()),
        id: Some(pv.handle().to_owned()),
        persistent_volume: Some(pv.metadata.name.clone()),
        node: pv.node().map(str::to_owned),
        pool: None,
        volume_group: None,
        logical_volume: None,
        size: pv
            .spec
            .capacity
            .get("storage")
            .and_then(|size| quantity(size)),
        layout: None,
        state: State::Missing,
        findings: orphan(
            Severity::Inaccessible,
            "its Volume object is gone, and no node reports its logical volume",
        ),
    }
}

fn waiting(objects: &Objects, claim: &Claim) -> VolumeRow {
    let class = &claim.spec.storage_class_name;
    let class = objects.classes.iter().find(|c| c.metadata.name == *class);
    let late = class.is_some_and(|class| class.volume_binding_mode == "WaitForFirstConsumer");
    let node = claim.metadata.annotations.selected_node.clone();
    let (what, next) = if late && node.is_empty() {
        (
            "no pod that uses the claim has been placed on a node",
            format!(
                "start a pod that uses it; if there is one, see what it waits for: kubectl -n {} describe pods",
                claim.metadata.namespace
            ),
        )
    } else {
        (
            "the provisioner has not made it yet",
            format!(
                "see what it says: kubectl -n {} describe pvc {}",
                claim.metadata.namespace, claim.metadata.name
            ),
        )
    };
    VolumeRow {
        claim: Some(named(claim)),
        name: None,
        id: None,
        persistent_volume: None,
        node: Some(node).filter(|node| !node.is_empty()),
        pool: class.and_then(|class| class.parameters.get("pool").cloned()),
        volume_group: None,
        logical_volume: None,
        size: claim
            .spec
            .resources
            .requests
            .get("storage")
            .and_then(|size| quantity(size)),
        layout: None,
        state: State::Waiting,
        findings: vec![Finding {
            severity: Severity::Notice,
            what: what.into(),
            next,
        }],
    }
}

impl fmt::Display for VolumeList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let told = |text: &Option<String>| text.clone().unwrap_or_default();
        if self.volumes.is_empty() {
            f.write_str("there are no volumes\n")?;
        } else {
            let rows = self.volumes.iter().map(|row| {
                let reason = row.findings.first().map(|finding| finding.what.clone());
                [
                    row.claim
                        .as_ref()
                        .map_or_else(|| format!("({})", row.called()), Named::to_string),
                    told(&row.node),
                    told(&row.pool),
                    row.size.map(human).unwrap_or_default(),
                    told(&row.layout),
                    row.state.words().to_owned(),
                    told(&reason),
                ]
            });
            let headings = ["CLAIM", "NODE", "POOL", "SIZE", "LAYOUT", "STATE", "REASON"];
            f.write_str(&table::lines(headings, &rows.collect::<Vec<_>>()))?;
        }
        let troubled = self
            .volumes
            .iter()
            .filter_map(|row| Some((row.trouble()?, row)));
        let troubled: Vec<_> = troubled.collect();
        // The first of the worst.
        if let Some((_, worst)) = troubled.iter().min_by_key(|(severity, _)| *severity) {
            let (count, all) = (troubled.len(), self.volumes.len());
            let worst = worst.called();
            write!(
                f,
                "\n{count} of {all} volumes want attention; what to do: ingot volume show {worst}\n"
            )?;
        }
        let pools = pools::PoolList {
            pools: self.pools.clone(),
        };
        write!(f, "\n{pools}")
    }
}
