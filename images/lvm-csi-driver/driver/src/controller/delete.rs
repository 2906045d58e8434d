//! DeleteVolume and DeleteSnapshot: the wish is written, its owner does the rest.

use super::ControllerService;
use super::wait::LOOK;
use crate::object::{Volume, VolumeId};
use crate::problem::Problem;
use crate::store::{self, StoreError};
use ingot_lvm::Kind;
use tokio::time::Instant;

impl ControllerService {
    pub(super) async fn delete(&self, kind: Kind, id: &str) -> Result<(), Problem> {
        if id.is_empty() {
            return Err(Problem::Invalid("the request has no id; add it".into()));
        }
        // What is none of ours, or gone, is deleted.
        let Some(parsed) = VolumeId::parse(kind, id) else {
            return Ok(());
        };
        if !self.discard(parsed).await? {
            return Ok(());
        }
        // What was said of its users before may be out of date: they are gone, and it is being removed.
        let fresh = Instant::now() + LOOK;
        let decided = |found: Option<&(_, Volume)>| {
            found.is_none_or(|(_, volume)| volume.in_use && Instant::now() >= fresh)
        };
        match self.until(parsed, "deletion", decided).await? {
            None => Ok(()),
            Some((_, volume)) => Err(Problem::Precondition(format!(
                "{parsed} on node {}: {}",
                volume.node, volume.message
            ))),
        }
    }

    /// Writes the wish that a volume be deleted; false if it is gone.
    pub(super) async fn discard(&self, id: VolumeId) -> Result<bool, Problem> {
        loop {
            let found = store::volume(&*self.store, &id.key()).await?;
            let Some((version, mut volume)) = found.filter(|(_, v)| v.uid == id.uid) else {
                return Ok(false);
            };
            if volume.deleting {
                return Ok(true);
            }
            volume.deleting = true;
            match self.store.update(&id.key(), version, volume.into()).await {
                Ok(_) => return Ok(true),
                // Its owner reported meanwhile: read again. Each round somebody got on.
                Err(StoreError::Conflict(_)) => {}
                Err(StoreError::NotFound(_)) => return Ok(false),
                Err(error) => return Err(error.into()),
            }
        }
    }
}
