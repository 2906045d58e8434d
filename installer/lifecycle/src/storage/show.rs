//! Everything of one volume: whose it is, where it lies, its snapshots, its health, what to do next.

use super::health::{self, Finding};
use super::join::{Joined, Named};
use super::objects::{Phase, Volume};
use super::size::human;
use super::volumes::{self, State, VolumeRow};
use super::{Objects, find, order, table};
use crate::error::Failure;
use jiff::Timestamp;
use serde::Serialize;
use std::fmt;

/// One volume.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct VolumeDetails {
    /// As in the list.
    #[serde(flatten)]
    pub row: VolumeRow,
    /// The size that is wanted, in bytes, where that is another.
    pub wanted: Option<u64>,
    /// Its filesystem, if its class says.
    pub filesystem: Option<String>,
    /// Whether its content is encrypted.
    pub encrypted: Option<bool>,
    /// When it was asked for.
    pub made: Option<Timestamp>,
    /// The id of what it began as a copy of.
    pub copy_of: Option<String>,
    /// The class it was made by.
    pub class: Option<String>,
    /// What becomes of it when its claim goes.
    pub reclaim_policy: Option<String>,
    /// The pods that have it, or are about to.
    pub pods: Vec<Named>,
    /// Its snapshots, the oldest first.
    pub snapshots: Vec<SnapshotRow>,
}

/// A snapshot of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SnapshotRow {
    /// Its VolumeSnapshot.
    pub snapshot: Option<Named>,
    /// Its CSI id.
    pub id: String,
    /// Its logical volume.
    pub logical_volume: String,
    /// Its size in bytes.
    pub size: u64,
    /// Where it is in its life.
    pub state: State,
    /// What its node says about it.
    pub message: String,
    /// When it was asked for.
    pub made: Option<Timestamp>,
}

/// The volume that a person calls so.
///
/// # Errors
/// When none is called so, or more than one.
pub fn show(objects: &Objects, name: &str) -> Result<VolumeDetails, Failure> {
    let joined = Joined::new(objects);
    let rows = volumes::rows(&joined);
    let mut row = find::find(&rows, name)?.clone();
    let id = row.id.clone().unwrap_or_default();
    let volume = joined.volume(&id);
    let pool = volume.and_then(|v| joined.pool(&v.spec.node, &v.spec.pool));
    row.findings.extend(pool.and_then(health::of_thin));
    row.findings = health::worst_first(row.findings);
    let found = joined.quarantined(&id).map(|(_, found)| found);
    let persistent = joined.persistent(&id);
    let claim = row
        .claim
        .as_ref()
        .and_then(|claim| joined.claim_object(claim));
    let class = persistent
        .map(|pv| &pv.spec.storage_class_name)
        .or(claim.map(|claim| &claim.spec.storage_class_name));
    let pods = row
        .claim
        .as_ref()
        .map(|claim| joined.pods(claim))
        .unwrap_or_default();
    Ok(VolumeDetails {
        wanted: volume
            .map(|volume| volume.spec.size)
            .filter(|size| row.size != Some(*size)),
        filesystem: volume.and_then(|volume| volume.spec.filesystem.clone()),
        encrypted: volume
            .map(|volume| volume.spec.encrypted)
            .or(found.map(|found| found.encrypted)),
        made: volume.and_then(made),
        copy_of: volume.and_then(|volume| Some(volume.spec.origin.as_ref()?.id.clone())),
        class: class.filter(|class| !class.is_empty()).cloned(),
        reclaim_policy: persistent.map(|pv| pv.spec.persistent_volume_reclaim_policy.clone()),
        pods: pods
            .iter()
            .map(|pod| Named {
                namespace: pod.metadata.namespace.clone(),
                name: pod.metadata.name.clone(),
            })
            .collect(),
        snapshots: snapshots(&joined, &id),
        row,
    })
}

fn made(volume: &Volume) -> Option<Timestamp> {
    Timestamp::from_second(volume.spec.created).ok()
}

fn snapshots(joined: &Joined<'_>, id: &str) -> Vec<SnapshotRow> {
    let all = joined.objects.snapshots.iter();
    let of = |snapshot: &&Volume| snapshot.spec.origin.as_ref().is_some_and(|o| o.id == id);
    let rows: Vec<SnapshotRow> = all
        .filter(of)
        .map(|snapshot| SnapshotRow {
            snapshot: joined.taken_as(snapshot),
            id: snapshot.id(),
            logical_volume: snapshot.logical_volume(),
            size: snapshot.size(),
            state: match snapshot.status.phase {
                _ if snapshot.spec.deleting => State::Deleting,
                Phase::Pending | Phase::Claimed => State::Creating,
                Phase::Ready => State::Ready,
                Phase::Refused => State::Refused,
                Phase::Lost => State::Lost,
            },
            message: snapshot.status.message.clone(),
            made: made(snapshot),
        })
        .collect();
    order::by(rows, |row| {
        let made = row.made.map_or(0, Timestamp::as_second);
        format!("{made:020}\0{}", row.id)
    })
}

/// To the second, as people write it.
fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

impl fmt::Display for VolumeDetails {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let row = &self.row;
        let told = |text: &Option<String>| text.clone().unwrap_or_default();
        let pods: Vec<String> = self.pods.iter().map(Named::to_string).collect();
        let device = match (&row.volume_group, &row.logical_volume) {
            (Some(vg), Some(lv)) => format!("{vg}/{lv}"),
            _ => String::new(),
        };
        let size = match (row.size, self.wanted) {
            (Some(size), Some(wanted)) => format!("{}, wanted {}", human(size), human(wanted)),
            (size, _) => size.map(human).unwrap_or_default(),
        };
        let encrypted = self.encrypted.map(|yes| if yes { "yes" } else { "no" });
        writeln!(f, "{}: {}", row.called(), row.state.words())?;
        f.write_str(&table::pairs(&[
            ("used by pods", pods.join(", ")),
            ("node", told(&row.node)),
            ("pool", told(&row.pool)),
            ("logical volume", device),
            ("size", size),
            ("layout", told(&row.layout)),
            ("filesystem", told(&self.filesystem)),
            ("encrypted", encrypted.unwrap_or_default().to_owned()),
            ("copy of", told(&self.copy_of)),
            ("made", self.made.map(time).unwrap_or_default()),
            ("class", told(&self.class)),
            ("persistent volume", told(&row.persistent_volume)),
            ("when unclaimed", told(&self.reclaim_policy)),
            ("id", told(&row.id)),
        ]))?;
        f.write_str("\nsnapshots\n")?;
        if self.snapshots.is_empty() {
            f.write_str("  none\n")?;
        } else {
            f.write_str(&indented(&self.snapshots_table()))?;
        }
        f.write_str("\nhealth\n")?;
        if row.findings.is_empty() {
            f.write_str("  nothing is known against it\n")?;
        }
        for Finding {
            severity,
            what,
            next,
        } in &row.findings
        {
            write!(f, "  {}: {what}\n    next: {next}\n", severity.words())?;
        }
        Ok(())
    }
}

impl VolumeDetails {
    fn snapshots_table(&self) -> String {
        let rows = self.snapshots.iter().map(|row| {
            [
                row.snapshot
                    .as_ref()
                    .map_or_else(|| format!("({})", row.logical_volume), Named::to_string),
                human(row.size),
                row.state.words().to_owned(),
                row.made.map(time).unwrap_or_default(),
                row.message.clone(),
            ]
        });
        let headings = ["NAME", "SIZE", "STATE", "MADE", "REASON"];
        table::lines(headings, &rows.collect::<Vec<_>>())
    }
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}\n")).collect()
}
