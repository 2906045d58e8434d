//! Real systemd hosts on one machine, as namespaces: for scenario tests and for sandboxes.
//!
//! A [`Lab`] is a network with hosts that boot in a second, run systemd as PID 1, answer SSH, and
//! reboot, lose power and lose their cable as machines do. They share the machine's kernel, so they
//! run at native speed and real Kubernetes runs in them; what needs a kernel of its own (disks,
//! encryption) is done in a [`guest::Guest`], alone or in a lab. Nothing leads out of a lab's network.
//!
//! Entry points: [`Lab::requirements`], [`Lab::create`], [`Lab::add_host`], then the methods of
//! [`Host`]. Everything needs root. Walls:
//! - Nothing of the machine is changed: no setting, no interface, no cgroup that was there before
//!   (one exception on pure cgroup v2, see the docs of `cgroup`), and a lab leaves nothing behind.
//! - No terminal output, no async; long steps are told to a callback.
//! - It knows nothing of Ingot or Kubernetes.
//!
//! What is not like a machine: /proc/meminfo and the processor count are the machine's; files that
//! were not synced survive a power cut; all hosts share one clock and the kernel's inotify limits.

mod apt_sources;
mod base_root;
mod boot;
mod cgroup;
pub mod guest;
mod host;
mod init;
mod internal;
mod lab;
mod name;
mod network;
mod process;
mod program;
mod reaper;
mod requirements;
mod ssh_keys;
mod state;
mod supervisor;
mod sysctl;
mod teardown;

pub use base_root::{ADMIN_PASSWORD, BaseRootError};
pub use cgroup::CgroupError;
pub use host::{BOOT_DEADLINE, Host, HostError};
pub use internal::{InternalError, dispatch_internal};
pub use lab::{HostSpec, Lab, LabError, LabSpec, LabSummary};
pub use name::{MAX_NAME_LEN, NameError};
pub use network::{MAX_BRIDGES, MAX_HOSTS, NetworkError};
pub use program::ProgramError;
pub use requirements::Missing;
pub use ssh_keys::KeyError;
pub use state::{Lifetime, RootVariant, StateError};
pub use teardown::TeardownError;
