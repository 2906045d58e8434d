//! What a cluster shall be: `cluster.yaml`, checked and turned into types that cannot be wrong.
//!
//! Pure: no host, no network, no clock. The text is given by the caller, and what the checks must
//! know of files the text refers to comes through [`FileProbe`].
//!
//! The way of a text: `parse` (YAML with positions) -> `shape` (against the schema of [`spec`]) ->
//! `check` (the rules) -> [`Cluster`]. Everything wrong on that way is reported together.

mod check;
mod files;
mod finding;
mod load;
pub mod model;
mod nearest;
mod parse;
mod reference;
mod schema;
mod shape;
pub mod spec;
mod tree;

pub use files::{FakeFiles, FileProbe, FileStatus, RealFiles};
pub use finding::{Finding, Findings, Mark, Part, Places, Severity};
pub use load::{Loaded, load, load_bytes};
pub use model::*;
pub use reference::reference;
pub use schema::schema;
pub use spec::{SSH_PORT, SSH_USER};
