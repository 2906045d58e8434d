//! Puts commands in line, one line a volume group and one a volume, each with a deadline.
//!
//! A command that hangs (a dead disk, a suspended device) cannot be killed, so its line is closed:
//! whoever comes after is told at once. The line opens again when the command ends after all.

use crate::backend::{Backend, Reply};
use crate::command::{Command, Lane};
use crate::error::LvmError;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Mutex as Line;

/// How long commands may take.
#[derive(Debug, Clone, Copy)]
pub struct Deadlines {
    /// For one command.
    pub command: Duration,
    /// For making a filesystem or an encrypted volume, for erasing a part, and for reading the metadata of a
    /// thin pool.
    pub format: Duration,
    /// For the wait before it.
    pub queue: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            command: Duration::from_secs(30),
            format: Duration::from_secs(300),
            queue: Duration::from_secs(60),
        }
    }
}

#[derive(Debug, Default)]
struct Queue {
    line: Arc<Line<()>>,
    hung: Arc<Mutex<Hung>>,
}

/// The command that did not end in its time, and the seconds it had.
type Hung = Option<(String, u64)>;

/// Runs commands; cheap to clone.
#[derive(Clone)]
pub struct Executor {
    backend: Arc<dyn Backend>,
    deadlines: Deadlines,
    queues: Arc<Mutex<BTreeMap<Lane, Arc<Queue>>>>,
}

fn held<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Executor {
    /// Runs commands on that back end.
    pub fn new(backend: Arc<dyn Backend>, deadlines: Deadlines) -> Self {
        Self {
            backend,
            deadlines,
            queues: Arc::default(),
        }
    }

    /// Why the line is closed, if it is.
    pub fn blocked(&self, lane: &Lane) -> Option<LvmError> {
        let queue = held(&self.queues).get(lane).cloned()?;
        let hung = held(&queue.hung).clone();
        hung.map(|(command, seconds)| LvmError::Hung {
            lane: lane.to_string(),
            command,
            seconds,
        })
    }

    /// Whether nobody works or waits in that line.
    pub fn idle(&self, lane: &Lane) -> bool {
        !held(&self.queues).contains_key(lane)
    }

    /// How many lines are closed.
    pub fn hung(&self) -> usize {
        let queues = held(&self.queues);
        let closed = queues.values().filter(|queue| held(&queue.hung).is_some());
        closed.count()
    }

    /// Runs one command in its line and waits for its answer, but not for ever.
    pub async fn run(&self, command: Command) -> Result<Reply, LvmError> {
        let lane = command.lane();
        if lane == Lane::Node {
            // Nothing to keep apart: they only read, or act on places of one volume, which the
            // caller holds.
            return self.spawn(command, None, Arc::default()).await;
        }
        if let Some(error) = self.blocked(&lane) {
            return Err(error);
        }
        let queue = Arc::clone(held(&self.queues).entry(lane.clone()).or_default());
        let waiting = Arc::clone(&queue.line).lock_owned();
        let Ok(turn) = tokio::time::timeout(self.deadlines.queue, waiting).await else {
            return Err(self.blocked(&lane).unwrap_or(LvmError::Hung {
                lane: lane.to_string(),
                command: "the queue before it".into(),
                seconds: self.deadlines.queue.as_secs(),
            }));
        };
        let reply = self
            .spawn(command, Some(turn), Arc::clone(&queue.hung))
            .await;
        self.forget(&lane, &queue);
        reply
    }

    async fn spawn(
        &self,
        command: Command,
        turn: Option<tokio::sync::OwnedMutexGuard<()>>,
        hung: Arc<Mutex<Hung>>,
    ) -> Result<Reply, LvmError> {
        let backend = Arc::clone(&self.backend);
        let name = command.name();
        let lane = command.lane();
        let limit = match &command {
            Command::MakeFilesystem { .. }
            | Command::Encrypt { .. }
            | Command::Erase { .. }
            | Command::ThinBlocks(_) => self.deadlines.format,
            _ => self.deadlines.command,
        };
        let line = Arc::clone(&hung);
        // Changed and asked under the lock of the line, or the two could miss each other.
        let ended = Arc::new(AtomicBool::new(false));
        let end = Arc::clone(&ended);
        let mut work = tokio::task::spawn_blocking(move || {
            let reply = backend.run(&command);
            let mut open = held(&line);
            *open = None;
            end.store(true, Ordering::Relaxed);
            drop(open);
            drop(turn);
            reply
        });
        match tokio::time::timeout(limit, &mut work).await {
            Ok(Ok(reply)) => reply,
            Ok(Err(panic)) => Err(LvmError::Failed {
                command: name,
                reason: format!("the driver itself: {panic}"),
            }),
            Err(_) => {
                let seconds = limit.as_secs();
                let mut closed = held(&hung);
                if !ended.load(Ordering::Relaxed) {
                    *closed = Some((name.clone(), seconds));
                }
                Err(LvmError::Hung {
                    lane: lane.to_string(),
                    command: name,
                    seconds,
                })
            }
        }
    }

    /// A line that nobody waits in is not kept: there are as many as volumes.
    fn forget(&self, lane: &Lane, queue: &Arc<Queue>) {
        let mut queues = held(&self.queues);
        if Arc::strong_count(queue) == 2 && held(&queue.hung).is_none() {
            queues.remove(lane);
        }
    }
}
