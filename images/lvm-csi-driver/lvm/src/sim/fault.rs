//! Lets commands of the simulator fail, hang, or be the last thing their driver ever did.

use super::Sim;
use crate::backend::{Backend, Reply};
use crate::command::Command;
use crate::error::LvmError;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Where the crash comes, as seen by one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Passage {
    /// No crash here.
    Through,
    /// The step is not done.
    Before,
    /// Half of it is done.
    During,
    /// It is done, and nobody hears of it.
    After,
}

/// Which step is the last.
#[derive(Debug)]
enum Point {
    Number(usize),
    Named(String),
}

#[derive(Debug, Default)]
struct Wire {
    armed: Option<(Point, Passage)>,
    blown: bool,
    steps: Vec<String>,
}

/// Counts the steps of one life of a driver, over all it writes to, and ends it at one of them.
/// After that every step is [`Passage::Before`]: a dead process does nothing.
#[derive(Debug, Clone, Default)]
pub struct Fuse(Arc<Mutex<Wire>>);

impl Fuse {
    /// Crashes at the step of that number, counted from 0.
    pub fn armed(step: usize, passage: Passage) -> Self {
        let fuse = Self::default();
        fuse.wire().armed = Some((Point::Number(step), passage));
        fuse
    }

    /// Crashes at the first step whose name begins so.
    pub fn armed_at(name: &str, passage: Passage) -> Self {
        let fuse = Self::default();
        fuse.wire().armed = Some((Point::Named(name.into()), passage));
        fuse
    }

    fn wire(&self) -> MutexGuard<'_, Wire> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a step and says what becomes of it.
    pub fn step(&self, name: &str) -> Passage {
        let mut wire = self.wire();
        if wire.blown {
            return Passage::Before;
        }
        let number = wire.steps.len();
        wire.steps.push(name.into());
        let here = |point: &Point| match point {
            Point::Number(at) => *at == number,
            Point::Named(begin) => name.starts_with(begin.as_str()),
        };
        match wire.armed {
            Some((ref point, passage)) if here(point) => {
                wire.blown = passage != Passage::Through;
                passage
            }
            _ => Passage::Through,
        }
    }

    /// Whether the crash has come.
    pub fn blown(&self) -> bool {
        self.wire().blown
    }

    /// The steps so far, by name.
    pub fn steps(&self) -> Vec<String> {
        self.wire().steps.clone()
    }
}

type Trouble = Box<dyn Fn(&Command) -> Option<LvmError> + Send + Sync>;
type Choice = Box<dyn Fn(&Command) -> bool + Send + Sync>;

#[derive(Default)]
struct Gate {
    hanging: Mutex<bool>,
    changed: Condvar,
}

/// The simulator as one life of a driver sees it, with troubles.
pub struct Faulty {
    sim: Arc<Sim>,
    fuse: Fuse,
    fail: Mutex<Option<Trouble>>,
    hang: Mutex<Option<Choice>>,
    gate: Gate,
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Faulty {
    /// The simulator, with that fuse in the way of each change.
    pub fn new(sim: Arc<Sim>, fuse: Fuse) -> Self {
        Self {
            sim,
            fuse,
            fail: Mutex::default(),
            hang: Mutex::default(),
            gate: Gate::default(),
        }
    }

    /// From now on those commands fail for which an error is given.
    pub fn fail(&self, trouble: impl Fn(&Command) -> Option<LvmError> + Send + Sync + 'static) {
        *held(&self.fail) = Some(Box::new(trouble));
    }

    /// From now on those commands hang until [`Self::release`].
    pub fn hang(&self, which: impl Fn(&Command) -> bool + Send + Sync + 'static) {
        *held(&self.hang) = Some(Box::new(which));
        *held(&self.gate.hanging) = true;
    }

    /// Lets what hangs go on, and nothing fails any more.
    pub fn release(&self) {
        *held(&self.fail) = None;
        *held(&self.hang) = None;
        *held(&self.gate.hanging) = false;
        self.gate.changed.notify_all();
    }

    fn wait(&self, command: &Command) {
        let hangs = held(&self.hang)
            .as_ref()
            .is_some_and(|which| which(command));
        let mut hanging = held(&self.gate.hanging);
        while hangs && *hanging {
            hanging = self
                .gate
                .changed
                .wait(hanging)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Backend for Faulty {
    fn run(&self, command: &Command) -> Result<Reply, LvmError> {
        self.wait(command);
        if let Some(error) = held(&self.fail).as_ref().and_then(|fail| fail(command)) {
            return Err(error);
        }
        if !command.changes() {
            // Reading leaves nothing behind; only a dead driver cannot read.
            return match self.fuse.blown() {
                true => Err(LvmError::Crashed),
                false => self.sim.run(command),
            };
        }
        match self.fuse.step(&command.name()) {
            Passage::Through => self.sim.run(command),
            Passage::Before => Err(LvmError::Crashed),
            Passage::During => {
                self.sim.tear(command);
                Err(LvmError::Crashed)
            }
            Passage::After => {
                let _ = self.sim.run(command);
                Err(LvmError::Crashed)
            }
        }
    }
}
