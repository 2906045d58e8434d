//! A question that any control plane can answer: one after the other is asked, until one does.

use super::Driver;
use crate::agent::Session;
use crate::error::{Failure, FailureKind};

/// What every control plane said instead of an answer, those that were not even reached included.
#[derive(Debug, Clone, Default)]
pub struct Unanswered {
    /// By name, in the order of the cluster's configuration.
    pub said: Vec<(String, Failure)>,
}

impl Unanswered {
    /// The mistake of ours among them, if there is one: another control plane would say the same.
    pub fn bug(&self) -> Option<Failure> {
        let bug = |(name, failure): &(String, Failure)| {
            (failure.kind == FailureKind::Bug).then(|| failure.clone().on(name))
        };
        self.said.iter().find_map(bug)
    }

    /// One failure for all: `what` happened, and what each of them said.
    pub fn failure(&self, what: &str) -> Failure {
        if let Some(bug) = self.bug() {
            return bug;
        }
        let said: Vec<String> = self
            .said
            .iter()
            .map(|(name, failure)| format!("\n  {name}: {}", failure.message))
            .collect();
        // Wrong input is told as such only where nothing else is in the way.
        let input = |(_, failure): &(String, Failure)| failure.kind == FailureKind::Input;
        let kind = match !said.is_empty() && self.said.iter().all(input) {
            true => FailureKind::Input,
            false => FailureKind::Machine,
        };
        let colon = if said.is_empty() { "" } else { ":" };
        Failure::text(kind, format!("{what}{colon}{}", said.concat()))
    }
}

impl Driver {
    /// Asks one control plane after the other until one answers; also says which.
    ///
    /// # Errors
    /// What each of them said. After a mistake of ours nobody else is asked.
    pub async fn ask<T>(
        &mut self,
        question: impl AsyncFn(&mut Session) -> Result<T, Failure>,
    ) -> Result<(String, T), Unanswered> {
        let mut said = Vec::new();
        for node in self.cluster.nodes.iter().filter(|n| n.is_control_plane()) {
            let name = node.name.to_string();
            let Some(machine) = self.machines.get_mut(&name) else {
                said.extend(self.failed.get(&name).map(|f| (name, f.clone())));
                continue;
            };
            match question(&mut machine.session).await {
                Ok(answer) => return Ok((name, answer)),
                Err(failure) => {
                    let bug = failure.kind == FailureKind::Bug;
                    said.push((name, failure));
                    if bug {
                        break;
                    }
                }
            }
        }
        Err(Unanswered { said })
    }
}
