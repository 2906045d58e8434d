//! The Controller and GroupController services: requests become objects, and their owners' reports
//! become answers. Nothing is done to a disk here.

mod capacity;
mod create;
mod delete;
mod expand;
mod group_service;
mod groups;
mod health;
mod list;
mod modify;
mod placement;
mod range;
mod service;
mod snapshots;
mod wait;

use crate::object::{Volume, VolumeId};
use crate::problem::Problem;
use crate::store::{self, Store};
use ingot_csi_proto::v1;
use ingot_lvm::Kind;
use ingot_volume_brain::{Bytes, NodeName, Version, VolumeUid};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The controller's services.
#[derive(Clone)]
pub struct ControllerService {
    store: Arc<dyn Store>,
    /// How long a request waits for a volume's owner.
    patience: Duration,
}

/// A size that can be sent: CSI counts in signed numbers.
fn number(size: Bytes) -> i64 {
    i64::try_from(size.0).unwrap_or(i64::MAX)
}

fn topology(node: &NodeName) -> v1::Topology {
    let label = crate::config::TOPOLOGY_NODE.to_owned();
    v1::Topology {
        segments: HashMap::from([(label, node.to_string())]),
    }
}

impl ControllerService {
    /// The services in front of that store.
    pub fn new(store: Arc<dyn Store>, patience: Duration) -> Self {
        Self { store, patience }
    }

    /// Reads the object an id names, if it is that life.
    async fn find(&self, kind: Kind, id: &str) -> Result<Option<(Version, Volume)>, Problem> {
        let Some(parsed) = VolumeId::parse(kind, id) else {
            return Ok(None);
        };
        let found = store::volume(&*self.store, &parsed.key()).await?;
        Ok(found.filter(|(_, volume)| volume.uid == parsed.uid))
    }

    /// Reads the object an id names, which must exist and stay.
    async fn existing(&self, kind: Kind, id: &str) -> Result<(Version, Volume), Problem> {
        let what = match kind {
            Kind::Volume => "volume",
            Kind::Snapshot => "snapshot",
        };
        if id.is_empty() {
            return Err(Problem::Invalid(format!(
                "the request has no {what} id; add it"
            )));
        }
        match self.find(kind, id).await? {
            Some(found) if !found.1.deleting => Ok(found),
            _ => Err(Problem::NotFound(format!("{what} {id} does not exist"))),
        }
    }
}

/// A life that was never before.
fn new_uid() -> VolumeUid {
    VolumeUid(rand::random())
}

/// Seconds since 1970.
fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |age| age.as_secs())
}

fn timestamp(seconds: u64) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: i64::try_from(seconds).unwrap_or(i64::MAX),
        nanos: 0,
    }
}

/// A name of a request: CSI allows 128 bytes of any script, but no control characters.
fn name(name: &str, what: &str) -> Result<(), Problem> {
    if name.is_empty() {
        return Err(Problem::Invalid(format!("the {what} has no name; add it")));
    }
    if name.len() > 128 {
        return Err(Problem::Invalid(format!(
            "the name of the {what} has {} bytes; CSI allows 128",
            name.len()
        )));
    }
    if name.chars().any(char::is_control) {
        return Err(Problem::Invalid(format!(
            "the name of the {what} has a control character; take it out"
        )));
    }
    Ok(())
}
