//! Starts commands on hosts: over SSH, or on this machine.
//!
//! The boundary is one trait, [`Host`], with one method that starts a process as root and gives its
//! streams. What is said over the streams is not known here, and nothing is decided here.

mod error;
pub mod host;
pub mod local;
pub mod secret;
pub mod ssh;
#[cfg(feature = "testing")]
pub mod testing;
mod words;

pub use error::TransportError;
pub use host::{Exit, Host, Output, Process, must, quote, run, write_file};
pub use local::LocalHost;
pub use secret::Secret;
pub use ssh::{Keys, Pool, SshHost, SshTarget};
