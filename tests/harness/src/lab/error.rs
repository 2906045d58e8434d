//! Why a lab could not be made, found, changed or removed.

use crate::base_root::BaseRootError;
use crate::host::HostError;
use crate::internal::InternalError;
use crate::name::{Name, NameError};
use crate::network::{MAX_BRIDGES, MAX_HOSTS, NetworkError};
use crate::requirements::Missing;
use crate::ssh_keys::KeyError;
use crate::state::StateError;
use crate::teardown::TeardownError;
use thiserror::Error;

/// A lab could not be made, found, changed or removed.
#[derive(Debug, Error)]
pub enum LabError {
    /// The machine lacks something.
    #[error("this machine cannot run a lab:\n{}", lines(_0))]
    Requirements(Vec<Missing>),
    /// A name is not one.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A lab of this name exists already.
    #[error("lab {0} exists already; use it, delete it, or choose another name")]
    Exists(Name),
    /// There is no lab of this name.
    #[error("there is no lab {0}")]
    Unknown(Name),
    /// The lab has a host of this name already.
    #[error("lab {lab} has a host {host} already")]
    HostExists {
        /// Which lab.
        lab: Name,
        /// Which host.
        host: Name,
    },
    /// The lab has no host of this name.
    #[error("lab {lab} has no host {host}")]
    UnknownHost {
        /// Which lab.
        lab: Name,
        /// Which host.
        host: Name,
    },
    /// Too few or too many bridges.
    #[error("a lab has 1 to {MAX_BRIDGES} bridges, not {0}")]
    Bridges(u8),
    /// Every address is taken.
    #[error("lab {0} has {MAX_HOSTS} hosts already, which is all it has addresses for")]
    Full(Name),
    /// The hosts' root could not be installed.
    #[error("cannot prepare the root of the hosts")]
    Root(#[from] BaseRootError),
    /// The records could not be handled.
    #[error("cannot handle the files of the lab")]
    State(#[from] StateError),
    /// The network could not be made.
    #[error("cannot make the network of the lab")]
    Network(#[from] NetworkError),
    /// Keys could not be made.
    #[error("cannot make the keys of the lab")]
    Key(#[from] KeyError),
    /// The reaper could not be started.
    #[error("cannot guard the lab against a crash of this program")]
    Reaper(#[from] InternalError),
    /// A host could not be made or booted.
    #[error(transparent)]
    Host(#[from] HostError),
    /// Something stays behind.
    #[error("cannot remove all of lab {lab}; nothing else was touched, so simply try again")]
    Teardown {
        /// Which lab.
        lab: Name,
        /// What stays.
        source: TeardownError,
    },
}

fn lines(missing: &[Missing]) -> String {
    missing
        .iter()
        .map(|m| format!("  {m}"))
        .collect::<Vec<_>>()
        .join("\n")
}
