//! What happens, told to whoever listens: progress bars, plain lines, JSON lines, tests.

use crate::error::Failure;
use serde::Serialize;

/// Something that happened. The JSON form is a public format (`-o json`).
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(
    tag = "event",
    rename_all = "kebab-case",
    rename_all_fields = "camelCase"
)]
pub enum Event {
    /// A phase begins, on these nodes.
    PhaseStarted {
        /// Its name.
        phase: String,
        /// What it does, for people.
        title: String,
        /// The nodes that take part.
        nodes: Vec<String>,
    },
    /// A node works on something.
    NodeProgress {
        /// The node.
        node: String,
        /// The phase.
        phase: String,
        /// What it does now.
        message: String,
        /// How much is done, 0 to 1, where it is known.
        #[serde(skip_serializing_if = "Option::is_none")]
        fraction: Option<f64>,
    },
    /// A node has finished a phase.
    NodeFinished {
        /// The node.
        node: String,
        /// The phase.
        phase: String,
        /// How many things were changed.
        changed: usize,
    },
    /// A node failed and takes no further part in this run.
    NodeFailed {
        /// The node.
        node: String,
        /// The phase.
        phase: String,
        /// Why.
        failure: Failure,
    },
    /// A phase has ended on all nodes that still take part.
    PhaseFinished {
        /// Its name.
        phase: String,
        /// How many things were changed on all nodes.
        changed: usize,
        /// How long it took, in milliseconds.
        milliseconds: u64,
    },
    /// Something to know that stops nothing.
    Warning {
        /// The node, where it concerns one.
        #[serde(skip_serializing_if = "Option::is_none")]
        node: Option<String>,
        /// What.
        message: String,
    },
}

/// Who is told.
pub trait Events: Send + Sync {
    /// Takes note of an event; must not block for long.
    fn tell(&self, event: Event);
}

/// Nobody is told.
#[derive(Debug, Clone, Copy)]
pub struct Silent;

impl Events for Silent {
    fn tell(&self, _event: Event) {}
}
