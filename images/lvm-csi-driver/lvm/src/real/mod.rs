//! The node's own LVM, filesystems, encryption and mounts.
//!
//! The only place that starts their programs. Every LVM command names the devices of its group, so
//! that no disk of somebody else is ever scanned. When the agent dies, its programs end, and the next
//! agent waits for the last of them: it never begins beside the commands of its predecessor.

mod argv;
mod blocks;
mod cgroup;
mod checked;
mod ends;
mod fill;
mod folder;
mod hold;
mod lvm;
mod members;
mod mountinfo;
mod mounts;
mod probe;
mod program;
mod report;
mod selection;
mod still;
mod together;
mod tool;
mod view;

pub use argv::arguments;
pub use still::let_go_on;
pub use tool::Tool;

use crate::backend::{Backend, Reply};
use crate::command::Command;
use crate::device::{Device, Filesystem, LUKS_HEADER};
use crate::disks;
use crate::error::LvmError;
use hold::Hold;
use ingot_volume_brain::{Bytes, VgName};
use program::Program;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use still::Guardian;

/// A volume group and the devices that may be looked at for it.
#[derive(Debug, Clone)]
pub struct RealGroup {
    /// The group.
    pub vg: VgName,
    /// Its devices, by names that survive a reboot.
    pub devices: Vec<String>,
}

/// The back end of a real node; needs root.
#[derive(Debug, Clone)]
pub struct Real {
    groups: BTreeMap<VgName, Owned>,
    /// Further disks of the groups, by serial number: looked up each time, as they may be replugged.
    serials: BTreeMap<VgName, Vec<String>>,
    /// Disks that may be emptied.
    wipe: BTreeSet<String>,
    guardian: Guardian,
}

/// A group that this back end works on.
#[derive(Debug, Clone)]
struct Owned {
    devices: Vec<String>,
    /// Disks that the group has and that are not configured any more.
    strays: Arc<Mutex<BTreeSet<String>>>,
    hold: Arc<Hold>,
}

impl Owned {
    fn strays(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.strays.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Real {
    /// Works on those groups and no others.
    pub fn new(groups: impl IntoIterator<Item = RealGroup>) -> Self {
        let groups = groups.into_iter().map(|RealGroup { vg, devices }| {
            let hold = Arc::new(Hold::on(&vg));
            let strays = Arc::default();
            (
                vg,
                Owned {
                    devices,
                    strays,
                    hold,
                },
            )
        });
        Self {
            groups: groups.collect(),
            serials: BTreeMap::new(),
            wipe: BTreeSet::new(),
            guardian: Guardian::default(),
        }
    }

    /// Has another program let pods go on that are held still: its first words, which the longest time
    /// in seconds and their control groups follow. Else it is this program, told `guardian`.
    pub fn with_guardian(mut self, words: impl IntoIterator<Item = String>) -> Self {
        self.guardian = Guardian(words.into_iter().collect());
        self
    }

    /// Has further disks in a group, by their serial numbers.
    pub fn with_serials(mut self, vg: &VgName, serials: &[String]) -> Self {
        self.serials.insert(vg.clone(), serials.to_vec());
        self
    }

    /// May empty the disks with those serial numbers when a group is made of them.
    pub fn with_wipe(mut self, serials: impl IntoIterator<Item = String>) -> Self {
        self.wipe.extend(serials);
        self
    }

    fn group(&self, vg: &VgName) -> Result<&Owned, LvmError> {
        self.groups.get(vg).ok_or_else(|| LvmError::Invalid {
            what: format!("volume group {vg} is not configured on this node"),
            remedy: "add it to the node's pools".into(),
        })
    }

    /// The configured devices of a group.
    fn devices(&self, vg: &VgName) -> Result<Vec<String>, LvmError> {
        let mut devices = self.group(vg)?.devices.clone();
        let serials = self.serials.get(vg).map(Vec::as_slice).unwrap_or_default();
        if !serials.is_empty() {
            let found = disks::scan(Path::new("/"));
            let path = |serial: &String| selection::path(&found, serial);
            devices.extend(serials.iter().filter_map(path));
        }
        Ok(devices)
    }

    fn size(device: &Device) -> Result<Bytes, LvmError> {
        Self::size_of(&device.path())
    }

    fn size_of(path: &Path) -> Result<Bytes, LvmError> {
        let missing = |_| LvmError::NotFound {
            what: format!("device {}", path.display()),
        };
        let node = std::fs::canonicalize(path).map_err(missing)?;
        let name = node.file_name().unwrap_or_default();
        let file = Path::new("/sys/class/block").join(name).join("size");
        let text = std::fs::read_to_string(&file).map_err(missing)?;
        let sectors: u64 = text.trim().parse().map_err(|_| LvmError::Failed {
            command: format!("read {}", file.display()),
            reason: format!("{text:?} is not a number"),
        })?;
        Ok(Bytes(sectors * 512))
    }
}

impl Backend for Real {
    fn run(&self, command: &Command) -> Result<Reply, LvmError> {
        match command {
            Command::Scan(vg) => self.scan(vg).map(|group| Reply::Group(Box::new(group))),
            Command::ThinFill { vg, pool } => self.thin_fill(vg, pool).map(Reply::Fill),
            Command::ThinBlocks(query) => self.thin_blocks(query).map(Reply::Blocks),
            Command::ReleaseMetadata { vg, pool } => blocks::release(vg, pool),
            Command::CreateGroup { vg, tag } => self.create_group(vg, tag),
            Command::ExtendGroup { vg, disk } => self.extend_group(vg, disk),
            Command::CreatePool { vg, .. }
            | Command::RestoreDisk { vg, .. }
            | Command::Reserve { vg, .. }
            | Command::Shrink { vg, .. }
            | Command::MarkDisk { vg, .. }
            | Command::Copy { vg, .. }
            | Command::Extend { vg, .. }
            | Command::ExtendMetadata { vg, .. }
            | Command::Remove { vg, .. }
            | Command::Activate { vg, .. }
            | Command::Refresh { vg, .. }
            | Command::Deactivate { vg, .. } => self.lvm(vg, command),
            Command::CopyTogether { vg, copies, pods } => self.copy_together(vg, copies, pods),
            Command::Resume(vg) => self.resume(vg),
            Command::Create(new) if new.layout.integrity() => self.create_checked(new),
            Command::Create(new) => self.lvm(&new.vg, command),
            Command::Tag(change) => self.lvm(&change.vg, command),
            Command::Probe(device) => Self::probe(device).map(Reply::Found),
            Command::DeviceSize(device) => Self::size(device).map(Reply::Size),
            // The kernel writes zeros where the disk cannot do so by itself. Without --force: a device
            // that somebody has open is refused.
            Command::Erase {
                device,
                from,
                length,
            } => Program::new(Tool::Blkdiscard)
                .arg("--zeroout")
                .args(["--offset", &from.0.to_string()])
                .args(["--length", &length.0.to_string()])
                .arg(device.path())
                .run(),
            Command::MakeFilesystem { device, filesystem } => {
                // Without a discard of the whole device: a thin volume has nothing to give back yet, and
                // some disks need minutes for it.
                let program = match filesystem {
                    Filesystem::Ext4 => Program::new(Tool::MakeExt4).args([
                        "-F",
                        "-q",
                        "-m",
                        "0",
                        "-E",
                        "nodiscard",
                    ]),
                    Filesystem::Xfs => Program::new(Tool::MakeXfs).args(["-f", "-q", "-K"]),
                };
                let share = self.group(&device.vg)?.hold.share()?;
                program.sharing(share).arg(device.path()).run()
            }
            Command::GrowFilesystem {
                device,
                target,
                filesystem,
            } => {
                let program = match filesystem {
                    Filesystem::Ext4 => Program::new(Tool::Resize2fs).arg(device.path()),
                    Filesystem::Xfs => Program::new(Tool::XfsGrowfs).arg(target),
                };
                let share = self.group(&device.vg)?.hold.share()?;
                program.sharing(share).run()
            }
            Command::Mounts => mountinfo::mounts().map(Reply::Mounts),
            Command::Mount { .. } => mounts::mount(command),
            Command::Bind {
                device,
                source,
                target,
                kind,
                read_only,
            } => mounts::bind(device, source, target, *kind, *read_only),
            Command::ShowReadOnly { device } => view::show(device),
            Command::Withdraw { device } => view::withdraw(device),
            Command::Unmount { target } => mounts::unmount(target),
            Command::Usage { target } => mounts::usage(target),
            Command::Encrypt { device, key } => Program::new(Tool::Cryptsetup)
                .args(["luksFormat", "--type", "luks2", "--batch-mode"])
                // The default takes up to a GiB of memory a volume.
                .args(["--pbkdf", "argon2id", "--pbkdf-memory", "65536"])
                // The default too; who tells of changed blocks counts on it.
                .args(["--offset", &(LUKS_HEADER.0 / 512).to_string()])
                .args(["--key-file", "-"])
                .arg(device.path())
                .input(key.expose())
                .run(),
            Command::Open { device, key } => mounts::open(device, key),
            Command::Close { device } => mounts::close(device),
            Command::ResizeOpen { device, key } => Program::new(Tool::Cryptsetup)
                .args(["resize", "--key-file", "-"])
                .arg(device.mapping())
                .input(key.expose())
                .run(),
            Command::Limit {
                device,
                pod,
                limits,
            } => cgroup::limit(device, pod, *limits),
        }
    }
}
