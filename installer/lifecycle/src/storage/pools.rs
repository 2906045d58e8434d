//! Pools as rows: how large, how full, how much is promised, and what is wrong.

use super::join::Joined;
use super::size::{human, percent};
use super::{Objects, order, table};
use serde::Serialize;
use std::fmt;

/// A pool of a node.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PoolRow {
    /// Its name, as classes ask for it.
    pub pool: String,
    /// The node.
    pub node: String,
    /// Its volume group.
    pub volume_group: String,
    /// The thin pool in it.
    pub thin: Option<String>,
    /// Size of the thin pool, or of all disks of a thick one, in bytes; nothing, if it is not known.
    pub size: Option<u64>,
    /// Sum of the sizes of its volumes and snapshots, in bytes.
    pub promised: Option<u64>,
    /// What nothing lies on in its volume group, in bytes.
    pub free: Option<u64>,
    /// Fill of its data, 0 to 1.
    pub data: Option<f64>,
    /// Fill of its metadata, 0 to 1; a thick pool has none.
    pub metadata: Option<f64>,
    /// How many logical volumes in it are nobody's.
    pub quarantined: usize,
    /// Why nothing can be made in it now.
    pub trouble: Option<String>,
}

/// All pools.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PoolList {
    /// By name and node.
    pub pools: Vec<PoolRow>,
}

/// The pools of the cluster, those that are wanted and not reported included.
pub fn list(objects: &Objects) -> PoolList {
    let joined = Joined::new(objects);
    let reported = objects.pools.iter().map(|pool| row(&joined, pool));
    let silent = objects.storage_nodes.iter().flat_map(|node| {
        let joined = &joined;
        let name = &node.metadata.name;
        let silent = node.spec.pools.iter();
        silent
            .filter(move |pool| joined.pool(name, &pool.name).is_none())
            .map(move |pool| PoolRow {
                trouble: Some(match node.status.message.as_str() {
                    "" => "its node's agent has not reported it".to_owned(),
                    message => format!("its node's agent cannot use it: {message}"),
                }),
                ..unknown(&pool.name, name, &pool.volume_group)
            })
    });
    let key = |row: &PoolRow| format!("{}\0{}", row.pool, row.node);
    PoolList {
        pools: order::by(reported.chain(silent).collect(), key),
    }
}

fn unknown(pool: &str, node: &str, vg: &str) -> PoolRow {
    PoolRow {
        pool: pool.to_owned(),
        node: node.to_owned(),
        volume_group: vg.to_owned(),
        thin: None,
        size: None,
        promised: None,
        free: None,
        data: None,
        metadata: None,
        quarantined: 0,
        trouble: None,
    }
}

fn row(joined: &Joined<'_>, pool: &super::objects::NodePool) -> PoolRow {
    let spec = &pool.spec;
    let mut row = PoolRow {
        thin: spec.thin.clone(),
        quarantined: spec.quarantined.len(),
        trouble: spec.trouble.clone(),
        ..unknown(&spec.pool, &spec.node, &spec.vg)
    };
    // A pool in trouble says nothing of its space.
    if spec.trouble.is_some() {
        return row;
    }
    let free = spec.space.free.iter().sum();
    row.free = Some(free);
    match &spec.space.thin {
        Some(thin) => {
            row.size = Some(thin.size);
            row.promised = Some(thin.promised);
            row.data = Some(thin.data);
            row.metadata = Some(thin.metadata);
            if !thin.healthy {
                row.trouble = Some("LVM finds something wrong with its thin pool".into());
            } else if thin.data.max(thin.metadata) >= spec.guard.stop() {
                let stop = percent(spec.guard.stop());
                row.trouble = Some(format!("it is full: from {stop} on nothing is promised"));
            }
        }
        None => {
            let disks = joined
                .disks(&spec.node, &spec.pool)
                .map(|disk| disk.spec.size);
            let size: u64 = disks.sum();
            let inside = |volume: &&super::objects::Volume| {
                volume.spec.node == spec.node && volume.spec.pool == spec.pool
            };
            let volumes = joined.objects.volumes.iter().filter(inside);
            row.promised = Some(volumes.map(super::objects::Volume::size).sum());
            if size > 0 {
                row.size = Some(size);
                row.data = Some(1.0 - free.min(size) as f64 / size as f64);
            }
        }
    }
    row
}

impl fmt::Display for PoolList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.pools.is_empty() {
            return f
                .write_str("no node has a pool; give one disks: docs/guides/local-storage.md\n");
        }
        let bytes = |bytes: Option<u64>| bytes.map(human).unwrap_or_default();
        let part = |part: Option<f64>| part.map(percent).unwrap_or_default();
        let rows = self.pools.iter().map(|row| {
            let orphans = match row.quarantined {
                0 => None,
                count => Some(format!("{count} in quarantine: ingot volume orphans")),
            };
            let said: Vec<String> = row.trouble.clone().into_iter().chain(orphans).collect();
            [
                row.pool.clone(),
                row.node.clone(),
                bytes(row.size),
                bytes(row.promised),
                part(row.data),
                part(row.metadata),
                bytes(row.free),
                said.join("; "),
            ]
        });
        let headings = [
            "POOL", "NODE", "SIZE", "PROMISED", "DATA", "METADATA", "FREE", "TROUBLE",
        ];
        f.write_str(&table::lines(headings, &rows.collect::<Vec<_>>()))
    }
}
