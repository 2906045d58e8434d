//! `ingot volume`: looks at volumes, takes snapshots of them, finds what nobody owns.

use super::run::{HostOptions, YEAR};
use crate::progress::{self, Output};
use ingot_lifecycle::storage::{Objects, ask, orphans, pools, show, snapshot, volumes};
use ingot_lifecycle::{Driver, Failure};
use serde::Serialize;
use std::fmt::Display;
use std::process::ExitCode;
use std::time::Duration;
use tokio::runtime::Runtime;

/// Commands on volumes.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Show all volumes with their claims, and the pools they are in
    List(List),
    /// Show everything of one volume, and what to do next if something is wrong
    Show(Show),
    /// Take a snapshot of a claim and wait until it is ready; only thin volumes have snapshots
    Snapshot(Snapshot),
    /// Show what nobody owns, why, and the commands to decide about it; changes nothing
    Orphans(Orphans),
}

/// Arguments of `volume list`.
#[derive(Debug, clap::Args)]
pub struct List {
    #[command(flatten)]
    hosts: HostOptions,
    /// Only the pools
    #[arg(long)]
    pools: bool,
}

/// Arguments of `volume show`.
#[derive(Debug, clap::Args)]
pub struct Show {
    #[command(flatten)]
    hosts: HostOptions,
    /// The volume: NAMESPACE/CLAIM, its PersistentVolume, its id, or its logical volume
    name: String,
}

/// Arguments of `volume snapshot`.
#[derive(Debug, clap::Args)]
pub struct Snapshot {
    #[command(flatten)]
    hosts: HostOptions,
    /// What to take it of: NAMESPACE/CLAIM, or whatever else `volume show` takes
    claim: String,
    /// What to call it; by default after the claim and the time
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Seconds it may take to become ready
    #[arg(long, value_name = "SECONDS", default_value_t = 120, value_parser = clap::value_parser!(u64).range(..=YEAR))]
    wait: u64,
}

/// Arguments of `volume orphans`.
#[derive(Debug, clap::Args)]
pub struct Orphans {
    #[command(flatten)]
    hosts: HostOptions,
}

impl Command {
    /// How it reports.
    pub fn output(&self) -> Output {
        match self {
            Self::List(List { hosts, .. })
            | Self::Show(Show { hosts, .. })
            | Self::Snapshot(Snapshot { hosts, .. })
            | Self::Orphans(Orphans { hosts }) => hosts.output,
        }
    }
}

/// Runs the command.
///
/// # Errors
/// When no control plane answers, the cluster has no storage, or what was named is not there.
pub fn run(command: Command) -> Result<ExitCode, Failure> {
    match command {
        Command::List(List { hosts, pools: true }) => {
            look(&hosts, |objects| Ok(pools::list(objects)))
        }
        Command::List(List { hosts, .. }) => look(&hosts, |objects| Ok(volumes::list(objects))),
        Command::Show(Show { hosts, name }) => look(&hosts, |objects| show::show(objects, &name)),
        Command::Orphans(Orphans { hosts }) => look(&hosts, |objects| Ok(orphans::list(objects))),
        Command::Snapshot(arguments) => take(&arguments),
    }
}

/// Reads the cluster's storage and shows what `view` makes of it.
///
/// # Errors
/// When no control plane answers, the cluster has no storage, or `view` refuses.
pub fn look<V: Serialize + Display>(
    hosts: &HostOptions,
    view: impl FnOnce(&Objects) -> Result<V, Failure>,
) -> Result<ExitCode, Failure> {
    let (_, _, objects) = read(hosts)?;
    say(&view(&objects)?, hosts.output)
}

/// What the cluster's storage is made of, and the way to ask for more.
fn read(hosts: &HostOptions) -> Result<(Runtime, Driver, Objects), Failure> {
    let mut driver = hosts.driver(Vec::new())?;
    // Standard output is for the one answer, whatever its format.
    driver.events = progress::aside();
    let runtime = super::runtime()?;
    let objects = runtime.block_on(ask::read(&mut driver))?;
    Ok((runtime, driver, objects))
}

fn take(arguments: &Snapshot) -> Result<ExitCode, Failure> {
    let (runtime, mut driver, objects) = read(&arguments.hosts)?;
    let plan = snapshot::plan(&objects, &arguments.claim, arguments.name.as_deref())?;
    let patience = Duration::from_secs(arguments.wait);
    let taken = runtime.block_on(ask::take(&mut driver, &plan, patience))?;
    say(&taken, arguments.hosts.output)
}

fn say<V: Serialize + Display>(view: &V, output: Output) -> Result<ExitCode, Failure> {
    let text = match output {
        Output::Json => {
            serde_json::to_string(view).map_err(|error| Failure::bug(error.to_string()))?
        }
        Output::Text => view.to_string(),
    };
    crate::say!("{}", text.trim_end());
    Ok(ExitCode::SUCCESS)
}
