//! One command a file: its arguments are its help, its function calls the libraries.

mod agent;
mod apply;
mod bundle;
mod completion;
mod disk;
mod kubeconfig;
mod node;
mod plan;
mod run;
mod sandbox;
mod states;
mod status;
mod tried;
mod volume;

use crate::progress::Output;
use clap::Subcommand;
use ingot_lifecycle::Failure;
use std::process::ExitCode;

/// All commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Turn bare servers into a cluster, or complete one that was interrupted
    Bootstrap(run::ChangeOptions),
    /// Make an existing cluster as cluster.yaml describes it; nothing to do changes nothing
    Apply(run::ChangeOptions),
    /// Show what apply would change, without changing anything
    Plan(run::HostOptions),
    /// Show the state of the cluster
    Status(run::HostOptions),
    /// Print a kubeconfig with a new client certificate for an administrator
    Kubeconfig(kubeconfig::Arguments),
    /// Work on single nodes
    #[command(subcommand)]
    Node(node::Command),
    /// Look at volumes, take snapshots, find what nobody owns
    #[command(subcommand)]
    Volume(volume::Command),
    /// Look at the disks of the nodes
    #[command(subcommand)]
    Disk(disk::Command),
    /// Look into bundles
    #[command(subcommand)]
    Bundle(bundle::Command),
    /// Try the product on throw-away servers on this machine
    #[command(subcommand)]
    Sandbox(sandbox::Command),
    /// Apply states of a catalog to this machine, without a cluster
    #[command(subcommand)]
    States(states::Command),
    /// Print a completion script for a shell
    Completion(completion::Arguments),
    /// The part that runs on servers; started by the installer and by systemd
    #[command(subcommand_negates_reqs = true, hide = true)]
    Agent(agent::Arguments),
}

impl Command {
    /// How it reports, failures included.
    pub fn output(&self) -> Output {
        match self {
            Self::Bootstrap(options) | Self::Apply(options) => options.output(),
            Self::Plan(options) | Self::Status(options) => options.output,
            Self::Kubeconfig(arguments) => arguments.output(),
            Self::Node(command) => command.output(),
            Self::Volume(command) => command.output(),
            Self::Disk(command) => command.output(),
            Self::Bundle(command) => command.output(),
            Self::Sandbox(_) | Self::States(_) | Self::Completion(_) | Self::Agent(_) => {
                Output::Text
            }
        }
    }
}

/// Runs a command to its end.
///
/// # Errors
/// Why it could not be completed, for the person who typed it.
pub fn run(command: Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Bootstrap(options) => apply::run("bootstrap", &options),
        Command::Apply(options) => apply::run("apply", &options),
        Command::Plan(options) => plan::run(&options),
        Command::Status(options) => status::run(&options),
        Command::Kubeconfig(arguments) => kubeconfig::run(&arguments),
        Command::Node(command) => node::run(command),
        Command::Volume(command) => volume::run(command),
        Command::Disk(command) => disk::run(command),
        Command::Bundle(command) => bundle::run(command),
        Command::Sandbox(command) => sandbox::run(command),
        Command::States(command) => states::run(command),
        Command::Completion(arguments) => completion::run(&arguments),
        Command::Agent(arguments) => agent::run(&arguments),
    }
}

/// The runtime of commands that talk to hosts.
fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::bug(format!("cannot start the runtime: {error}")))
}
