//! What stories on real hosts are told with: a stage, a cluster, kubectl, workloads, and looks at hosts.
//!
//! The stories themselves are in `tests/`, one file each. Walls:
//! - The product is met only as its users meet it: the `ingot` program, SSH, the API server. Nothing
//!   here links to the installer.
//! - What is wrong ends the story at once, with a panic that says what was expected and last seen.
//! - Every wait has a name, a deadline and the last reason seen.

pub mod air_gap;
pub mod cluster;
pub mod file_times;
pub mod installer;
pub mod kubectl;
pub mod leftovers;
pub mod outcome;
pub mod phases;
pub mod probe;
pub mod stage;
pub mod volume;
pub mod wait;
pub mod workload;

pub use cluster::{Cluster, Member};
pub use installer::{Event, Run, Running};
pub use kubectl::Kubectl;
pub use stage::Stage;
