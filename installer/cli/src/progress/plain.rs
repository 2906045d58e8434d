//! A line for each phase and failure, and one when a phase takes long, on standard error.

use ingot_lifecycle::{Event, Events};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A phase that takes longer than this says what each node does.
const PATIENCE: Duration = Duration::from_secs(5);

/// Plain lines.
pub struct Plain {
    last: Mutex<BTreeMap<String, Instant>>,
}

impl Plain {
    /// A reporter that has said nothing yet.
    pub fn new() -> Self {
        Self {
            last: Mutex::new(BTreeMap::new()),
        }
    }
}

impl Events for Plain {
    fn tell(&self, event: Event) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::PhaseStarted { nodes, .. } => {
                *last = nodes
                    .into_iter()
                    .map(|node| (node, Instant::now()))
                    .collect();
            }
            Event::NodeProgress { node, message, .. } => {
                let at = last.entry(node.clone()).or_insert_with(Instant::now);
                if at.elapsed() > PATIENCE {
                    *at = Instant::now();
                    crate::talk!("    {node}: {message}");
                }
            }
            Event::PhaseFinished {
                phase,
                changed,
                milliseconds,
            } => crate::talk!("{}", line(&phase, changed, milliseconds)),
            Event::NodeFailed {
                node,
                phase,
                failure,
            } => crate::talk!("  {node} failed in {phase}: {failure}"),
            Event::Warning { node, message } => {
                crate::talk!("{}", warning(node.as_deref(), &message))
            }
            Event::NodeFinished { .. } => {}
        }
    }
}

/// The line that ends a phase.
pub fn line(phase: &str, changed: usize, milliseconds: u64) -> String {
    let seconds = milliseconds as f64 / 1000.0;
    match changed {
        0 => format!("  {phase:<15} {seconds:>6.1} s  nothing to do"),
        1 => format!("  {phase:<15} {seconds:>6.1} s  1 change"),
        _ => format!("  {phase:<15} {seconds:>6.1} s  {changed} changes"),
    }
}

/// A warning.
pub fn warning(node: Option<&str>, message: &str) -> String {
    match node {
        Some(node) => format!("  warning: {node}: {message}"),
        None => format!("  warning: {message}"),
    }
}
