//! `command`: a program that runs only while its guard says that it is needed.

use super::{Kind, ResourceError, Status};
use crate::change::Change;
use crate::journal::Saved;
use crate::system::System;
use crate::undo::UndoStep;
use serde::Deserialize;
use std::path::PathBuf;

/// A program with a guard. Without a guard it would change something at every run, so one is needed.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct GuardedCommand {
    /// Program and arguments; no shell is involved.
    pub run: Vec<String>,
    /// Not needed while this program succeeds.
    #[serde(default)]
    pub unless: Option<Vec<String>>,
    /// Not needed while this path exists.
    #[serde(default)]
    pub creates: Option<PathBuf>,
    /// What takes its effect back.
    #[serde(default)]
    pub undo: Option<Vec<String>>,
}

fn run(system: &System, line: &[String]) -> Result<bool, ResourceError> {
    let Some((program, args)) = line.split_first() else {
        return Ok(true);
    };
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    Ok(system.commands.run(program, &args)?.success())
}

impl GuardedCommand {
    fn needed(&self, system: &System) -> Result<bool, ResourceError> {
        if self.unless.is_none() && self.creates.is_none() {
            return Err(ResourceError::Conflict(format!(
                "the command `{}` has no guard; give it `unless` or `creates`",
                self.run.join(" ")
            )));
        }
        if self
            .creates
            .as_deref()
            .is_some_and(|path| system.path(path).exists())
        {
            return Ok(false);
        }
        match &self.unless {
            Some(guard) => Ok(!run(system, guard)?),
            None => Ok(true),
        }
    }
}

impl Kind for GuardedCommand {
    fn target(&self) -> String {
        format!("command {}", self.run.join(" "))
    }

    fn check(&self, system: &System) -> Result<Status, ResourceError> {
        if !self.needed(system)? {
            return Ok(Status::InSync);
        }
        Ok(Status::Drifted(vec![Change::create(
            "run",
            self.run.join(" "),
        )]))
    }

    fn way_back(&self, _system: &System, _saved: &Saved) -> Result<Vec<UndoStep>, ResourceError> {
        Ok(self
            .undo
            .iter()
            .filter_map(|line| line.split_first())
            .map(|(program, args)| UndoStep::Run {
                program: program.clone(),
                args: args.to_vec(),
            })
            .collect())
    }

    fn change(&self, system: &System) -> Result<(), ResourceError> {
        let Some((program, args)) = self.run.split_first() else {
            return Ok(());
        };
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        system.commands.must(program, &args)?;
        Ok(())
    }
}
