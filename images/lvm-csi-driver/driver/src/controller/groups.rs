//! Group snapshots: several volumes of one node in one request, all or none.

use super::snapshots::shown;
use super::{ControllerService, name, new_uid, now, timestamp};
use crate::object::{GroupSnapshot, Key, Object, Volume, VolumeId};
use crate::problem::Problem;
use crate::store::{self, StoreError};
use ingot_csi_proto::v1;
use ingot_lvm::Kind;
use ingot_volume_brain::{NameHash, Phase, Version};
use std::collections::BTreeSet;

/// What sidecars add for their own use.
const SIDECARS: &str = "csi.storage.k8s.io/";

impl ControllerService {
    pub(super) async fn create_group(
        &self,
        request: v1::CreateVolumeGroupSnapshotRequest,
    ) -> Result<v1::CreateVolumeGroupSnapshotResponse, Problem> {
        name(&request.name, "group snapshot")?;
        let known = |name: &&String| name.starts_with(SIDECARS);
        if let Some(other) = request.parameters.keys().find(|name| !known(name)) {
            return Err(Problem::Invalid(format!(
                "parameter {other:?} is not known; group snapshot classes have none"
            )));
        }
        let mut volumes = request.source_volume_ids.clone();
        volumes.sort();
        volumes.dedup();
        if volumes.is_empty() {
            return Err(Problem::Invalid(
                "the request has no source volumes; name them".into(),
            ));
        }
        let group = self.group_object(&request.name, volumes).await?;
        let id = group.id();
        let mut written = Vec::new();
        // The first comes last: it is the one with which all are taken.
        for (volume, name) in group.volumes.iter().zip(&group.snapshots).rev() {
            match self.snapshot_of(name, volume, Some(&id)).await {
                Ok(snapshot) => written.push(snapshot),
                Err(problem) => return Err(self.give_up(&group, problem).await),
            }
        }
        let mut made = Vec::new();
        for snapshot in written.into_iter().rev() {
            match self.until_made(VolumeId::of(&snapshot)).await {
                Ok(snapshot) => made.push(snapshot),
                Err(problem @ Problem::NoRoom(_)) => {
                    return Err(self.give_up(&group, problem).await);
                }
                // Whoever asks again finds what was made so far.
                Err(problem) => return Err(problem),
            }
        }
        Ok(v1::CreateVolumeGroupSnapshotResponse {
            group_snapshot: Some(answer(&group, &made)),
        })
    }

    /// All or none: what was made goes again.
    async fn give_up(&self, group: &GroupSnapshot, problem: Problem) -> Problem {
        match self.delete_group(&group.id(), &[]).await {
            Ok(()) => problem,
            Err(further) => Problem::Busy(format!("{problem}; then: {further}")),
        }
    }

    async fn group_object(
        &self,
        name: &str,
        volumes: Vec<String>,
    ) -> Result<GroupSnapshot, Problem> {
        let key = Key::group(NameHash::of(name));
        for _ in 0..2 {
            if let Some((_, found)) = self.group(&key).await? {
                if found.volumes == volumes {
                    return Ok(found);
                }
                return Err(Problem::Exists(format!(
                    "group snapshot {name:?} exists, of other volumes; use another name or delete it"
                )));
            }
            let mut pools = BTreeSet::new();
            for volume in &volumes {
                let (_, found) = self.existing(Kind::Volume, volume).await?;
                pools.insert(format!("{} of node {}", found.pool, found.node));
            }
            let pools: Vec<_> = pools.into_iter().collect();
            if let [one, other, ..] = pools.as_slice() {
                return Err(Problem::Precondition(format!(
                    "the volumes are in pools {one} and {other}; a group snapshot is of volumes of one pool, since they are taken in one go"
                )));
            }
            let snapshots = volumes
                .iter()
                .map(|volume| format!("{name}/{}", NameHash::of(volume)));
            let group = GroupSnapshot {
                uid: new_uid(),
                csi_name: name.to_owned(),
                snapshots: snapshots.collect(),
                volumes: volumes.clone(),
                created: now(),
            };
            match self.store.create(&key, Object::Group(group.clone())).await {
                Ok(_) => return Ok(group),
                Err(StoreError::Exists(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(Problem::Busy(format!(
            "group snapshot {name:?} is being made and deleted; ask again"
        )))
    }

    async fn group(&self, key: &Key) -> Result<Option<(Version, GroupSnapshot)>, Problem> {
        let stored = self.store.get(key).await?;
        Ok(stored.and_then(|stored| match stored.object {
            Object::Group(group) => Some((stored.version, group)),
            _ => None,
        }))
    }

    async fn find_group(&self, id: &str) -> Result<Option<(Version, GroupSnapshot)>, Problem> {
        if id.is_empty() {
            return Err(Problem::Invalid(
                "the request has no group snapshot id; add it".into(),
            ));
        }
        let Some((key, uid)) = GroupSnapshot::parse(id) else {
            return Ok(None);
        };
        Ok(self
            .group(&key)
            .await?
            .filter(|(_, group)| group.uid == uid))
    }

    async fn members(&self, group: &GroupSnapshot) -> Result<Vec<Volume>, Problem> {
        let id = group.id();
        let mut members = Vec::new();
        for name in &group.snapshots {
            let key = Key::named(Kind::Snapshot, NameHash::of(name));
            if let Some((_, snapshot)) = store::volume(&*self.store, &key).await?
                && snapshot.group.as_deref() == Some(&id)
            {
                members.push(snapshot);
            }
        }
        Ok(members)
    }

    pub(super) async fn get_group(
        &self,
        request: v1::GetVolumeGroupSnapshotRequest,
    ) -> Result<v1::GetVolumeGroupSnapshotResponse, Problem> {
        let id = &request.group_snapshot_id;
        let Some((_, group)) = self.find_group(id).await? else {
            return Err(Problem::NotFound(format!(
                "group snapshot {id} does not exist"
            )));
        };
        let members = self.members(&group).await?;
        let ids: Vec<String> = members.iter().map(Volume::id).collect();
        if let Some(other) = request
            .snapshot_ids
            .iter()
            .find(|asked| !ids.contains(asked))
        {
            return Err(Problem::Invalid(format!(
                "snapshot {other} is not in group snapshot {id}; leave it out"
            )));
        }
        Ok(v1::GetVolumeGroupSnapshotResponse {
            group_snapshot: Some(answer(&group, &members)),
        })
    }

    /// Deletes a group and its snapshots; `named` are those that the caller knows of.
    pub(super) async fn delete_group(&self, id: &str, named: &[String]) -> Result<(), Problem> {
        let Some((version, group)) = self.find_group(id).await? else {
            // A group whose object is gone may have snapshots still.
            for snapshot in named {
                let found = self.find(Kind::Snapshot, snapshot).await?;
                if found.is_some_and(|(_, found)| found.group.as_deref() == Some(id)) {
                    self.delete(Kind::Snapshot, snapshot).await?;
                }
            }
            return Ok(());
        };
        let members = self.members(&group).await?;
        self.same_members(&group, &members, named).await?;
        for snapshot in members {
            self.delete(Kind::Snapshot, &snapshot.id()).await?;
        }
        let key = Key::group(NameHash::of(&group.csi_name));
        match self.store.delete(&key, version).await {
            Ok(()) | Err(StoreError::NotFound(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether a caller who names snapshots means those of the group. One that is gone may be named: the
    /// request may be the second of its kind.
    async fn same_members(
        &self,
        group: &GroupSnapshot,
        members: &[Volume],
        named: &[String],
    ) -> Result<(), Problem> {
        let id = group.id();
        for other in named {
            if members.iter().any(|member| member.id() == *other) {
                continue;
            }
            if self.find(Kind::Snapshot, other).await?.is_some() {
                return Err(Problem::Invalid(format!(
                    "snapshot {other} is not in group snapshot {id}; leave it out"
                )));
            }
        }
        let stays = members.iter().filter(|member| !member.deleting);
        let mut forgotten = stays
            .map(Volume::id)
            .filter(|member| !named.contains(member));
        match forgotten.next() {
            Some(member) if !named.is_empty() => Err(Problem::Invalid(format!(
                "snapshot {member} is in group snapshot {id} and is not named; name it, too"
            ))),
            _ => Ok(()),
        }
    }

    /// Deletes one snapshot, and its group with the last of them: nobody may ask for that any more.
    pub(super) async fn delete_snapshot_of(&self, id: &str) -> Result<(), Problem> {
        let found = self.find(Kind::Snapshot, id).await?;
        let group = found.and_then(|(_, snapshot)| snapshot.group);
        if let (Some(group), Some(parsed)) = (&group, VolumeId::parse(Kind::Snapshot, id)) {
            // Before, so that a crash after it leaves no group that is empty for ever; and after, as
            // the last two may be deleted at once.
            self.clear_group(group, id).await?;
            self.discard(parsed).await?;
            self.clear_group(group, id).await?;
        }
        self.delete(Kind::Snapshot, id).await
    }

    /// Deletes the object of a group when all of its snapshots but `leaving` are on their way out.
    async fn clear_group(&self, id: &str, leaving: &str) -> Result<(), Problem> {
        let Some((version, group)) = self.find_group(id).await? else {
            return Ok(());
        };
        let members = self.members(&group).await?;
        let stays = |member: &Volume| !member.deleting && member.id() != leaving;
        if members.iter().any(stays) {
            return Ok(());
        }
        let key = Key::group(NameHash::of(&group.csi_name));
        match self.store.delete(&key, version).await {
            Ok(()) | Err(StoreError::NotFound(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

fn answer(group: &GroupSnapshot, members: &[Volume]) -> v1::VolumeGroupSnapshot {
    let ready = |snapshot: &Volume| snapshot.report.phase == Phase::Ready;
    v1::VolumeGroupSnapshot {
        group_snapshot_id: group.id(),
        snapshots: members.iter().map(shown).collect(),
        creation_time: Some(timestamp(group.created)),
        ready_to_use: members.len() == group.volumes.len() && members.iter().all(ready),
    }
}
