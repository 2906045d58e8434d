//! Snapshots of a group are of one instant: the first of them is made with all the others, by one
//! command, while the pods that can write to their volumes stand still. Until all are there each has
//! the state *new*, and nobody was told of it; so what is left of an attempt that broke off is removed,
//! and all are taken again.

use super::Agent;
use super::create::copied;
use super::perform::{Failed, api, lvm};
use crate::node::pod;
use crate::object::{GroupSnapshot, Key, Volume, VolumeId};
use crate::store;
use ingot_lvm::{Command, Kind, LvmError, Mount, NewCopy, Tags};
use ingot_volume_brain::{
    Bytes, Failure, FilesystemTag, LvState, NameHash, Phase, Version, VgName, VolumeUid,
};
use std::collections::BTreeSet;

type Member = (Version, Volume);

fn wait(reason: &str) -> Failed {
    (Failure::Transient, reason.to_owned())
}

fn never(reason: &str) -> Failed {
    (Failure::Impossible, reason.to_owned())
}

/// The volumes that they are of, each once.
fn origins(members: &[Member]) -> BTreeSet<VolumeUid> {
    let origins = members.iter().filter_map(|(_, m)| m.origin.as_ref());
    origins.map(|origin| origin.uid).collect()
}

const WITHOUT: &str =
    "the snapshots of its group were taken without it; delete the group and take a new one";

impl Agent {
    /// The objects of a group's snapshots: those that are written, and how many there are to be.
    async fn members(&self, id: &str) -> Result<(Vec<Member>, usize), Failed> {
        let gone = || never("its group snapshot was given up; take a new one");
        let (key, uid) = GroupSnapshot::parse(id).ok_or_else(gone)?;
        let stored = self.store.get(&key).await.map_err(api)?;
        let group = stored.and_then(|stored| stored.object.group().cloned());
        let group = group.filter(|group| group.uid == uid).ok_or_else(gone)?;
        let mut members = Vec::new();
        for name in &group.snapshots {
            let key = Key::named(Kind::Snapshot, NameHash::of(name));
            let found = store::volume(&*self.store, &key).await.map_err(api)?;
            members.extend(found.filter(|(_, member)| member.group.as_deref() == Some(id)));
        }
        Ok((members, group.snapshots.len()))
    }

    /// Makes all snapshots of a group, if this is the first of them.
    pub(super) async fn create_together(&self, own: &Volume, group: &str) -> Result<(), Failed> {
        let (members, count) = self.members(group).await?;
        let first = members.first().map(|(_, first)| first);
        if members.len() < count || first.is_none_or(|first| first.uid != own.uid) {
            if first.is_some_and(|first| first.report.phase == Phase::Ready) {
                return Err(never(WITHOUT));
            }
            return Err(wait("it is taken together with the others of its group"));
        }
        // Nobody else may act on the others meanwhile, nor hand one of the volumes to a further pod. No
        // two wait for each other here: only the first of a group takes the turns of others, and those
        // of volumes, which may be in several groups, in one order.
        let mut turns = Vec::new();
        for (_, other) in &members[1..] {
            turns.push(self.actor(other.uid).lock_owned().await);
        }
        for uid in origins(&members) {
            turns.push(self.actor(uid).lock_owned().await);
        }
        let taken = self.take(own, group).await;
        // Before the others look: they are to find what was made.
        let _ = self.inventory.refresh(&own.vg).await;
        drop(turns);
        if taken.is_ok()
            && let Some(agent) = self.me.upgrade()
        {
            for (_, other) in &members[1..] {
                let id = VolumeId::of(other);
                tokio::spawn(agent.clone().reconcile_later(id, other.vg.clone()));
            }
        }
        taken
    }

    async fn take(&self, own: &Volume, group: &str) -> Result<(), Failed> {
        // Again, now that nobody acts on them.
        let (members, _) = self.members(group).await?;
        for (version, member) in &members {
            self.claim(own, *version, member).await?;
        }
        let _gate = self.gate(&own.vg).await;
        let found = self.inventory.refresh(&own.vg).await.map_err(lvm)?;
        let size = members.iter().map(|(_, member)| member.size.0).sum();
        self.room(own, Bytes(size)).await?;
        let mut copies = Vec::new();
        for (_, member) in &members {
            let lv = member.lv();
            match found
                .lv(&lv)
                .map(|lv| lv.tags.as_ref().map(|tags| tags.state))
            {
                None => {}
                // Left by an attempt that broke off.
                Some(Some(LvState::New)) => self.remove_new(&own.vg, lv.clone()).await?,
                Some(_) => return Err(never(WITHOUT)),
            }
            let Some(origin) = &member.origin else {
                return Err(never("it is no snapshot of anything"));
            };
            let (parent, _) = self.source(&found, origin)?;
            let tags = Tags {
                uid: member.uid,
                name: VolumeId::of(member).name,
                kind: member.kind,
                state: LvState::New,
                filesystem: FilesystemTag::Unformatted,
                copied: true,
                encrypted: false,
                parent: None,
            };
            copies.push(NewCopy {
                source: crate::object::lv_name(origin.kind, origin.uid),
                lv,
                tags: copied(tags, &parent),
            });
        }
        let vg = own.vg.clone();
        let pods = self.writers(&vg, &copies).await.map_err(lvm)?;
        let copy = Command::CopyTogether {
            vg: vg.clone(),
            copies,
            pods,
        };
        let copied = self.inventory.change_and_read(&vg, copy).await;
        copied.map_err(lvm)
    }

    /// The pods that can write to what is copied.
    async fn writers(&self, vg: &VgName, copies: &[NewCopy]) -> Result<BTreeSet<String>, LvmError> {
        let mounts = self.executor.mounts().await?;
        let written = |mount: &&Mount| {
            let copied = copies.iter().any(|copy| copy.source == mount.device.lv);
            mount.device.vg == *vg && copied && !mount.read_only
        };
        let pods = mounts.iter().filter(written);
        let pods = pods.filter_map(|mount| pod(&mount.target));
        Ok(pods.map(str::to_owned).collect())
    }

    /// Proof for one of the group that no later version of its object says ready.
    async fn claim(&self, own: &Volume, version: Version, member: &Volume) -> Result<(), Failed> {
        if member.deleting {
            return Err(wait("a snapshot of its group is being deleted"));
        }
        if member.node != own.node || member.vg != own.vg {
            return Err(never("the volumes of its group are not in one pool"));
        }
        match member.report.phase {
            Phase::Pending | Phase::Claimed => {}
            Phase::Ready | Phase::Lost | Phase::Refused => return Err(never(WITHOUT)),
        }
        if member.uid == own.uid {
            return Ok(());
        }
        let mut claimed = member.clone();
        claimed.report.phase = Phase::Claimed;
        let key = member.key();
        let written = self.store.update(&key, version, claimed.into()).await;
        written.map(drop).map_err(api)
    }

    /// Succeeds if all snapshots of the group are there; else what there is of this one goes.
    pub(super) async fn whole(&self, id: VolumeId, vg: &VgName, group: &str) -> Result<(), Failed> {
        let (members, count) = self.members(group).await?;
        let there = |(_, member): &Member| self.inventory.locate(member.uid).is_some();
        if members.len() == count && members.iter().all(there) {
            return Ok(());
        }
        if let Some(own) = self.inventory.locate(id.uid)
            && own.tags.state == LvState::New
        {
            self.remove_new(vg, own.lv.lv).await?;
        }
        Err((
            Failure::Conflict,
            "the others of its group are not there".into(),
        ))
    }

    pub(super) async fn remove_new(
        &self,
        vg: &VgName,
        lv: ingot_volume_brain::LvName,
    ) -> Result<(), Failed> {
        let remove = Command::Remove { vg: vg.clone(), lv };
        match self.inventory.change_and_read(vg, remove).await {
            Ok(()) | Err(LvmError::NotFound { .. }) => Ok(()),
            Err(error) => Err(lvm(error)),
        }
    }
}
