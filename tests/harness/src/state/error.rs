//! Why records could not be read or written.

use super::files::FORMAT;
use std::io;
use std::path::PathBuf;
use thiserror::Error;

/// Reading or writing the records failed.
#[derive(Debug, Error)]
pub enum StateError {
    /// A file or directory could not be read, written, locked or removed.
    #[error("cannot {action} {}", path.display())]
    Access {
        /// What was tried.
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// A record is not what this program writes.
    #[error(
        "{} is not a record of this version; delete the lab and create it again \
         (`ingot sandbox delete --all` removes whatever is there)",
        path.display()
    )]
    Record {
        /// The record's file.
        path: PathBuf,
        /// What was wrong with it.
        source: serde_json::Error,
    },
    /// A record is of another format.
    #[error(
        "{} has format {found}, this program knows {FORMAT}; delete the lab with the program that \
         made it, or with `ingot sandbox delete --all`",
        path.display()
    )]
    Format {
        /// The record's file.
        path: PathBuf,
        /// Its format number.
        found: u32,
    },
}
