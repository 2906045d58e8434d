//! What can stand in the way of making a guest or of doing something to one.

use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use thiserror::Error;

use super::monitor::MonitorError;
use crate::base_root::BaseRootError;
use crate::internal::InternalError;
use crate::name::{Name, NameError};
use crate::network::NetworkError;
use crate::program::ProgramError;
use crate::requirements::Missing;
use crate::ssh_keys::KeyError;
use crate::state::StateError;
use crate::teardown::TeardownError;

/// The guests' kernel, initrd and root disk could not be built.
#[derive(Debug, Error)]
pub enum ImageError {
    /// A file of the cache could not be handled.
    #[error("cannot prepare the guests' root disk in the cache")]
    Cache(#[from] StateError),
    /// The tree could not be finished.
    #[error("cannot finish the tree of the guests' root disk")]
    Tree(#[from] BaseRootError),
    /// mmdebstrap failed.
    #[error("cannot install the guests' root; check that `apt-get update` works on this machine")]
    Install(#[source] ProgramError),
    /// mke2fs failed.
    #[error("cannot make the guests' root disk; is the cache's disk full?")]
    Format(#[source] ProgramError),
    /// The kernel package brought no kernel.
    #[error("there is no {prefix}* in {}; the Debian kernel package has changed its layout", dir.display())]
    NoKernel {
        /// Where it was looked for.
        dir: PathBuf,
        /// How its name begins.
        prefix: String,
    },
}

/// A guest could not be made, or something could not be done to it.
#[derive(Debug, Error)]
pub enum GuestError {
    /// The machine lacks something.
    #[error("this machine cannot run guests:\n{}", lines(_0))]
    Requirements(Vec<Missing>),
    /// A name is not one.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A guest of this name exists already.
    #[error(
        "guest {0} exists already; choose another name, or remove what a crash left with \
             `cargo run --release -p ingot-harness --bin guest -- clean`"
    )]
    Exists(Name),
    /// The specification contradicts itself.
    #[error("guest {guest} cannot have {what}")]
    Spec {
        /// Which guest.
        guest: Name,
        /// What is wrong, and what would be right.
        what: String,
    },
    /// The image could not be built.
    #[error("cannot prepare the root disk of the guests")]
    Image(#[from] ImageError),
    /// The lab of the guest cannot take it.
    #[error("cannot put guest {guest} into its lab")]
    Lab {
        /// Which guest.
        guest: Name,
        /// What went wrong.
        source: Box<crate::lab::LabError>,
    },
    /// A file of the guest could not be handled.
    #[error("cannot handle the files of guest {guest}")]
    State {
        /// Which guest.
        guest: Name,
        /// What went wrong.
        source: StateError,
    },
    /// Keys could not be made.
    #[error("cannot give guest {guest} an SSH key")]
    Key {
        /// Which guest.
        guest: Name,
        /// What went wrong.
        source: KeyError,
    },
    /// A program of the machine failed.
    #[error("cannot work on guest {guest}")]
    Program {
        /// Which guest.
        guest: Name,
        /// What went wrong.
        source: ProgramError,
    },
    /// The reaper could not be started.
    #[error("cannot guard guest {guest} against a crash of this program")]
    Reaper {
        /// Which guest.
        guest: Name,
        /// What went wrong.
        source: InternalError,
    },
    /// The network could not be entered or changed.
    #[error("cannot connect guest {guest} to its network")]
    Network {
        /// Which guest.
        guest: Name,
        /// What went wrong.
        source: NetworkError,
    },
    /// QEMU ended where it should run.
    #[error("QEMU did not start guest {guest} ({status}): {stderr}")]
    Qemu {
        /// Which guest.
        guest: Name,
        /// How it ended.
        status: ExitStatus,
        /// What it said.
        stderr: String,
    },
    /// QEMU did not do what it was told.
    #[error("cannot control guest {guest}")]
    Monitor {
        /// Which guest.
        guest: Name,
        /// What went wrong.
        source: MonitorError,
    },
    /// What was asked for needs a running guest.
    #[error("guest {guest} is off; power it on first (its console is in {})", console.display())]
    Off {
        /// Which guest.
        guest: Name,
        /// Where to look.
        console: PathBuf,
    },
    /// The guest did not get somewhere in time.
    #[error("guest {guest} did not {what} within {} s; its console is in {}, and ends with:\n{tail}",
            waited.as_secs(), console.display())]
    Deadline {
        /// Which guest.
        guest: Name,
        /// What was waited for.
        what: &'static str,
        /// How long.
        waited: Duration,
        /// The whole console, as long as the guest exists.
        console: PathBuf,
        /// The end of it.
        tail: String,
    },
    /// The guest has no disk of this serial number, or it is in another state.
    #[error("guest {guest} has no {state} disk {serial}; it has {have}")]
    Disk {
        /// Which guest.
        guest: Name,
        /// Which disk.
        serial: String,
        /// In which state it would have to be.
        state: &'static str,
        /// What disks there are.
        have: String,
    },
    /// The connection to the guest broke: it lost its power or its network, or sshd ended.
    #[error("lost guest {guest} while it ran `{command}`: {stderr}")]
    Lost {
        /// Which guest.
        guest: Name,
        /// What was running.
        command: String,
        /// What ssh said.
        stderr: String,
    },
    /// A command failed that was expected to succeed.
    #[error("`{command}` failed on guest {guest} ({status}): {stderr}")]
    Command {
        /// Which guest.
        guest: Name,
        /// What was running.
        command: String,
        /// How it ended.
        status: ExitStatus,
        /// The end of what it wrote to standard error.
        stderr: String,
    },
    /// Something of the guest stays behind.
    #[error("cannot remove all of guest {guest}; try again")]
    Teardown {
        /// Which guest.
        guest: Name,
        /// What stays.
        source: TeardownError,
    },
}

impl GuestError {
    pub(super) fn state(guest: &Name, source: StateError) -> GuestError {
        let guest = guest.clone();
        GuestError::State { guest, source }
    }

    pub(super) fn key(guest: &Name, source: KeyError) -> GuestError {
        let guest = guest.clone();
        GuestError::Key { guest, source }
    }

    pub(super) fn program(guest: &Name, source: ProgramError) -> GuestError {
        let guest = guest.clone();
        GuestError::Program { guest, source }
    }

    pub(super) fn network(guest: &Name, source: NetworkError) -> GuestError {
        let guest = guest.clone();
        GuestError::Network { guest, source }
    }

    pub(super) fn monitor(guest: &Name, source: MonitorError) -> GuestError {
        let guest = guest.clone();
        GuestError::Monitor { guest, source }
    }
}

fn lines(missing: &[Missing]) -> String {
    let lines: Vec<String> = missing.iter().map(|m| format!("  {m}")).collect();
    lines.join("\n")
}
