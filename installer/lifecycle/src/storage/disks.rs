//! Disks as rows: what each is, what is on it, and why it is not used.

use super::size::human;
use super::{Objects, order, table};
use crate::storage::objects::DiskHealth;
use serde::Serialize;
use std::fmt;

/// A disk of a node.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DiskRow {
    /// The node.
    pub node: String,
    /// Its path: one that survives a reboot, if it has one.
    pub device: String,
    /// What the kernel calls it until the next reboot.
    pub kernel_name: String,
    /// Its size in bytes.
    pub size: u64,
    /// What its maker calls it.
    pub model: Option<String>,
    /// Its serial number.
    pub serial: Option<String>,
    /// Whether it turns.
    pub rotational: bool,
    /// The pool it belongs to.
    pub pool: Option<String>,
    /// How it is.
    pub health: Health,
    /// What is on it.
    pub content: Option<String>,
    /// Why it is not used, and what to do to use it.
    pub unused: Option<String>,
}

/// How a disk is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "as its agent reports it")]
pub enum Health {
    Good,
    Failed,
    Missing,
}

/// All disks.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DiskList {
    /// By node and path.
    pub disks: Vec<DiskRow>,
}

/// The disks of the cluster.
pub fn list(objects: &Objects) -> DiskList {
    let rows = objects.disks.iter().map(|disk| {
        let spec = disk.spec.clone();
        DiskRow {
            node: spec.node,
            device: spec.path,
            kernel_name: spec.kernel_name,
            size: spec.size,
            model: spec.model,
            serial: spec.serial,
            rotational: spec.rotational,
            pool: spec.pool,
            health: match spec.health {
                DiskHealth::Good => Health::Good,
                DiskHealth::Failed => Health::Failed,
                DiskHealth::Missing => Health::Missing,
            },
            content: spec.content,
            unused: spec.unused,
        }
    });
    let key = |row: &DiskRow| format!("{}\0{}", row.node, row.device);
    DiskList {
        disks: order::by(rows.collect(), key),
    }
}

impl fmt::Display for DiskList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.disks.is_empty() {
            return f.write_str(
                "no agent has reported a disk yet; see them with: kubectl -n kube-system get pods -l app.kubernetes.io/name=storage-agent\n",
            );
        }
        let rows = self.disks.iter().map(|row| {
            let holds = match (&row.content, row.health) {
                (Some(content), _) => content.clone(),
                (None, Health::Missing) => String::new(),
                (None, _) => "nothing".into(),
            };
            [
                row.node.clone(),
                row.device.clone(),
                // Of a disk that was never seen.
                if row.size == 0 {
                    String::new()
                } else {
                    human(row.size)
                },
                row.model.clone().unwrap_or_default(),
                row.serial.clone().unwrap_or_default(),
                row.pool.clone().unwrap_or_default(),
                match row.health {
                    Health::Good => "good",
                    Health::Failed => "failed",
                    Health::Missing => "missing",
                }
                .into(),
                holds,
                row.unused.clone().unwrap_or_default(),
            ]
        });
        let headings = [
            "NODE",
            "DEVICE",
            "SIZE",
            "MODEL",
            "SERIAL",
            "POOL",
            "HEALTH",
            "HOLDS",
            "NOT USED BECAUSE",
        ];
        f.write_str(&table::lines(headings, &rows.collect::<Vec<_>>()))
    }
}
