//! Why a component was not built.

use crate::cache::CacheError;
use crate::layer::LayerError;
use crate::lock::LockError;
use crate::process::ProcessError;
use crate::programs::ProgramsError;
use crate::source::cargo::CargoError;
use crate::source::deb::DebError;
use crate::source::oci::OciError;
use crate::train::TrainError;
use thiserror::Error;

/// Why a component was not built.
#[derive(Debug, Error)]
pub enum ComponentError {
    /// Compiling Go programs.
    #[error(transparent)]
    Programs(#[from] ProgramsError),
    /// Looking into a program.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// A train.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// Debian packages.
    #[error(transparent)]
    Deb(#[from] DebError),
    /// The lock file.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// A crate of ours.
    #[error(transparent)]
    Cargo(#[from] CargoError),
    /// An image of a vendor.
    #[error(transparent)]
    Oci(#[from] OciError),
    /// A layer.
    #[error(transparent)]
    Layer(#[from] LayerError),
    /// The cache.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// A document.
    #[error("cannot write a JSON document")]
    Json(#[from] serde_json::Error),
    /// What it is made from is not what its cache key was computed from.
    #[error(
        "the sources of {what} changed while it was built, so nothing of it was kept; \
         build again when nobody writes them"
    )]
    Changed {
        /// The crate or train.
        what: String,
    },
    /// The version is not to be found.
    #[error(
        "{file}: version `{version}` names nothing among its sources; write go:<module>, \
         deb:<package>, oci:<version> or catalog"
    )]
    Version {
        /// component.yaml.
        file: String,
        /// What it says.
        version: String,
    },
}
