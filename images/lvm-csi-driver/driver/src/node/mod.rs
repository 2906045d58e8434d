//! The Node service: volumes that are there are brought to pods, and taken back.
//!
//! Works from the tags on the disk and from what is mounted; the object store is not asked, so
//! pods start while it cannot be reached. (Only limits are read from it, where they can be.)

mod content;
mod expand;
mod health;
mod limits;
mod publish;
mod service;
mod stage;
pub(crate) use limits::pod;
pub use stage::CONTEXT_FILESYSTEM;
mod stats;

use crate::agent::{Agent, Located};
use crate::object::VolumeId;
use crate::problem::Problem;
use ingot_lvm::{Device, Kind};
use ingot_volume_brain::LvState;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The Node service of an agent.
#[derive(Clone)]
pub struct NodeService {
    agent: Arc<Agent>,
}

impl NodeService {
    /// The service in front of that agent.
    pub fn new(agent: Arc<Agent>) -> Self {
        Self { agent }
    }

    /// Reads the id of a volume that must exist.
    fn id(id: &str) -> Result<VolumeId, Problem> {
        VolumeId::parse(Kind::Volume, id).ok_or_else(|| unknown(id))
    }

    /// The volume on the disk; read again before it is said to be missing.
    async fn locate(&self, id: VolumeId) -> Result<Located, Problem> {
        let found = self.agent.found(id.uid).await?;
        found.ok_or_else(|| unknown(&id.to_string()))
    }

    /// The volume, if pods may have it.
    async fn usable(&self, id: VolumeId) -> Result<Located, Problem> {
        let mut found = self.locate(id).await?;
        found.tags = self.agent.formats.ahead(found.tags);
        ready(&found, &format!("volume {id}"))?;
        Ok(found)
    }
}

/// Refuses what is on the disk and not to be used yet, or any more.
pub(crate) fn ready(found: &Located, what: &str) -> Result<(), Problem> {
    match found.tags.state {
        LvState::Ready => Ok(()),
        LvState::New => Err(Problem::Busy(format!("{what} is being made; ask again"))),
        LvState::Deleting => Err(Problem::NotFound(format!("{what} is being deleted"))),
        LvState::Quarantined => Err(Problem::Precondition(format!(
            "{what} is in quarantine, since nothing in the API speaks of it; look at `lvs -o +lv_tags` on its node"
        ))),
    }
}

fn unknown(id: &str) -> Problem {
    Problem::NotFound(format!(
        "volume {id} is not on this node; it may have been deleted, or belong to another node"
    ))
}

/// A request says at least which volume it is about.
fn named(id: &str) -> Result<(), Problem> {
    if id.is_empty() {
        return Err(Problem::Invalid(
            "the request has no volume id; add it".into(),
        ));
    }
    Ok(())
}

/// A path of a request, which must be there and absolute.
fn path(name: &str, path: &str) -> Result<PathBuf, Problem> {
    if path.is_empty() {
        return Err(Problem::Invalid(format!(
            "the request has no {name}; add it"
        )));
    }
    let path = Path::new(path);
    if !path.is_absolute() {
        let text = format!("{name} {} is not absolute; write it from /", path.display());
        return Err(Problem::Invalid(text));
    }
    Ok(path.to_owned())
}

/// The device that holds the content: the decrypted view of encrypted ones.
fn content_device(located: &Located) -> Device {
    if located.tags.encrypted {
        located.device.decrypted()
    } else {
        located.device.clone()
    }
}
