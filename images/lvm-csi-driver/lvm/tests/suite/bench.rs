//! What the cases work with: a back end, a place, and short words for what they do often.

use ingot_lvm::{
    Backend, Command, Device, Filesystem, Found, Group, Kind, Layout, LvmError, Mount, NewLv,
    Reply, Tags,
};
use ingot_volume_brain::{Bytes, FilesystemTag, LvName, LvState, NameHash, VgName, VolumeUid};
use std::path::{Path, PathBuf};

/// A back end, and where it works.
pub struct Bench<'a> {
    pub backend: &'a dyn Backend,
    pub vg: VgName,
    pub folder: PathBuf,
    /// Whether its devices can be opened.
    pub physical: bool,
}

impl<'a> Bench<'a> {
    pub fn new(backend: &'a dyn Backend, vg: VgName, folder: &Path, physical: bool) -> Self {
        Self {
            backend,
            physical,
            vg,
            folder: folder.to_owned(),
        }
    }

    pub fn run(&self, command: Command) -> Result<Reply, LvmError> {
        self.backend.run(&command)
    }

    pub fn done(&self, command: Command) {
        let name = command.name();
        match self.run(command) {
            Ok(Reply::Done) => {}
            other => panic!("{name}: {other:?}"),
        }
    }

    pub fn group(&self) -> Group {
        match self.run(Command::Scan(self.vg.clone())) {
            Ok(Reply::Group(group)) => *group,
            other => panic!("scan: {other:?}"),
        }
    }

    pub fn probe(&self, device: &Device) -> Found {
        match self.run(Command::Probe(device.clone())) {
            Ok(Reply::Found(found)) => found,
            other => panic!("probe: {other:?}"),
        }
    }

    pub fn mounts(&self) -> Vec<Mount> {
        match self.run(Command::Mounts) {
            Ok(Reply::Mounts(mut mounts)) => {
                mounts.retain(|mount| mount.device.vg == self.vg);
                mounts
            }
            other => panic!("mounts: {other:?}"),
        }
    }

    pub fn size(&self, target: &Path) -> Bytes {
        let target = target.to_owned();
        match self.run(Command::Usage { target }) {
            Ok(Reply::Usage(usage)) => usage.total,
            other => panic!("usage: {other:?}"),
        }
    }

    pub fn device(&self, uid: u128) -> Device {
        Device::lv(&self.vg, &LvName::volume(VolumeUid(uid)))
    }

    pub fn new_lv(&self, uid: u128, size: Bytes, layout: Layout) -> Command {
        Command::Create(NewLv {
            vg: self.vg.clone(),
            lv: LvName::volume(VolumeUid(uid)),
            size,
            layout,
            tags: tags(uid, Kind::Volume),
        })
    }

    pub fn mount(&self, device: &Device, place: &str, copied: bool, read_only: bool) -> Command {
        Command::Mount {
            device: device.clone(),
            target: self.folder.join(place),
            filesystem: Filesystem::Ext4,
            copied,
            read_only,
            options: vec!["noatime".into()],
        }
    }

    pub fn unmount(&self, place: &str) {
        let target = self.folder.join(place);
        self.done(Command::Unmount {
            target: target.clone(),
        });
        assert!(!target.exists(), "{} is left", target.display());
    }

    pub fn remove(&self, lv: LvName) -> Command {
        Command::Remove {
            vg: self.vg.clone(),
            lv,
        }
    }
}

pub fn pool() -> LvName {
    LvName::new("pool").expect("a name")
}

pub fn thin() -> Layout {
    Layout::Thin { pool: pool() }
}

pub fn tags(uid: u128, kind: Kind) -> Tags {
    Tags {
        uid: VolumeUid(uid),
        name: NameHash(uid),
        kind,
        state: LvState::New,
        filesystem: FilesystemTag::Unformatted,
        copied: false,
        encrypted: false,
        parent: None,
    }
}

pub const SMALL: Bytes = Bytes::mib(64);
