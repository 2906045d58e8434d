//! Every event as a JSON line on standard output.

use ingot_lifecycle::{Event, Events};
use std::io::Write;

/// Writes each event at once: a program at the other end of a pipe follows along.
pub struct Json;

impl Events for Json {
    fn tell(&self, event: Event) {
        if let Ok(line) = serde_json::to_string(&event) {
            let mut out = std::io::stdout().lock();
            // A reader that has gone away does not stop an installation.
            let _ = writeln!(out, "{line}").and_then(|()| out.flush());
        }
    }
}
