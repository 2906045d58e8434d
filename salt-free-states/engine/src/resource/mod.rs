//! The kinds of things a state can describe, one file each.
//!
//! Every kind answers four questions: what it manages, how the host differs, how to go back, and how
//! to change it. The law tested for each of them: check, change, check again finds nothing; drift of
//! any one attribute is found and named; undo restores what was there.

mod accounts;
mod archive;
mod command;
mod directory;
mod file;
mod fstab;
mod group;
mod image;
mod kernel_module;
mod mount;
mod ownership;
mod package;
pub(crate) mod removal;
pub(crate) mod service;
mod swap;
mod symlink;
mod sysctl;
mod unit;
mod user;

pub(crate) use accounts::{remove_group, remove_user, restore_group, run as run_account_tool};
pub use archive::Archive;
pub use command::GuardedCommand;
pub use directory::Directory;
pub use file::{File, write_atomically};
pub use group::Group;
pub use image::Image;
pub use kernel_module::KernelModule;
pub use mount::Mount;
pub(crate) use mount::unmount;
pub use ownership::Mode;
pub use package::Package;
pub use service::Service;
pub use swap::Swap;
pub use symlink::Symlink;
pub use sysctl::Sysctl;
pub(crate) use sysctl::path_of as sysctl_path;
pub use unit::Unit;
pub use user::User;

use crate::change::Change;
use crate::journal::Saved;
use crate::system::{CommandError, System};
use crate::undo::UndoStep;
use std::path::{Path, PathBuf};

/// How a resource compares with the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// The host is as described.
    InSync,
    /// The host differs in these attributes.
    Drifted(Vec<Change>),
    /// The description does not apply to this host, for the reason given.
    NotApplicable(String),
}

impl Status {
    fn from_changes(changes: Vec<Change>) -> Self {
        if changes.is_empty() {
            Self::InSync
        } else {
            Self::Drifted(changes)
        }
    }
}

/// A resource could not be compared or changed.
#[derive(Debug, thiserror::Error)]
pub enum ResourceError {
    /// A file operation failed.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was attempted: `read`, `write`, `create`, ...
        action: &'static str,
        /// On which path of the host.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A program refused.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// Something in a tree that was to be removed stays, and so do the directories above it.
    #[error("{}", lines(.0))]
    Left(Vec<ingot_deletion::Left>),
    /// The host has something else where the resource should be.
    #[error("{0}")]
    Conflict(String),
}

fn lines(left: &[ingot_deletion::Left]) -> String {
    let all: Vec<String> = left.iter().map(ToString::to_string).collect();
    all.join("; ")
}

pub(crate) fn io<'a>(
    action: &'static str,
    path: &'a Path,
) -> impl FnOnce(std::io::Error) -> ResourceError + 'a {
    move |source| ResourceError::Io {
        action,
        path: path.into(),
        source,
    }
}

/// What every kind of resource can do.
pub trait Kind {
    /// What it manages, unique on a host: `file /etc/hosts`.
    fn target(&self) -> String;

    /// Compares the description with the host; changes nothing.
    ///
    /// # Errors
    /// When the host cannot be read, or has something in the way that is not ours to replace.
    fn check(&self, system: &System) -> Result<Status, ResourceError>;

    /// The steps that lead back from the changed host to the present one. Content that will be
    /// overwritten is put into `saved` first.
    ///
    /// # Errors
    /// When what is there now cannot be kept.
    fn way_back(&self, system: &System, saved: &Saved) -> Result<Vec<UndoStep>, ResourceError>;

    /// Makes the host as described.
    ///
    /// # Errors
    /// When a step fails; the host may then be half changed, and a second call goes on from there.
    fn change(&self, system: &System) -> Result<(), ResourceError>;

    /// Whether it changes a part of a file that other resources change parts of as well. Of these, one at a
    /// time is changed: the way back of each leads to the file as the one before has left it.
    fn shares_a_file(&self) -> bool {
        false
    }

    /// Answers the change of a watched resource; only services do something.
    ///
    /// # Errors
    /// When the reaction fails.
    fn react(&self, _system: &System) -> Result<(), ResourceError> {
        Ok(())
    }
}

macro_rules! resources {
    ($($variant:ident($type:ty) = $name:literal),+ $(,)?) => {
        /// The names of all kinds, as used in state files.
        pub const KINDS: &[&str] = &[$($name),+];

        /// The name and the JSON schema of each kind; the reference is made of them.
        #[cfg(test)]
        pub(crate) fn schemas() -> Vec<(&'static str, schemars::Schema)> {
            vec![$(($name, schemars::schema_for!($type))),+]
        }

        /// One described resource.
        #[derive(Debug, Clone)]
        pub enum Resource {
            $(#[doc = concat!("`", $name, ":`")] $variant($type)),+
        }

        impl Resource {
            /// Reads the body of a resource of the named kind.
            ///
            /// # Errors
            /// The mistake in words: an unknown or missing field, or a value that is refused.
            pub fn parse(kind: &str, body: serde_yaml::Value) -> Result<Self, String> {
                match kind {
                    $($name => serde_yaml::from_value(body).map(Self::$variant).map_err(|e| e.to_string()),)+
                    _ => Err(format!("the kinds are: {}", KINDS.join(", "))),
                }
            }

            /// The behaviour of its kind.
            pub fn kind(&self) -> &dyn Kind {
                match self { $(Self::$variant(inner) => inner),+ }
            }

            /// The name of its kind.
            pub fn kind_name(&self) -> &'static str {
                match self { $(Self::$variant(_) => $name),+ }
            }

            /// What it manages, unique on a host.
            pub fn target(&self) -> String {
                self.kind().target()
            }
        }
    };
}

resources! {
    Archive(Archive) = "archive",
    Command(GuardedCommand) = "command",
    Directory(Directory) = "directory",
    File(File) = "file",
    Group(Group) = "group",
    Image(Image) = "image",
    KernelModule(KernelModule) = "kernel_module",
    Mount(Mount) = "mount",
    Package(Package) = "package",
    Service(Service) = "service",
    Swap(Swap) = "swap",
    Symlink(Symlink) = "symlink",
    Sysctl(Sysctl) = "sysctl",
    Unit(Unit) = "unit",
    User(User) = "user",
}

/// Reads an absolute path without `..`.
pub(crate) fn absolute<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<PathBuf, D::Error> {
    use serde::Deserialize;
    let path = PathBuf::deserialize(deserializer)?;
    if !path.is_absolute() {
        return Err(serde::de::Error::custom(format!(
            "`{}` is not an absolute path",
            path.display()
        )));
    }
    if path
        .components()
        .any(|part| matches!(part, std::path::Component::ParentDir))
    {
        return Err(serde::de::Error::custom(format!(
            "`{}` must not contain `..`",
            path.display()
        )));
    }
    Ok(path)
}
