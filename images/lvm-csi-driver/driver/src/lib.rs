//! The CSI driver for LVM on each node.
//!
//! Two programs in one: the [`agent`] of each node owns what is on its disks, the [`controller`]
//! turns CSI requests into objects of a [`store`]. They speak to each other through those objects
//! only. The CSI services are in [`identity`], [`node`], [`snapshot_metadata`] and [`controller`]; what
//! backup programs ask is in [`backups`].

pub mod agent;
pub mod backups;
pub mod capability;
pub mod config;
pub mod controller;
pub mod crash_points;
pub mod disks;
mod health;
pub mod identity;
pub mod metrics;
pub mod node;
pub mod object;
pub mod parameters;
pub mod problem;
pub mod registration;
pub mod server;
pub mod snapshot_metadata;
pub mod store;
