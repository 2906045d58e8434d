//! Makes logical volumes, new ones and copies, and those anew that were made by half.

use super::perform::{Failed, lvm};
use super::{Agent, Located};
use crate::object::{Origin, Volume, VolumeId, lv_name};
use ingot_lvm::{Command as Lvm, Group, Kind, Layout, Lv, NewLv, Tags};
use ingot_volume_brain::{Bytes, Failure, FilesystemTag, LvState};

impl Agent {
    pub(super) async fn create(&self, volume: &Volume) -> Result<(), Failed> {
        if let Some(group) = &volume.group {
            return self.create_together(volume, group).await;
        }
        let _gate = self.gate(&volume.vg).await;
        let group = self.inventory.recent(&volume.vg).await.map_err(lvm)?;
        self.clean_room(volume).await?;
        self.room(volume, volume.size).await?;
        let mut tags = Tags {
            uid: volume.uid,
            name: VolumeId::of(volume).name,
            kind: volume.kind,
            state: LvState::Ready,
            filesystem: FilesystemTag::Unformatted,
            copied: false,
            encrypted: volume.encrypted,
            parent: None,
        };
        let lv = volume.lv();
        let Some(origin) = &volume.origin else {
            if volume.layout.integrity() {
                tags.state = LvState::New;
            }
            let new = NewLv {
                vg: volume.vg.clone(),
                lv,
                size: volume.size,
                layout: volume.layout.clone(),
                tags: tags.clone(),
            };
            return self
                .make(volume, Lvm::Create(new), volume.size, tags, true)
                .await;
        };
        let source = lv_name(origin.kind, origin.uid);
        let (parent, size) = self.source(&group, origin)?;
        tags = copied(tags, &parent);
        if size < volume.size {
            tags.state = LvState::New;
        }
        let read_only = volume.kind == Kind::Snapshot;
        let copy = Lvm::Copy {
            vg: volume.vg.clone(),
            source,
            lv,
            read_only,
            tags: tags.clone(),
        };
        self.make(volume, copy, size, tags, !read_only).await
    }

    /// LVM makes a RAID before the checksums beside it, and a power cut may come between. Nobody has had what
    /// is new, so it is made again.
    pub(super) async fn checked(&self, id: VolumeId, volume: &Volume) -> Result<(), Failed> {
        let located = self.inventory.locate(id.uid);
        let half =
            |found: &Located| found.tags.state == LvState::New && found.lv.integrity.is_none();
        let Some(half) = located.filter(half).filter(|_| volume.layout.integrity()) else {
            return Ok(());
        };
        self.remove_new(&volume.vg, half.lv.lv).await?;
        let words = "its checksums were not made to the end; it is made again";
        Err((Failure::Conflict, words.to_owned()))
    }

    /// Makes the logical volume. What a thin one takes of its pool is known beforehand.
    async fn make(
        &self,
        volume: &Volume,
        command: Lvm,
        size: Bytes,
        tags: Tags,
        active: bool,
    ) -> Result<(), Failed> {
        let vg = &volume.vg;
        let Layout::Thin { pool } = &volume.layout else {
            let made = self.inventory.change_and_read(vg, command).await;
            return made.map_err(lvm);
        };
        let made = Lv {
            lv: volume.lv(),
            size,
            tags: Some(tags),
            unreadable: None,
            pool: Some(pool.clone()),
            thin: None,
            health: None,
            readable: true,
            integrity: None,
            active,
        };
        let effect = |group: &mut Group| {
            group.lvs.push(made);
            group.lvs.sort_by(|a, b| a.lv.cmp(&b.lv));
        };
        let made = self.inventory.change(vg, command, effect).await;
        made.map_err(lvm)
    }

    /// The tags and the size of what is to be copied.
    pub(super) fn source(&self, group: &Group, origin: &Origin) -> Result<(Tags, Bytes), Failed> {
        let ready = |tags: &Tags| tags.state == LvState::Ready;
        let found = group.lv(&lv_name(origin.kind, origin.uid));
        let found = found.and_then(|lv| Some((lv.tags.clone().filter(ready)?, lv.size)));
        let found = found.map(|(tags, size)| (self.formats.ahead(tags), size));
        found.ok_or_else(|| {
            let reason = format!(
                "its source {} is not on node {}; create it from a source that exists",
                origin.id, self.config.node
            );
            (Failure::Impossible, reason)
        })
    }
}

/// The tags of a copy: what is on it is what is on its source.
pub(super) fn copied(tags: Tags, parent: &Tags) -> Tags {
    Tags {
        filesystem: parent.filesystem,
        encrypted: parent.encrypted,
        copied: true,
        parent: Some(parent.uid),
        ..tags
    }
}
