//! The transport against a real sshd, real sudo, real shells and a real SSH agent.
//!
//! Needs root and INGOT_HOST_TESTS=1; `make ssh-matrix` prints the table of all combinations.

mod agent_and_keys;
mod client;
mod jump;
mod matrix;
mod refusals;
mod site;
mod sudo;
