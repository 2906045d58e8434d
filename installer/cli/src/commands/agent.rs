//! `ingot agent`: what runs on servers.

use ingot_lifecycle::{Failure, agent, registry};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments of the agent.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    part: Option<Part>,
}

/// Parts that systemd starts.
#[derive(Debug, clap::Subcommand)]
enum Part {
    /// Serve the blobs of this host, read-only
    Registry {
        /// Address and port to listen on
        #[arg(long)]
        listen: SocketAddr,
    },
    /// Write the pod network of this node
    Cni {
        /// Only find out whether it is as it should be; exit code 3 if it is not
        #[arg(long)]
        check: bool,
    },
    /// Put the kernel settings of this node back
    Sysctl {
        /// The file that says what they are
        file: PathBuf,
    },
}

/// Runs the command.
///
/// # Errors
/// When the conversation or a part of it breaks.
pub fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let machine = |error: std::io::Error| Failure::machine(error.to_string());
    match &arguments.part {
        Some(Part::Registry { listen }) => {
            super::runtime()?
                .block_on(registry::serve(*listen))
                .map_err(machine)?;
        }
        Some(Part::Cni { check: true }) => {
            if agent::cni::is_due().map_err(Failure::machine)? {
                let path = agent::cni::CONFLIST;
                return Err(Failure::machine(format!("{path} is not as it should be"))
                    .hint("run `ingot agent cni`, which writes it"));
            }
        }
        Some(Part::Cni { check: false }) => agent::cni::write().map_err(Failure::machine)?,
        Some(Part::Sysctl { file }) => {
            for done in agent::sysctl::put_back(file).map_err(Failure::machine)? {
                crate::talk!("{done}");
            }
        }
        None => {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .map_err(|error| Failure::bug(format!("cannot start the runtime: {error}")))?;
            runtime
                .block_on(async {
                    agent::serve(&mut tokio::io::stdin(), &mut tokio::io::stdout()).await
                })
                .map_err(machine)?;
            // A thread that still waits for input must not keep the agent and its lease alive.
            runtime.shutdown_background();
        }
    }
    Ok(ExitCode::SUCCESS)
}
