//! What a cluster shall be: `cluster.yaml`, checked and turned into types that cannot be wrong.
//!
//! Pure: no host, no network, no clock. The only file read is the one the caller names (and the
//! existence of files it refers to is checked by a function the caller passes in).

pub mod model;

pub use model::*;
