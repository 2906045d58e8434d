//! The phases of a bootstrap as its users see them, and the boundaries between its steps.

use crate::installer::{Event, Run};

/// The phases of a bootstrap, in order; a run tells them all.
pub const BOOTSTRAP: [&str; 15] = [
    "connect",
    "lease",
    "facts",
    "preflight",
    "distribute",
    "prepare",
    "certificates",
    "roll",
    "runtime",
    "node",
    "control-plane",
    "objects",
    "ready",
    "add-ons",
    "record",
];

/// Whether an event stands at the boundary of a step.
pub fn is_boundary(event: &Event) -> bool {
    matches!(
        event.kind(),
        "phase-started" | "node-finished" | "phase-finished"
    )
}

/// The phases a run has finished, in order.
pub fn finished(run: &Run) -> Vec<&str> {
    let finished = run.events.iter().filter(|e| e.kind() == "phase-finished");
    finished.map(Event::phase).collect()
}

/// The place of a phase in a bootstrap; none when it is not part of one.
pub fn place(name: &str) -> Option<usize> {
    BOOTSTRAP.iter().position(|phase| *phase == name)
}
