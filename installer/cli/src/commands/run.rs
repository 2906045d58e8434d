//! What commands that work on hosts share: options, the driver, the end of a run.

use crate::inputs::{self, BundleInput, ClusterInput};
use crate::mistake;
use crate::progress::{self, Output};
use crate::report;
use ingot_cluster::Places;
use ingot_lifecycle::driver::{Driver, Options};
use ingot_lifecycle::error::chain;
use ingot_lifecycle::run_journal::{Recorded, RunJournal, RunJournalError};
use ingot_lifecycle::sequence::{self, Phase};
use ingot_lifecycle::settings::Release;
use ingot_lifecycle::{Event, Failure, FailureKind};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

/// The longest time that may be given, in seconds: no clock counts to a deadline without end.
pub const YEAR: u64 = 365 * 86_400;

/// Options of every command that reaches hosts.
#[derive(Debug, Clone, clap::Args)]
pub struct HostOptions {
    #[command(flatten)]
    pub cluster: ClusterInput,
    #[command(flatten)]
    bundle: BundleInput,
    /// The file of trusted SSH host keys
    #[arg(long, value_name = "FILE", env = "INGOT_KNOWN_HOSTS")]
    known_hosts: Option<PathBuf>,
    /// Trust and record the keys of hosts that are not on record yet
    #[arg(long)]
    accept_new_host_keys: bool,
    /// Seconds a host may take to answer
    #[arg(long, value_name = "SECONDS", default_value_t = 15, value_parser = clap::value_parser!(u64).range(1..=YEAR))]
    connect_timeout: u64,
    /// Seconds a connected host may be silent before it counts as lost
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=YEAR))]
    silence_timeout: u64,
    /// Seconds the cluster may take to become ready
    #[arg(long, value_name = "SECONDS", default_value_t = 600, value_parser = clap::value_parser!(u64).range(..=YEAR))]
    ready_timeout: u64,
    /// A check whose errors are only warned about; may be given more than once
    #[arg(long = "ignore-check", value_name = "NAME")]
    ignored_checks: Vec<String>,
    /// How to report: text for people, json for programs
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    pub output: Output,
}

fn holder() -> String {
    let user = std::env::var("SUDO_USER")
        .or_else(|_| std::env::var("USER"))
        .unwrap_or_else(|_| "root".into());
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{user}@{}, process {}", host.trim(), std::process::id())
}

impl HostOptions {
    /// The driver for these options.
    ///
    /// # Errors
    /// When an input is wrong.
    pub fn driver(&self, only: Vec<String>) -> Result<Driver, Failure> {
        self.inputs(only).map(|(driver, _)| driver)
    }

    /// The driver for these options, for a run that brings cluster.yaml to the hosts: what it overrides is
    /// tried first, with the programs of the bundle.
    ///
    /// # Errors
    /// When an input is wrong; everything that the programs refuse.
    pub fn tried_driver(&self, only: Vec<String>) -> Result<Driver, Failure> {
        let (driver, places) = self.inputs(only)?;
        super::tried::overrides(&driver, &places)?;
        Ok(driver)
    }

    fn inputs(&self, only: Vec<String>) -> Result<(Driver, Places), Failure> {
        let (cluster, places) = self.cluster.load()?;
        for name in &only {
            if !cluster.nodes.iter().any(|node| node.name.as_str() == name) {
                let known: Vec<_> = cluster
                    .nodes
                    .iter()
                    .map(|node| node.name.to_string())
                    .collect();
                let text = format!(
                    "cluster.yaml has no node `{name}`; it has: {}",
                    known.join(", ")
                );
                return Err(Failure::text(FailureKind::Input, text));
            }
        }
        let bundle = self.bundle.open()?;
        let (program, digest) = inputs::own_program()?;
        let known_hosts = self.known_hosts.clone().unwrap_or_else(|| {
            PathBuf::from(std::env::var_os("HOME").unwrap_or_else(|| "/root".into()))
                .join(".ssh/known_hosts")
        });
        let driver = Driver {
            release: Release::of(bundle.manifest()),
            cluster,
            bundle,
            program: (Arc::new(program), digest),
            options: Options {
                known_hosts,
                accept_new_host_keys: self.accept_new_host_keys,
                connect_timeout: Duration::from_secs(self.connect_timeout),
                silence_timeout: Duration::from_secs(self.silence_timeout),
                ready_timeout: Duration::from_secs(self.ready_timeout),
                ignored_checks: self.ignored_checks.clone(),
                holder: holder(),
                only,
            },
            machines: BTreeMap::new(),
            failed: BTreeMap::new(),
            authorities: None,
            events: progress::reporter(self.output),
            changed: 0,
        };
        Ok((driver, places))
    }
}

/// Options of commands that change hosts.
#[derive(Debug, Clone, clap::Args)]
pub struct ChangeOptions {
    #[command(flatten)]
    hosts: HostOptions,
    /// The record of runs; by default one for each cluster below ~/.local/state/ingot
    #[arg(long, value_name = "FILE", env = "INGOT_JOURNAL")]
    journal: Option<PathBuf>,
}

impl ChangeOptions {
    /// Runs `phases` on the hosts named by `only`, on all where it is empty, and reports. What happens
    /// is recorded as a run of `command`; an interruption ends it cleanly.
    ///
    /// # Errors
    /// When an input is wrong, or the run cannot be recorded.
    pub fn run(
        &self,
        command: &str,
        only: Vec<String>,
        phases: &'static [Phase],
    ) -> Result<ExitCode, Failure> {
        let mut driver = match phases.contains(&Phase::Preflight) {
            true => self.hosts.tried_driver(only)?,
            false => self.hosts.driver(only)?,
        };
        let input = |error: RunJournalError| Failure::new(FailureKind::Input, &error);
        let path = match &self.journal {
            Some(path) => path.clone(),
            None => state_directory()?.join(format!("{}.jsonl", driver.cluster.name)),
        };
        let (journal, unfinished) =
            RunJournal::begin(&path, command, &driver.options.holder).map_err(input)?;
        let journal = Arc::new(journal);
        driver.events = Arc::new(Recorded {
            journal: Arc::clone(&journal),
            events: driver.events,
        });
        if let Some(unfinished) = unfinished {
            driver.tell(Event::Warning {
                node: None,
                message: unfinished.to_string(),
            });
        }
        let runtime = super::runtime()?;
        let sequence = sequence(driver, phases, self.hosts.output);
        let ended = mistake::caught(|| Ok(runtime.block_on(sequence)));
        let code = match &ended {
            Ok(code) => *code,
            Err(failure) => failure.kind.exit_code(),
        };
        // The work is done and reported; a record that lacks its last line takes nothing of it back.
        if let Err(error) = journal.end(code) {
            crate::talk!("warning: {}", chain(&error));
        }
        match ended {
            Ok(code) => Ok(ExitCode::from(code)),
            Err(failure) => Err(failure.hint(format!("continue with: {}", same_command()))),
        }
    }

    /// How it reports.
    pub fn output(&self) -> Output {
        self.hosts.output
    }
}

/// Where programs keep what they want to find again (XDG Base Directory Specification, state).
fn state_directory() -> Result<PathBuf, Failure> {
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/state"));
    let base = std::env::var_os("XDG_STATE_HOME")
        .map(PathBuf::from)
        .or_else(home);
    base.map(|base| base.join("ingot")).ok_or_else(|| {
        Failure::text(
            FailureKind::Input,
            "there is no place for the record of runs: HOME is not set",
        )
        .hint("name one with --journal FILE")
    })
}

/// The command line that was typed, for the person to type again.
pub fn same_command() -> String {
    let mut words: Vec<String> = std::env::args()
        .map(|word| ingot_transport::quote(&word))
        .collect();
    if let Some(first) = words.first_mut() {
        *first = "ingot".into();
    }
    words.join(" ")
}

/// Runs a sequence and reports; returns the exit code.
async fn sequence(mut driver: Driver, phases: &'static [Phase], output: Output) -> u8 {
    let result = tokio::select! {
        // First, so that no host is reached before Ctrl-C is listened for.
        biased;
        _ = tokio::signal::ctrl_c() => {
            report::interrupted(output, &same_command());
            return 130;
        }
        result = sequence::run(&mut driver, phases) => result,
    };
    report::end(&driver, &result, output, &same_command())
}
