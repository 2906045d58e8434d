//! Lists in pages. A page begins after the name that the last one ended with, so that what comes and
//! goes between two pages shifts nothing.

use super::{ControllerService, create, snapshots};
use crate::object::{ObjectKind, Volume};
use crate::problem::Problem;
use crate::store;
use ingot_csi_proto::v1;
use ingot_lvm::Kind;
use ingot_volume_brain::Phase;

/// One page, and the token of the next; empty at the end.
struct Page {
    volumes: Vec<Volume>,
    next: String,
}

impl ControllerService {
    async fn page(
        &self,
        kind: ObjectKind,
        token: &str,
        most: i32,
        wanted: impl Fn(&Volume) -> bool,
    ) -> Result<Page, Problem> {
        let Ok(most) = usize::try_from(most) else {
            return Err(Problem::Invalid(format!(
                "max entries is {most}; ask for 0 (all) or more"
            )));
        };
        let plain = |c: char| c.is_ascii_hexdigit() || c == '-' || c == 'v' || c == 's';
        let ours = token.len() == 34 && token.chars().all(plain);
        if !token.is_empty() && !ours {
            return Err(Problem::Busy(format!(
                "starting token {token:?} is none of this list; begin again without one"
            )));
        }
        let there = |volume: &Volume| {
            matches!(volume.report.phase, Phase::Ready | Phase::Lost) && !volume.deleting
        };
        let mut volumes: Vec<Volume> = store::volumes(&*self.store, kind)
            .await?
            .into_iter()
            .map(|(_, volume)| volume)
            .filter(|volume| there(volume) && wanted(volume))
            .filter(|volume| token.is_empty() || volume.key().name.as_str() > token)
            .collect();
        volumes.sort_by_key(|volume| volume.key());
        let mut next = String::new();
        if most > 0 && volumes.len() > most {
            volumes.truncate(most);
            next = volumes
                .last()
                .map(|volume| volume.key().name)
                .unwrap_or_default();
        }
        Ok(Page { volumes, next })
    }

    pub(super) async fn list_volumes(
        &self,
        request: v1::ListVolumesRequest,
    ) -> Result<v1::ListVolumesResponse, Problem> {
        let page = self
            .page(
                ObjectKind::Volume,
                &request.starting_token,
                request.max_entries,
                |_| true,
            )
            .await?;
        let entry = |volume: &Volume| v1::list_volumes_response::Entry {
            volume: Some(create::shown(volume)),
            status: None,
        };
        Ok(v1::ListVolumesResponse {
            entries: page.volumes.iter().map(entry).collect(),
            next_token: page.next,
        })
    }

    pub(super) async fn list_snapshots(
        &self,
        request: v1::ListSnapshotsRequest,
    ) -> Result<v1::ListSnapshotsResponse, Problem> {
        let entry = |snapshot: &Volume| v1::list_snapshots_response::Entry {
            snapshot: Some(snapshots::shown(snapshot)),
        };
        if !request.snapshot_id.is_empty() {
            let found = self.find(Kind::Snapshot, &request.snapshot_id).await?;
            let found = found
                .map(|(_, snapshot)| snapshot)
                .filter(|snapshot| !snapshot.deleting);
            return Ok(v1::ListSnapshotsResponse {
                entries: found.iter().map(entry).collect(),
                next_token: String::new(),
            });
        }
        let of = |snapshot: &Volume| {
            let origin = snapshot.origin.as_ref().map(|origin| origin.id.as_str());
            request.source_volume_id.is_empty() || origin == Some(request.source_volume_id.as_str())
        };
        let page = self
            .page(
                ObjectKind::Snapshot,
                &request.starting_token,
                request.max_entries,
                of,
            )
            .await?;
        Ok(v1::ListSnapshotsResponse {
            entries: page.volumes.iter().map(entry).collect(),
            next_token: page.next,
        })
    }

    pub(super) async fn list_health(
        &self,
        request: v1::ControllerListVolumeHealthRequest,
    ) -> Result<v1::ControllerListVolumeHealthResponse, Problem> {
        let page = self
            .page(
                ObjectKind::Volume,
                &request.starting_token,
                request.max_entries,
                |_| true,
            )
            .await?;
        let mut entries = Vec::new();
        for volume in &page.volumes {
            entries.push(self.health(volume).await?);
        }
        Ok(v1::ControllerListVolumeHealthResponse {
            entries,
            next_token: page.next,
        })
    }
}
