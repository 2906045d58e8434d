//! Waits for the owner of a volume, with a deadline and the last seen reason.

use super::ControllerService;
use crate::object::{Volume, VolumeId};
use crate::problem::Problem;
use crate::store;
use ingot_volume_brain::{Phase, Version};
use tokio::sync::broadcast;
use tokio::time::{Duration, Instant, timeout};

/// Looks again after this time, since a watch may leave something out.
pub(super) const LOOK: Duration = Duration::from_millis(500);

impl ControllerService {
    /// Waits until `enough` says so of the volume, or of its absence.
    pub(super) async fn until(
        &self,
        id: VolumeId,
        what: &str,
        mut enough: impl FnMut(Option<&(Version, Volume)>) -> bool,
    ) -> Result<Option<(Version, Volume)>, Problem> {
        let mut changes = self.store.watch();
        let end = Instant::now() + self.patience;
        loop {
            let found = store::volume(&*self.store, &id.key()).await?;
            let found = found.filter(|(_, volume)| volume.uid == id.uid);
            if enough(found.as_ref()) {
                return Ok(found);
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(late(id, what, found.map(|(_, volume)| volume)));
            }
            wait(&mut changes, id, left.min(LOOK)).await;
        }
    }

    /// Waits until a volume that was asked for is there, or will not be.
    pub(super) async fn until_made(&self, id: VolumeId) -> Result<Volume, Problem> {
        let decided = |found: Option<&(Version, Volume)>| {
            found.is_none_or(|(_, volume)| {
                volume.deleting || !matches!(volume.report.phase, Phase::Pending | Phase::Claimed)
            })
        };
        let found = self.until(id, "creation", decided).await?;
        let Some((_, volume)) = found.filter(|(_, volume)| !volume.deleting) else {
            return Err(Problem::Busy(format!(
                "{id} was deleted meanwhile; ask again"
            )));
        };
        match volume.report.phase {
            Phase::Ready => Ok(volume),
            Phase::Refused => {
                // The next attempt may choose another node.
                self.discard(id).await?;
                Err(Problem::NoRoom(format!(
                    "node {}: {}",
                    volume.node, volume.message
                )))
            }
            Phase::Lost => Err(Problem::Internal(format!("{id}: {}", volume.message))),
            Phase::Pending | Phase::Claimed => Err(late(id, "creation", Some(volume))),
        }
    }
}

async fn wait(changes: &mut broadcast::Receiver<crate::object::Key>, id: VolumeId, most: Duration) {
    let key = id.key();
    let ours = async {
        loop {
            match changes.recv().await {
                Ok(changed) if changed != key => {}
                // One that lags looks for itself.
                _ => return,
            }
        }
    };
    let _ = timeout(most, ours).await;
}

fn late(id: VolumeId, what: &str, volume: Option<Volume>) -> Problem {
    let text = match volume {
        Some(volume) if !volume.message.is_empty() => {
            format!(
                "{what} of {id} on node {}: {}; ask again",
                volume.node, volume.message
            )
        }
        Some(volume) => format!(
            "{what} of {id} has not ended in time; ask again, and see that the agent on node {} runs",
            volume.node
        ),
        None => format!("{what} of {id} has not ended in time; ask again"),
    };
    Problem::Late(text)
}
