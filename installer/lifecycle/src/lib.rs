//! The life of a cluster: facts, preflight, plan, and the sequences that carry plans out.
//!
//! Two programs share this crate. The *driver* (`ingot bootstrap` and its kin) computes what shall be
//! and talks to all hosts at once; the *agent* ([`agent`]) runs on each host and does the work there.
//! The order of work is the list in [`sequence`]; each entry is one file below [`phases`].
//!
//! What this crate must never do: write to a terminal, or ask a question. It tells [`event::Event`]s.

pub mod agent;
pub mod driver;
pub mod error;
pub mod event;
pub mod facts;
pub mod manifests;
pub mod overrides;
pub mod paths;
pub mod phases;
pub mod pki;
pub mod preflight;
pub mod registry;
pub mod rollout;
pub mod run_journal;
pub mod sequence;
pub mod settings;
pub mod storage;

pub use driver::{Driver, Machine, Unanswered};
pub use error::{Failure, FailureKind};
pub use event::{Event, Events};
