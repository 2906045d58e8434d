//! CreateSnapshot, GetSnapshot and what a snapshot looks like.

use super::create::template;
use super::{ControllerService, name, number, timestamp, topology};
use crate::object::{Key, Origin, Volume, VolumeId};
use crate::problem::Problem;
use crate::store::{self, StoreError};
use ingot_csi_proto::v1;
use ingot_lvm::{Kind, Layout};
use ingot_volume_brain::{NameHash, Phase};

/// A snapshot as CSI shows it.
pub(super) fn shown(snapshot: &Volume) -> v1::Snapshot {
    let origin = snapshot.origin.as_ref();
    v1::Snapshot {
        size_bytes: number(snapshot.report.size),
        snapshot_id: snapshot.id(),
        source_volume_id: origin.map(|origin| origin.id.clone()).unwrap_or_default(),
        creation_time: Some(timestamp(snapshot.created)),
        ready_to_use: snapshot.report.phase == Phase::Ready,
        group_snapshot_id: snapshot.group.clone().unwrap_or_default(),
        accessible_topology: vec![topology(&snapshot.node)],
    }
}

impl ControllerService {
    pub(super) async fn create_snapshot(
        &self,
        request: v1::CreateSnapshotRequest,
    ) -> Result<v1::CreateSnapshotResponse, Problem> {
        name(&request.name, "snapshot")?;
        if let Some(known) = request
            .parameters
            .keys()
            .find(|key| !key.starts_with("csi.storage.k8s.io/"))
        {
            return Err(Problem::Invalid(format!(
                "parameter {known:?} is not known; snapshot classes have none"
            )));
        }
        let snapshot = self
            .snapshot_of(&request.name, &request.source_volume_id, None)
            .await?;
        Ok(v1::CreateSnapshotResponse {
            snapshot: Some(shown(&self.until_made(VolumeId::of(&snapshot)).await?)),
        })
    }

    /// Writes the object of a snapshot, or finds the one that was written.
    pub(super) async fn snapshot_of(
        &self,
        name: &str,
        source: &str,
        group: Option<&str>,
    ) -> Result<Volume, Problem> {
        let key = Key::named(Kind::Snapshot, NameHash::of(name));
        for _ in 0..2 {
            if let Some((_, found)) = store::volume(&*self.store, &key).await? {
                return same(found, name, source, group);
            }
            let (_, origin) = self.existing(Kind::Volume, source).await?;
            if !matches!(origin.layout, Layout::Thin { .. }) {
                return Err(Problem::Precondition(format!(
                    "volume {source} is {}: only thin volumes have snapshots; use a class with layout thin",
                    origin.layout
                )));
            }
            if origin.report.phase != Phase::Ready {
                return Err(Problem::Precondition(format!(
                    "volume {source} is not ready: {}",
                    origin.message
                )));
            }
            let size = origin.report.size;
            let snapshot = Volume {
                kind: Kind::Snapshot,
                csi_name: name.to_owned(),
                origin: Some(Origin {
                    kind: Kind::Volume,
                    uid: origin.uid,
                    id: origin.id(),
                }),
                encrypted: origin.encrypted,
                filesystem: origin.filesystem,
                group: group.map(str::to_owned),
                ..template(
                    &origin.node,
                    &origin.pool,
                    &origin.vg,
                    origin.layout.clone(),
                    size,
                )
            };
            match self.store.create(&key, snapshot.clone().into()).await {
                Ok(_) => return Ok(snapshot),
                Err(StoreError::Exists(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(Problem::Busy(format!(
            "snapshot {name:?} is being made and deleted; ask again"
        )))
    }

    pub(super) async fn get_snapshot(&self, id: &str) -> Result<v1::GetSnapshotResponse, Problem> {
        let (_, snapshot) = self.existing(Kind::Snapshot, id).await?;
        Ok(v1::GetSnapshotResponse {
            snapshot: Some(shown(&snapshot)),
        })
    }
}

fn same(found: Volume, name: &str, source: &str, group: Option<&str>) -> Result<Volume, Problem> {
    if found.deleting {
        return Err(Problem::Busy(format!(
            "snapshot {name:?} is being deleted; ask again"
        )));
    }
    let origin = found
        .origin
        .as_ref()
        .map(|origin| origin.id.as_str())
        .unwrap_or_default();
    if origin != source || found.group.as_deref() != group {
        return Err(Problem::Exists(format!(
            "snapshot {name:?} exists, of volume {origin}; use another name or delete it"
        )));
    }
    Ok(found)
}
