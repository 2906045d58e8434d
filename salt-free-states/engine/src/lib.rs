//! Brings a Linux host to a described state, and back.
//!
//! A *catalog* holds *states*: YAML documents, rendered with tera, that list typed *resources*
//! (files, units, services, ...). The engine loads and renders them with the host's settings
//! ([`catalog`], [`document`]), orders them by their requisites ([`graph`]), compares each with the
//! host ([`plan()`]), and changes what differs ([`apply()`]), writing every change and the way back to a
//! [`journal`] first. Applying twice changes nothing the second time; [`undo`] reads the journal
//! backwards.
//!
//! What this crate must never do: know of Kubernetes, open a network connection, or print.

pub mod apply;
pub mod catalog;
pub mod change;
pub mod document;
pub mod graph;
pub mod journal;
pub mod plan;
#[cfg(test)]
mod reference;
pub mod resource;
pub mod system;
pub mod undo;

pub use apply::{ApplyError, Event, Outcome, Report, apply};
pub use catalog::{Catalog, CatalogError};
pub use change::Change;
pub use document::{Declared, Settings};
pub use graph::{Graph, GraphError};
pub use journal::{Journal, JournalError};
pub use plan::{Plan, PlanError, Planned, plan};
pub use system::{BlobSource, CommandOutput, Commands, System};
