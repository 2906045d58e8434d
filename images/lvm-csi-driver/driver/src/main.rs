//! The program `lvm-csi-driver`: `agent` on each node, `controller` once or twice a cluster.

use clap::{Parser, Subcommand};
use ingot_lvm::{Backend, Deadlines, Executor, Real, RealGroup, Sim, SimGroup};
use ingot_lvm_csi::agent::Agent;
use ingot_lvm_csi::config::NodeConfig;
use ingot_lvm_csi::controller::ControllerService;
use ingot_lvm_csi::crash_points::{self, CrashPoints};
use ingot_lvm_csi::node::NodeService;
use ingot_lvm_csi::server::{Services, serve};
use ingot_lvm_csi::store::DirectoryStore;
use ingot_volume_brain::Bytes;
use nix::fcntl::{Flock, FlockArg};
use std::error::Error;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

/// CSI driver for LVM on each node.
#[derive(Parser)]
#[command(name = "lvm-csi-driver", version)]
struct Arguments {
    #[command(subcommand)]
    part: Part,
}

#[derive(Subcommand)]
enum Part {
    /// Own the volumes of this node and serve the CSI Node service.
    Agent {
        /// The node's configuration.
        #[arg(long, default_value = "/etc/ingot/storage.yaml")]
        config: PathBuf,
        /// Socket that kubelet connects to.
        #[arg(long, default_value = "/run/ingot/csi-node.sock")]
        socket: PathBuf,
        /// Directory of the objects.
        #[arg(long, default_value = "/var/lib/ingot/storage")]
        store: PathBuf,
        /// Use a simulated node, kept in this file, instead of LVM.
        #[arg(long)]
        simulate: Option<PathBuf>,
        /// Serve the Controller service on the same socket, for a single machine.
        #[arg(long)]
        with_controller: bool,
    },
    /// Serve the CSI Controller service.
    Controller {
        /// Socket that the sidecars connect to.
        #[arg(long, default_value = "/run/ingot/csi-controller.sock")]
        socket: PathBuf,
        /// Directory of the objects.
        #[arg(long, default_value = "/var/lib/ingot/storage")]
        store: PathBuf,
        /// Seconds a request waits for the owner of a volume, before it is to be asked again.
        #[arg(long, default_value_t = PATIENCE)]
        patience: u64,
    },
}

/// Seconds a request waits for the owner of a volume.
const PATIENCE: u64 = 10;

#[tokio::main]
async fn main() -> ExitCode {
    let done = match Arguments::parse().part {
        Part::Agent {
            config,
            socket,
            store,
            simulate,
            with_controller,
        } => agent(&config, &socket, &store, simulate, with_controller).await,
        Part::Controller {
            socket,
            store,
            patience,
        } => controller(&socket, &store, Duration::from_secs(patience)).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("lvm-csi-driver: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn agent(
    config: &Path,
    socket: &Path,
    store: &Path,
    simulate: Option<PathBuf>,
    with_controller: bool,
) -> Result<(), Box<dyn Error>> {
    let config = NodeConfig::read(config)?;
    let _alone = alone(socket)?;
    let backend: Arc<dyn Backend> = match simulate {
        Some(file) => Arc::new(Sim::in_file(file, simulated(&config))?),
        None => Arc::new(Real::new(config.pools.iter().map(|pool| RealGroup {
            vg: pool.volume_group.clone(),
            devices: pool.devices.clone(),
        }))),
    };
    let points = CrashPoints::of("agent");
    let backend = crash_points::backend(backend, points.as_ref());
    let store = crash_points::store(DirectoryStore::open(store)?, points.as_ref());
    let executor = Executor::new(backend, Deadlines::default());
    let agent = Agent::new(config, store.clone(), executor);
    let work = tokio::spawn(Arc::clone(&agent).run());
    let node = NodeService::new(agent);
    let limits = tokio::spawn(node.clone().follow_limits());
    let services = Services {
        node: Some(node),
        controller: with_controller
            .then(|| ControllerService::new(store, Duration::from_secs(PATIENCE))),
    };
    serve(socket, services, ended()?).await?;
    work.abort();
    limits.abort();
    Ok(())
}

async fn controller(socket: &Path, store: &Path, patience: Duration) -> Result<(), Box<dyn Error>> {
    let points = CrashPoints::of("controller");
    let store = crash_points::store(DirectoryStore::open(store)?, points.as_ref());
    let services = Services {
        node: None,
        controller: Some(ControllerService::new(store, patience)),
    };
    serve(socket, services, ended()?).await?;
    Ok(())
}

/// Two agents of one node would each make and remove what the other does not know of.
fn alone(socket: &Path) -> Result<Flock<File>, Box<dyn Error>> {
    let path = socket.with_extension("lock");
    let file = File::create(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let lock = Flock::lock(file, FlockArg::LockExclusiveNonblock);
    lock.map_err(|_| {
        format!(
            "{} is held by another agent of this node; stop it first",
            path.display()
        )
        .into()
    })
}

/// The disks a simulated node begins with: one of 100 GiB for each device that is configured.
fn simulated(config: &NodeConfig) -> Vec<SimGroup> {
    let group = |pool: &ingot_lvm_csi::config::PoolConfig| {
        let disks = pool.devices.iter().map(|_| Bytes::gib(100));
        SimGroup::disks(pool.volume_group.clone(), disks)
    };
    config.pools.iter().map(group).collect()
}

/// Ends on SIGTERM and SIGINT.
fn ended() -> Result<impl Future<Output = ()> + Send, std::io::Error> {
    let mut term = signal(SignalKind::terminate())?;
    let mut int = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => {}
        }
    })
}
