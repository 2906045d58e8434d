//! Carries a plan out: in the order of the graph, side by side where it permits, journaled.
//!
//! No choices are made here. A resource whose requisite failed is left alone; everything else goes on.

use crate::graph::Graph;
use crate::journal::{Entry, Journal, JournalError};
use crate::plan::{Action, Plan, Planned};
use crate::resource::Kind;
use crate::system::System;
use crate::undo;
use serde::{Deserialize, Serialize};
use std::sync::{Condvar, Mutex, PoisonError};

/// How many resources are applied at the same time. Most of the time goes to waiting for systemd and
/// the disk, so a few more than the cores of a small server.
const WORKERS: usize = 4;

/// Told while a plan is carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// Work on a resource begins.
    Started {
        /// Its id.
        id: String,
        /// What it manages.
        target: String,
    },
    /// Work on a resource ended.
    Finished {
        /// Its id.
        id: String,
        /// How.
        outcome: Outcome,
    },
}

/// How the application of a resource ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum Outcome {
    /// Nothing was to be done.
    Unchanged,
    /// It was changed.
    Changed,
    /// It reacted to a change of another.
    Reacted,
    /// It was left alone.
    Skipped {
        /// Why.
        reason: String,
    },
    /// It could not be changed.
    Failed {
        /// Why, the whole chain.
        reason: String,
    },
}

/// The end of all resources of a plan.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Id, target and outcome of each resource, in the order of the plan.
    pub resources: Vec<(String, String, Outcome)>,
}

impl Report {
    /// How many were changed or reacted.
    pub fn changed(&self) -> usize {
        self.resources
            .iter()
            .filter(|(_, _, o)| matches!(o, Outcome::Changed | Outcome::Reacted))
            .count()
    }

    /// Target and reason of each failure.
    pub fn failures(&self) -> Vec<(&str, &str)> {
        self.resources
            .iter()
            .filter_map(|(_, target, outcome)| match outcome {
                Outcome::Failed { reason } => Some((target.as_str(), reason.as_str())),
                _ => None,
            })
            .collect()
    }
}

/// A plan could not be carried out at all.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The plan was made from other states than the graph.
    #[error("the plan does not belong to these states; make it anew")]
    Mismatch,
    /// The journal cannot be written, so nothing may be changed.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

enum Progress {
    Waiting,
    Running,
    Ended(Outcome),
}

struct Run<'a> {
    system: &'a System,
    graph: &'a Graph,
    plan: &'a Plan,
    journal: &'a Journal,
    listeners: Vec<Vec<String>>,
    events: &'a (dyn Fn(Event) + Sync),
    progress: Mutex<Vec<Progress>>,
    moved: Condvar,
    /// Held from the way back of a change to a shared file until it is recorded what the change has left.
    shared_file: Mutex<()>,
}

/// Carries `plan` out; `events` is told each beginning and end of work. Before that, it records what earlier changes
/// left that were cut short.
///
/// # Errors
/// [`ApplyError`]. Failures of single resources are in the report.
pub fn apply(
    system: &System,
    graph: &Graph,
    plan: &Plan,
    journal: &Journal,
    events: &(dyn Fn(Event) + Sync),
) -> Result<Report, ApplyError> {
    let same = graph.nodes.len() == plan.resources.len()
        && graph
            .nodes
            .iter()
            .zip(&plan.resources)
            .all(|(node, planned)| node.declared.id == planned.id);
    if !same {
        return Err(ApplyError::Mismatch);
    }
    undo::record_cut_short(system, journal)?;
    let mut listeners = vec![Vec::new(); graph.nodes.len()];
    for node in &graph.nodes {
        for &watched in node.watch.iter().chain(&node.onchanges) {
            listeners[watched].push(node.declared.id.clone());
        }
    }
    let run = Run {
        system,
        graph,
        plan,
        journal,
        listeners,
        events,
        progress: Mutex::new(graph.nodes.iter().map(|_| Progress::Waiting).collect()),
        moved: Condvar::new(),
        shared_file: Mutex::new(()),
    };
    if plan.is_empty() {
        run.work();
    } else {
        std::thread::scope(|scope| {
            for _ in 0..WORKERS {
                scope.spawn(|| run.work());
            }
        });
    }
    let progress = run
        .progress
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    let outcomes = progress.into_iter().map(|p| match p {
        Progress::Ended(outcome) => outcome,
        Progress::Waiting | Progress::Running => Outcome::Skipped {
            reason: "a worker stopped".into(),
        },
    });
    let resources = plan
        .resources
        .iter()
        .zip(outcomes)
        .map(|(planned, outcome)| (planned.id.clone(), planned.target.clone(), outcome))
        .collect();
    Ok(Report { resources })
}

enum Next {
    Resource(usize),
    Blocked(usize, usize),
    Wait,
    End,
}

impl Run<'_> {
    fn work(&self) {
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            match self.next(&progress) {
                Next::End => return,
                Next::Wait => {
                    progress = self
                        .moved
                        .wait(progress)
                        .unwrap_or_else(PoisonError::into_inner);
                }
                Next::Blocked(index, by) => {
                    let reason = format!("{} failed", self.plan.resources[by].target);
                    progress[index] = Progress::Ended(Outcome::Skipped { reason });
                    self.moved.notify_all();
                }
                Next::Resource(index) => {
                    progress[index] = Progress::Running;
                    drop(progress);
                    let outcome = self.one(index);
                    progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
                    progress[index] = Progress::Ended(outcome);
                    self.moved.notify_all();
                }
            }
        }
    }

    fn next(&self, progress: &[Progress]) -> Next {
        let mut open = false;
        for (index, state) in progress.iter().enumerate() {
            if !matches!(state, Progress::Waiting) {
                continue;
            }
            open = true;
            let mut ready = true;
            for &before in &self.graph.nodes[index].after {
                match &progress[before] {
                    Progress::Waiting | Progress::Running => ready = false,
                    Progress::Ended(Outcome::Failed { .. }) => return Next::Blocked(index, before),
                    Progress::Ended(Outcome::Skipped { reason }) if reason.ends_with(" failed") => {
                        return Next::Blocked(index, before);
                    }
                    Progress::Ended(_) => {}
                }
            }
            if ready {
                return Next::Resource(index);
            }
        }
        if open { Next::Wait } else { Next::End }
    }

    fn one(&self, index: usize) -> Outcome {
        let planned = &self.plan.resources[index];
        let started = || {
            (self.events)(Event::Started {
                id: planned.id.clone(),
                target: planned.target.clone(),
            })
        };
        let outcome = match &planned.action {
            Action::None => return Outcome::Unchanged,
            Action::Skip { reason } => {
                return Outcome::Skipped {
                    reason: reason.clone(),
                };
            }
            Action::Change { changes } => {
                started();
                // A service that was just started has read its new configuration already.
                let react = !self.graph.nodes[index].watch.is_empty()
                    && !changes.iter().any(|c| c.attribute == "running")
                    && self.watched_changed(index);
                self.change(index, planned, react)
                    .map(|()| Outcome::Changed)
            }
            Action::React { .. } => {
                started();
                self.react(index, planned).map(|()| Outcome::Reacted)
            }
        };
        let outcome = outcome.unwrap_or_else(|error| Outcome::Failed {
            reason: chain(error.as_ref()),
        });
        (self.events)(Event::Finished {
            id: planned.id.clone(),
            outcome: outcome.clone(),
        });
        outcome
    }

    fn kind(&self, index: usize) -> &dyn Kind {
        self.graph.nodes[index].declared.resource.kind()
    }

    fn watched_changed(&self, index: usize) -> bool {
        let changed = |&w: &usize| matches!(self.plan.resources[w].action, Action::Change { .. });
        self.graph.nodes[index].watch.iter().any(changed)
    }

    fn change(
        &self,
        index: usize,
        planned: &Planned,
        react: bool,
    ) -> Result<(), Box<dyn std::error::Error>> {
        let _held = self.kind(index).shares_a_file().then(|| {
            self.shared_file
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
        });
        let undo = self
            .kind(index)
            .way_back(self.system, self.journal.saved())?;
        let line = self.journal.append(Entry::Begin {
            resource: planned.id.clone(),
            target: planned.target.clone(),
            undo: undo.clone(),
            notify: self.listeners[index].clone(),
        })?;
        if let Err(error) = self.kind(index).change(self.system) {
            // The failure is what is told. What cannot be recorded now, the next application records.
            let _ = undo::record_failed(self.system, self.journal, line, &undo);
            return Err(error.into());
        }
        let after = undo
            .iter()
            .map(|step| undo::observe(step, self.system, self.journal.saved()))
            .collect::<Result<_, _>>()?;
        self.journal.append(Entry::Done {
            resource: planned.id.clone(),
            after,
        })?;
        if react {
            self.kind(index).react(self.system)?;
        }
        self.acknowledge(index, planned)
    }

    fn react(&self, index: usize, planned: &Planned) -> Result<(), Box<dyn std::error::Error>> {
        self.kind(index).react(self.system)?;
        self.acknowledge(index, planned)
    }

    fn acknowledge(
        &self,
        index: usize,
        planned: &Planned,
    ) -> Result<(), Box<dyn std::error::Error>> {
        let node = &self.graph.nodes[index];
        if !node.watch.is_empty() || !node.onchanges.is_empty() {
            let resource = planned.id.clone();
            self.journal.append(Entry::Reacted { resource })?;
        }
        Ok(())
    }
}

/// An error and its causes, on one line.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
