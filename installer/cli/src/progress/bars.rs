//! A line that moves for each node (indicatif), on standard error.

use super::plain;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use ingot_lifecycle::{Event, Events};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Bars and spinners.
pub struct Bars {
    all: MultiProgress,
    nodes: Mutex<BTreeMap<String, ProgressBar>>,
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
        // The last sign is shown when a node is done.
        .tick_chars("|/-\\ ")
}

impl Bars {
    /// A reporter that shows nothing yet.
    pub fn new() -> Self {
        Self {
            all: MultiProgress::new(),
            nodes: Mutex::new(BTreeMap::new()),
        }
    }

    fn say(&self, line: &str) {
        // `println` draws above the bars; without a terminal it would be dropped.
        let _ = self.all.println(line);
    }
}

impl Events for Bars {
    fn tell(&self, event: Event) {
        let mut nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::PhaseStarted {
                title,
                nodes: names,
                ..
            } => {
                for name in names {
                    let bar = self.all.add(ProgressBar::new(1000));
                    bar.set_style(style("  {spinner} {prefix:<15} {wide_msg}"));
                    bar.set_prefix(name.clone());
                    bar.set_message(title.clone());
                    bar.enable_steady_tick(Duration::from_millis(120));
                    nodes.insert(name, bar);
                }
            }
            Event::NodeProgress {
                node,
                message,
                fraction,
                ..
            } => {
                let Some(bar) = nodes.get(&node) else { return };
                if let Some(fraction) = fraction {
                    bar.set_style(style("  {spinner} {prefix:<15} [{bar:24}] {wide_msg}"));
                    bar.set_position((fraction * 1000.0) as u64);
                }
                bar.set_message(message);
            }
            Event::NodeFinished { node, .. } => {
                if let Some(bar) = nodes.get(&node) {
                    bar.set_message("done");
                }
            }
            Event::PhaseFinished {
                phase,
                changed,
                milliseconds,
            } => {
                for bar in std::mem::take(&mut *nodes).into_values() {
                    bar.finish_and_clear();
                    self.all.remove(&bar);
                }
                self.say(&plain::line(&phase, changed, milliseconds));
            }
            Event::NodeFailed {
                node,
                phase,
                failure,
            } => {
                if let Some(bar) = nodes.remove(&node) {
                    bar.finish_and_clear();
                }
                self.say(&format!("  {node} failed in {phase}: {failure}"));
            }
            Event::Warning { node, message } => {
                self.say(&plain::warning(node.as_deref(), &message))
            }
        }
    }
}
