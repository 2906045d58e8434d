//! What a deletion did, and what it left in place and why.

use crate::mounts::Mount;
use std::fmt;
use std::io;
use std::path::PathBuf;

/// Why something was left in place.
#[derive(Debug)]
pub enum Reason {
    /// Something is mounted there.
    Mounted {
        /// What is mounted: a device, a remote share, or the name of a file system without a device.
        source: String,
        /// The type of the file system.
        filesystem: String,
    },
    /// It lies on another device than the directory that was to be deleted.
    OtherDevice,
    /// A symbolic link where a directory was expected. It was not followed.
    Link {
        /// What it points to.
        target: PathBuf,
    },
    /// The kernel refused.
    Refused(io::Error),
}

/// Something that was left in place, with all directories above it.
#[derive(Debug)]
pub struct Left {
    /// Where it is.
    pub path: PathBuf,
    /// Why it was left.
    pub reason: Reason,
}

impl Left {
    pub(crate) fn mounted(path: PathBuf, mount: Option<&Mount>) -> Self {
        let reason = Reason::Mounted {
            source: mount.map_or("an unknown source".into(), |mount| mount.source.clone()),
            filesystem: mount.map_or("unknown".into(), |mount| mount.filesystem.clone()),
        };
        Self { path, reason }
    }

    pub(crate) fn refused(path: PathBuf, error: impl Into<io::Error>) -> Self {
        let reason = Reason::Refused(error.into());
        Self { path, reason }
    }
}

impl fmt::Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match &self.reason {
            Reason::Mounted { source, filesystem } => {
                write!(
                    f,
                    "{path}: {source} ({filesystem}) is mounted there; its content was not touched"
                )
            }
            Reason::OtherDevice => {
                write!(
                    f,
                    "{path}: it is on another device; its content was not touched"
                )
            }
            Reason::Link { target } => write!(
                f,
                "{path}: it is a symbolic link to {}, which was not followed",
                target.display()
            ),
            Reason::Refused(error) => write!(f, "{path}: {error}"),
        }
    }
}

/// What a deletion did.
#[derive(Debug, Default)]
pub struct Deleted {
    /// How many directory entries were removed.
    pub removed: u64,
    /// What was left in place, sorted by path.
    pub left: Vec<Left>,
}

impl Deleted {
    /// Success only if nothing was left.
    ///
    /// # Errors
    /// What was left, in one message.
    pub fn complete(self) -> io::Result<()> {
        match self.left.len() {
            0 => Ok(()),
            // The kind and the number of a single refusal are kept for callers that look at them.
            1 if matches!(self.left[0].reason, Reason::Refused(_)) => {
                let mut left = self.left;
                match left.remove(0).reason {
                    Reason::Refused(error) => Err(error),
                    _ => Ok(()),
                }
            }
            _ => {
                let all: Vec<String> = self.left.iter().map(Left::to_string).collect();
                Err(io::Error::other(all.join("; ")))
            }
        }
    }
}
