//! The part that runs on a host: `ingot agent`, started over SSH (or by systemd) and told what to do.
//!
//! It decides nothing. Requests come as frames on standard input, answers and events go to standard
//! output ([`protocol`]); when the input ends, the agent ends, and with it the lease it held.

pub mod authority;
pub mod belonging;
pub mod blobs;
pub mod certificates;
pub mod client;
pub mod cni;
pub mod etcd;
pub mod gather;
pub mod health;
pub mod kube;
pub mod kubelet;
pub mod lease;
mod mistake;
pub mod pod_path;
pub mod prepared;
pub mod protocol;
pub mod reach;
pub mod reset;
pub mod secret_files;
pub mod serve;
pub mod states;
pub mod storage;
pub mod sysctl;

pub use client::Session;
pub use serve::serve;
