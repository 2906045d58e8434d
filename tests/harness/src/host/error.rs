//! What can stand in the way of doing something to a host.

use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;

use crate::internal::InternalError;
use crate::name::Name;
use crate::network::NetworkError;
use crate::program::ProgramError;
use crate::ssh_keys::KeyError;
use crate::state::StateError;
use crate::teardown::TeardownError;
/// Something could not be done to a host.
#[derive(Debug, Error)]
pub enum HostError {
    /// The host has been removed with its lab.
    #[error("host {0} no longer exists; its lab was deleted")]
    Gone(Name),
    /// What was asked for needs a running host.
    #[error("host {host} is off{}; power it on first", why(failure))]
    Off {
        /// Which host.
        host: Name,
        /// Why it is off, if it did not power off by itself.
        failure: Option<String>,
    },
    /// What was asked for needs a host that is off.
    #[error("host {0} is on; power it off first")]
    On(Name),
    /// The host did not get somewhere in time.
    #[error("host {host} did not {what} within {} s; its console is in {}", waited.as_secs(), console.display())]
    Deadline {
        /// Which host.
        host: Name,
        /// What was waited for.
        what: &'static str,
        /// How long.
        waited: Duration,
        /// Where to look.
        console: PathBuf,
    },
    /// A command for [`Host::exec`](super::Host::exec) has no program.
    #[error("a command needs at least the name of a program")]
    EmptyCommand,
    /// A record or directory could not be handled.
    #[error("cannot handle the files of host {host}")]
    State {
        /// Which host.
        host: Name,
        /// What went wrong.
        source: StateError,
    },
    /// Keys could not be made.
    #[error("cannot give host {host} an SSH key")]
    Key {
        /// Which host.
        host: Name,
        /// What went wrong.
        source: KeyError,
    },
    /// A program of the machine failed.
    #[error("cannot work on host {host}")]
    Program {
        /// Which host.
        host: Name,
        /// What went wrong.
        source: ProgramError,
    },
    /// The network could not be changed or entered.
    #[error("cannot reach host {host}")]
    Network {
        /// Which host.
        host: Name,
        /// What went wrong.
        source: NetworkError,
    },
    /// The supervisor could not be started.
    #[error("cannot power on host {host}")]
    Start {
        /// Which host.
        host: Name,
        /// What went wrong.
        source: InternalError,
    },
    /// Processes of the host do not end.
    #[error("cannot power off host {host}")]
    PowerOff {
        /// Which host.
        host: Name,
        /// What went wrong.
        source: TeardownError,
    },
}

fn why(failure: &Option<String>) -> String {
    failure
        .as_ref()
        .map(|text| format!(" ({text})"))
        .unwrap_or_default()
}
