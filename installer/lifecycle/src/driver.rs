//! The driver: all hosts at once, each in its own conversation; one that fails never holds up the others.

use crate::agent::Session;
use crate::error::Failure;
use crate::event::{Event, Events};
use crate::facts::Facts;
use crate::pki::Authorities;
use crate::settings::Release;
use ingot_bundle::VerifiedBundle;
use ingot_cluster::{Cluster, Node};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

mod ask;

pub use ask::Unanswered;

/// Choices of the person who runs the driver.
#[derive(Debug, Clone)]
pub struct Options {
    /// Trusted SSH host keys.
    pub known_hosts: PathBuf,
    /// Trust and record keys of hosts that are not on record.
    pub accept_new_host_keys: bool,
    /// How long a host may take to answer.
    pub connect_timeout: Duration,
    /// How long a connected host may be silent before it counts as lost.
    pub silence_timeout: Duration,
    /// How long the cluster may take to become ready.
    pub ready_timeout: Duration,
    /// Names of preflight checks whose errors are only warned about.
    pub ignored_checks: Vec<String>,
    /// Who holds the lease, for other people: `anna@laptop (process 7, since 12:00)`.
    pub holder: String,
    /// Only these nodes; empty for all.
    pub only: Vec<String>,
}

/// A host that takes part.
pub struct Machine {
    /// Its place in the cluster.
    pub node: Node,
    /// The conversation with its agent.
    pub session: Session,
    /// What it is like; gathered by the first phases.
    pub facts: Facts,
}

/// A run over all hosts of a cluster.
pub struct Driver {
    /// What the cluster shall be.
    pub cluster: Cluster,
    /// What hosts are given.
    pub release: Release,
    /// Where it comes from.
    pub bundle: VerifiedBundle,
    /// The program that becomes the agent, and its SHA-256 in hexadecimal.
    pub program: (Arc<Vec<u8>>, String),
    /// The choices of the person.
    pub options: Options,
    /// Hosts that take part, by name.
    pub machines: BTreeMap<String, Machine>,
    /// Hosts that failed, with the reason.
    pub failed: BTreeMap<String, Failure>,
    /// The cluster's authorities, once read or made.
    pub authorities: Option<Authorities>,
    /// Who is told what happens.
    pub events: Arc<dyn Events>,
    /// How many things were changed in the present phase.
    pub changed: usize,
}

impl Driver {
    /// Says what happens.
    pub fn tell(&self, event: Event) {
        self.events.tell(event);
    }

    /// Takes note that a node failed; it takes no further part.
    pub fn fail(&mut self, node: &str, phase: &str, failure: Failure) {
        self.machines.remove(node);
        let failure = failure.on(node).during(phase);
        self.tell(Event::NodeFailed {
            node: node.into(),
            phase: phase.into(),
            failure: failure.clone(),
        });
        self.failed.insert(node.into(), failure);
    }

    /// Lets machines go whose conversation is over, so that nobody waits for them.
    pub fn drop_lost(&mut self, phase: &str) {
        let lost: Vec<(String, Failure)> = self
            .machines
            .iter_mut()
            .filter_map(|(name, machine)| Some((name.clone(), machine.session.lost()?)))
            .collect();
        for (node, failure) in lost {
            self.fail(&node, phase, failure);
        }
    }

    /// Does `work` on all machines that `take_part` at once. Those that fail drop out; the number of
    /// changes of the others is added up.
    pub async fn each(
        &mut self,
        phase: &'static str,
        take_part: impl Fn(&Node) -> bool,
        work: impl AsyncFn(&mut Machine) -> Result<usize, Failure>,
    ) {
        let machines = std::mem::take(&mut self.machines);
        let running = machines.into_iter().map(|(name, mut machine)| {
            let (work, take_part, events) = (&work, &take_part, &self.events);
            async move {
                if !take_part(&machine.node) {
                    return (name, machine, None);
                }
                let result = work(&mut machine).await;
                if let Ok(changed) = result {
                    events.tell(Event::NodeFinished {
                        node: name.clone(),
                        phase: phase.into(),
                        changed,
                    });
                }
                (name, machine, Some(result))
            }
        });
        let ended = futures::future::join_all(running).await;
        let mut failures = Vec::new();
        for (name, machine, result) in ended {
            match result {
                Some(Err(failure)) => failures.push((name, failure)),
                Some(Ok(changed)) => {
                    self.changed += changed;
                    self.machines.insert(name, machine);
                }
                None => drop(self.machines.insert(name, machine)),
            }
        }
        for (name, failure) in failures {
            self.fail(&name, phase, failure);
        }
    }

    /// A control plane that takes part.
    pub fn any_control_plane(&mut self) -> Option<&mut Machine> {
        self.machines
            .values_mut()
            .find(|machine| machine.node.is_control_plane())
    }

    /// Told about progress on a node, from inside [`Driver::each`].
    pub fn progress(&self, phase: &'static str) -> Progress {
        Progress {
            events: Arc::clone(&self.events),
            phase,
        }
    }
}

/// Tells progress of nodes within a phase.
#[derive(Clone)]
pub struct Progress {
    events: Arc<dyn Events>,
    phase: &'static str,
}

impl Progress {
    /// `node` does `message`; `fraction` is how much is done, 0 to 1.
    pub fn tell(&self, node: &str, message: impl Into<String>, fraction: Option<f64>) {
        self.events.tell(Event::NodeProgress {
            node: node.into(),
            phase: self.phase.into(),
            message: message.into(),
            fraction,
        });
    }
}
