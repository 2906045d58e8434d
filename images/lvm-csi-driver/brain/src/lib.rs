//! Decides what happens next to a volume, from what the API wants and what the disk holds.
//!
//! One [`Volume`] per volume on the node that owns it: facts go in as [`Event`]s, at most one
//! [`Command`] comes out, and nothing else is asked for until that command's result is known.
//! [`format`] decides in the same way how a filesystem is made, once.
//!
//! What this crate must never do: any I/O, read a clock, draw a random number. The model checker
//! and the agent run the same code.

pub mod bytes;
pub mod command;
pub mod disk;
pub mod event;
pub mod format;
pub mod intent;
pub mod machine;
pub mod name;

pub use bytes::{Bytes, BytesError};
pub use command::Command;
pub use disk::{FilesystemTag, LvState, OnDisk};
pub use event::{Event, Failure, Known, Use};
pub use intent::{Intent, Phase, Report, Version};
pub use machine::{State, Volume};
pub use name::{LvName, NameError, NameHash, NodeName, VgName, VolumeUid};
