//! Counts every command on its way to the back end.

use super::Metrics;
use ingot_lvm::{Backend, Command, LvmError, Reply};
use std::sync::Arc;
use std::time::Instant;

/// A back end that does what the inner one does, and counts how long it took.
pub struct Measured {
    inner: Arc<dyn Backend>,
    metrics: Metrics,
}

impl Measured {
    /// Counts what goes to `inner`.
    pub fn new(inner: Arc<dyn Backend>, metrics: Metrics) -> Self {
        Self { inner, metrics }
    }
}

impl Backend for Measured {
    fn run(&self, command: &Command) -> Result<Reply, LvmError> {
        let begin = Instant::now();
        let reply = self.inner.run(command);
        // That something is there already, or does not fit, is an answer.
        let failed = matches!(reply, Err(LvmError::Failed { .. }));
        self.metrics.command(command, begin.elapsed(), failed);
        reply
    }
}
