//! A snapshot of a claim: what is to be made, and how far it has come.
//!
//! Same name and same source is the same snapshot; same name and another source is refused.

use super::join::{Joined, Named};
use super::objects::{Content, Kind, Objects, VolumeSnapshot};
use super::size::{human, quantity};
use super::volumes::{self, VolumeRow};
use super::{DRIVER, find};
use crate::error::{Failure, FailureKind};
use serde::Serialize;
use serde_json::{Value, json};
use std::fmt;

/// What is to be done for a snapshot.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// What it is called.
    pub snapshot: Named,
    /// What it is of.
    pub claim: Named,
    /// The object to be made; nothing, if it is there.
    pub create: Option<Value>,
}

/// What to do for a snapshot of the volume that a person calls `volume`. Without a name it is called
/// after its claim and the time.
///
/// # Errors
/// When it cannot be made, or that name is taken by a snapshot of something else.
pub fn plan(objects: &Objects, volume: &str, name: Option<&str>) -> Result<Plan, Failure> {
    let refuse = |text: String| Failure::text(FailureKind::Input, text);
    if objects.absent.contains(&Kind::VolumeSnapshot) {
        return Err(
            refuse("this cluster has no snapshots: its API server does not know snapshot.storage.k8s.io/v1".into())
                .hint("run `ingot apply`, which installs them with storage"),
        );
    }
    let joined = Joined::new(objects);
    let rows = volumes::rows(&joined);
    let row = find::find(&rows, volume)?;
    let Some(claim) = row.claim.clone() else {
        return Err(refuse(format!(
            "{} has no claim, and snapshots are taken of claims",
            row.called()
        ))
        .hint("ingot volume orphans says what to do about it"));
    };
    let name = match name {
        Some(name) => checked(name)?,
        None => format!("{}-{}", claim.name, objects.now.strftime("%Y%m%d-%H%M%S")),
    };
    let snapshot = Named {
        namespace: claim.namespace.clone(),
        name,
    };
    let taken = objects.volume_snapshots.iter().find(|found| {
        found.metadata.namespace == snapshot.namespace && found.metadata.name == snapshot.name
    });
    let create = match taken {
        Some(found) => {
            same(found, &snapshot, &claim)?;
            None
        }
        None => {
            possible(&joined, row)?;
            Some(object(&snapshot, &claim, class(objects)?))
        }
    };
    Ok(Plan {
        snapshot,
        claim,
        create,
    })
}

/// A name as Kubernetes takes it.
fn checked(name: &str) -> Result<String, Failure> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || ".-".contains(c);
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    let (first, last) = (name.chars().next(), name.chars().last());
    if name.len() <= 253 && name.chars().all(plain) && edge(first) && edge(last) {
        return Ok(name.to_owned());
    }
    let text = format!("{name:?} cannot name a snapshot");
    Err(Failure::text(FailureKind::Input, text)
        .hint("use up to 253 of a-z, 0-9, '-' and '.', a letter or digit first and last"))
}

/// Whether the one that is there is the one that is wanted.
fn same(found: &VolumeSnapshot, name: &Named, claim: &Named) -> Result<(), Failure> {
    let source = &found.spec.source;
    if source.persistent_volume_claim_name.as_deref() == Some(claim.name.as_str()) {
        return Ok(());
    }
    let of = match (
        &source.persistent_volume_claim_name,
        &source.volume_snapshot_content_name,
    ) {
        (Some(other), _) => format!("claim {}/{other}", name.namespace),
        (None, Some(content)) => format!("VolumeSnapshotContent {content}"),
        (None, None) => "nothing".to_owned(),
    };
    let text = format!("snapshot {name} exists and is of {of}, not of claim {claim}");
    Err(Failure::text(FailureKind::Input, text).hint("give this one another name with --name"))
}

/// Whether the driver can take one now.
fn possible(joined: &Joined<'_>, row: &VolumeRow) -> Result<(), Failure> {
    let refuse = |text: String, hint: &str| {
        Err(Failure::text(FailureKind::Input, text).hint(hint.to_owned()))
    };
    let id = row.id.as_deref().unwrap_or_default();
    let Some(volume) = joined.volume(id) else {
        let text = format!(
            "{} is {}; there is nothing to take a snapshot of",
            row.called(),
            row.state.words()
        );
        return refuse(text, &format!("ingot volume show {}", row.called()));
    };
    let layout = &volume.spec.layout;
    if !layout.is_thin() {
        let text = format!(
            "{} is {layout}, and only thin volumes have snapshots",
            row.called()
        );
        return refuse(
            text,
            "copy what it holds into a volume of a class with a thin pool",
        );
    }
    match row.state {
        volumes::State::InUse | volumes::State::Ready | volumes::State::Expanding => Ok(()),
        state => refuse(
            format!(
                "{} is not ready ({}), and snapshots are taken of what is",
                row.called(),
                state.words()
            ),
            &format!("ingot volume show {}", row.called()),
        ),
    }
}

/// The class to use: the default one, else the first by name.
fn class(objects: &Objects) -> Result<&str, Failure> {
    let is_other = |class: &&super::objects::VolumeSnapshotClass| {
        class.metadata.annotations.default_snapshot_class != "true"
    };
    let first = objects
        .snapshot_classes
        .iter()
        .min_by_key(|class| (is_other(class), &class.metadata.name));
    match first {
        Some(class) => Ok(&class.metadata.name),
        None => Err(Failure::text(
            FailureKind::Input,
            format!("no VolumeSnapshotClass is of driver {DRIVER}"),
        )
        .hint("run `ingot apply`, which makes one called lvm")),
    }
}

fn object(snapshot: &Named, claim: &Named, class: &str) -> Value {
    json!({
        "apiVersion": "snapshot.storage.k8s.io/v1", "kind": "VolumeSnapshot",
        "metadata": { "namespace": snapshot.namespace, "name": snapshot.name },
        "spec": {
            "volumeSnapshotClassName": class,
            "source": { "persistentVolumeClaimName": claim.name },
        },
    })
}

/// A snapshot that is ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Taken {
    /// What it is called.
    pub snapshot: Named,
    /// What it is of.
    pub claim: Named,
    /// Whether this command made it; else it was there.
    pub made: bool,
    /// Its size in bytes.
    pub size: Option<u64>,
}

impl fmt::Display for Taken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            snapshot,
            claim,
            made,
            size,
        } = self;
        let how = if *made {
            "is ready"
        } else {
            "was there and is ready"
        };
        let size = size.map_or_else(String::new, |size| format!(", {}", human(size)));
        writeln!(f, "snapshot {snapshot} of claim {claim} {how}{size}")
    }
}

/// How far a snapshot has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// It can be restored from.
    Ready {
        /// Its size in bytes.
        size: Option<u64>,
    },
    /// It is being made; the reason is the last one that was given.
    Waiting(String),
    /// It was removed.
    Gone,
}

/// How far it is, by its object and the content that belongs to that.
pub fn progress(snapshot: Option<&VolumeSnapshot>, content: Option<&Content>) -> Progress {
    let Some(snapshot) = snapshot.filter(|s| s.metadata.deletion_timestamp.is_none()) else {
        return Progress::Gone;
    };
    let status = &snapshot.status;
    if status.ready_to_use {
        return Progress::Ready {
            size: quantity(&status.restore_size),
        };
    }
    let error = content.and_then(|content| content.status.error.as_ref());
    let error = error.or(status.error.as_ref());
    Progress::Waiting(match (error, content) {
        (Some(error), _) => error.message.clone(),
        (None, Some(_)) => "the driver is taking it".into(),
        (None, None) => "the snapshot controller has not seen it yet".into(),
    })
}

/// Why nobody waits any longer.
pub fn late(plan: &Plan, reason: &str, seconds: u64) -> Failure {
    let Named { namespace, name } = &plan.snapshot;
    let text = format!(
        "snapshot {} is not ready after {seconds} s: {reason}",
        plan.snapshot
    );
    Failure::text(FailureKind::Machine, text).hint(format!(
        "it goes on by itself; wait again with the same command and --name {name}, or give it up with `kubectl -n {namespace} delete volumesnapshot {name}`"
    ))
}

/// Somebody removed what is waited for.
pub fn gone(plan: &Plan) -> Failure {
    let text = format!(
        "snapshot {} was removed while it was waited for",
        plan.snapshot
    );
    Failure::text(FailureKind::Machine, text).hint("run the command again to take another one")
}
