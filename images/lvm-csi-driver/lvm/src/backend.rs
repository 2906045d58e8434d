//! The boundary: one method, so that recording, faults and queues see everything that is done.

use crate::blocks::Blocks;
use crate::command::Command;
use crate::device::{Found, Mount, Usage};
use crate::error::LvmError;
use crate::group::{Fill, Group};
use ingot_volume_brain::Bytes;

/// Carries out commands on the storage of one node. Blocks until done.
pub trait Backend: Send + Sync + 'static {
    /// Carries out one command. Repeating one that was done is an error that says so
    /// ([`LvmError::Exists`], [`LvmError::NotFound`]), never a second effect.
    fn run(&self, command: &Command) -> Result<Reply, LvmError>;
}

impl<B: Backend + ?Sized> Backend for std::sync::Arc<B> {
    fn run(&self, command: &Command) -> Result<Reply, LvmError> {
        (**self).run(command)
    }
}

/// What a command answers.
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    /// It was done; there is nothing to say.
    Done,
    /// The volume group as it is now.
    Group(Box<Group>),
    /// How full a thin pool is.
    Fill(Fill),
    /// Blocks of a thin volume.
    Blocks(Blocks),
    /// What is at the beginning of a device.
    Found(Found),
    /// Everything that is mounted from our devices.
    Mounts(Vec<Mount>),
    /// Fill of a filesystem.
    Usage(Usage),
    /// Size of a device.
    Size(Bytes),
}

impl Reply {
    /// Names the kind of answer, for the message when it is the wrong one.
    fn kind(&self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Group(_) => "a volume group",
            Self::Fill(_) => "a fill",
            Self::Blocks(_) => "blocks",
            Self::Found(_) => "a signature",
            Self::Mounts(_) => "mounts",
            Self::Usage(_) => "usage",
            Self::Size(_) => "a size",
        }
    }

    pub(crate) fn unexpected<T>(&self, wanted: &'static str) -> Result<T, LvmError> {
        Err(LvmError::Invalid {
            what: format!(
                "answer of the back end: {} instead of {wanted}",
                self.kind()
            ),
            remedy: "this is a mistake in the driver, please report it".into(),
        })
    }
}
