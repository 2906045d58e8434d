//! LVM, filesystems, encryption and mounts of one node behind one boundary.
//!
//! Everything that is done to the node's storage is a [`Command`]: typed, so no option string can
//! come in from outside. A [`Backend`] carries it out: [`Real`] by programs and system calls,
//! [`Sim`] in memory with the same rules, [`Recording`] around either, to see what was asked.
//! The [`Executor`] puts commands in line, one line a volume group, with deadlines.
//!
//! What this crate must never do: decide what should happen to a volume, or know of Kubernetes.

mod ask;
pub mod backend;
pub mod blocks;
pub mod command;
pub mod device;
pub mod disks;
pub mod error;
pub mod executor;
pub mod fit;
pub mod group;
mod image;
pub mod layout;
pub mod real;
pub mod recording;
pub mod sim;
pub mod tags;

pub use backend::{Backend, Reply};
pub use blocks::{BlockQuery, BlockRange, Blocks};
pub use command::{Command, FreeSpace, Key, Lane, Limits, NewCopy, NewLv, TagChange};
pub use device::{Device, Filesystem, Found, LUKS_HEADER, Mount, MountKind, Usage};
pub use error::LvmError;
pub use executor::{Deadlines, Executor};
pub use fit::{Space, ThinGuard, ThinSpace};
pub use group::{Fill, Group, Integrity, Lv, Pv, ThinUsage};
pub use layout::{Layout, LayoutError};
pub use real::{Real, RealGroup, Tool};
pub use recording::Recording;
pub use sim::{Faulty, Fuse, Passage, Sim, SimDisk, SimGroup};
pub use tags::{Kind, Tags};
