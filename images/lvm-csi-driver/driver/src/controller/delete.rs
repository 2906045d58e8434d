//! DeleteVolume and DeleteSnapshot: the wish is written, its owner does the rest.

use super::ControllerService;
use crate::object::VolumeId;
use crate::problem::Problem;
use crate::store::{self, StoreError};
use ingot_lvm::Kind;

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
        self.until(parsed, "deletion", |found| found.is_none())
            .await?;
        Ok(())
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
