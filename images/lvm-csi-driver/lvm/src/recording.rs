//! Remembers every command on its way to another back end.

use crate::backend::{Backend, Reply};
use crate::command::Command;
use crate::error::LvmError;
use std::sync::{Mutex, PoisonError};

/// A back end that does what the inner one does, and tells afterwards what it was.
#[derive(Debug)]
pub struct Recording<B> {
    inner: B,
    commands: Mutex<Vec<Command>>,
}

impl<B: Backend> Recording<B> {
    /// Records what goes to `inner`.
    pub fn new(inner: B) -> Self {
        Self {
            inner,
            commands: Mutex::new(Vec::new()),
        }
    }

    /// The back end behind it.
    pub fn inner(&self) -> &B {
        &self.inner
    }

    /// What was asked for since the last call, in order.
    pub fn take(&self) -> Vec<Command> {
        let mut commands = self.commands.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *commands)
    }
}

impl<B: Backend> Backend for Recording<B> {
    fn run(&self, command: &Command) -> Result<Reply, LvmError> {
        self.commands
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(command.clone());
        self.inner.run(command)
    }
}
