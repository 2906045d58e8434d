//! Commands that answer with something, with the type of their answer.

use crate::backend::Reply;
use crate::blocks::{BlockQuery, Blocks};
use crate::command::Command;
use crate::device::{Device, Found, Mount, Usage};
use crate::error::LvmError;
use crate::executor::Executor;
use crate::group::{Fill, Group};
use ingot_volume_brain::{Bytes, LvName, VgName};
use std::path::Path;

impl Executor {
    /// Carries out a change.
    pub async fn change(&self, command: Command) -> Result<(), LvmError> {
        match self.run(command).await? {
            Reply::Done => Ok(()),
            other => other.unexpected("done"),
        }
    }

    /// Reports a volume group.
    pub async fn scan(&self, vg: &VgName) -> Result<Group, LvmError> {
        match self.run(Command::Scan(vg.clone())).await? {
            Reply::Group(group) => Ok(*group),
            other => other.unexpected("a volume group"),
        }
    }

    /// How full a thin pool is.
    pub async fn thin_fill(&self, vg: &VgName, pool: &LvName) -> Result<Fill, LvmError> {
        let (vg, pool) = (vg.clone(), pool.clone());
        match self.run(Command::ThinFill { vg, pool }).await? {
            Reply::Fill(fill) => Ok(fill),
            other => other.unexpected("a fill"),
        }
    }

    /// Blocks of a thin volume.
    pub async fn thin_blocks(&self, query: BlockQuery) -> Result<Blocks, LvmError> {
        match self.run(Command::ThinBlocks(query)).await? {
            Reply::Blocks(blocks) => Ok(blocks),
            other => other.unexpected("blocks"),
        }
    }

    /// Looks at the beginning of a device.
    pub async fn probe(&self, device: &Device) -> Result<Found, LvmError> {
        match self.run(Command::Probe(device.clone())).await? {
            Reply::Found(found) => Ok(found),
            other => other.unexpected("a signature"),
        }
    }

    /// Lists what is mounted from devices of ours.
    pub async fn mounts(&self) -> Result<Vec<Mount>, LvmError> {
        match self.run(Command::Mounts).await? {
            Reply::Mounts(mounts) => Ok(mounts),
            other => other.unexpected("mounts"),
        }
    }

    /// Fill of a mounted filesystem.
    pub async fn usage(&self, target: &Path) -> Result<Usage, LvmError> {
        let target = target.to_owned();
        match self.run(Command::Usage { target }).await? {
            Reply::Usage(usage) => Ok(usage),
            other => other.unexpected("usage"),
        }
    }

    /// Size of a device.
    pub async fn device_size(&self, device: &Device) -> Result<Bytes, LvmError> {
        match self.run(Command::DeviceSize(device.clone())).await? {
            Reply::Size(size) => Ok(size),
            other => other.unexpected("a size"),
        }
    }
}
