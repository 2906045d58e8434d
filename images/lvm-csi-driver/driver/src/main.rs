//! The program `lvm-csi-driver`: `agent` on each node, `controller` once or twice a cluster.

mod arguments;

use ::kube::Client;
use arguments::{AgentOptions, Arguments, ControllerOptions, PATIENCE, Part};
use clap::Parser;
use futures::future::{BoxFuture, FutureExt, Shared, TryFutureExt};
use ingot_lvm::real::let_go_on;
use ingot_lvm::{Backend, Deadlines, Executor, Real, RealGroup, Sim, SimDisk, SimGroup, Tool};
use ingot_lvm_csi::agent::{Agent, FormatRecords};
use ingot_lvm_csi::backups::{self, Front};
use ingot_lvm_csi::config::NodeConfig;
use ingot_lvm_csi::controller::ControllerService;
use ingot_lvm_csi::crash_points::{self, CrashPoints};
use ingot_lvm_csi::disks::DiskReporter;
use ingot_lvm_csi::metrics::{self, Measured, Metrics};
use ingot_lvm_csi::node::NodeService;
use ingot_lvm_csi::registration::register;
use ingot_lvm_csi::server::{Services, serve};
use ingot_lvm_csi::snapshot_metadata::SnapshotMetadataService;
use ingot_lvm_csi::store::kube::{self, Configuration, KubeStore, Role};
use ingot_lvm_csi::store::{DirectoryStore, Store};
use ingot_volume_brain::Bytes;
use nix::fcntl::{Flock, FlockArg};
use std::error::Error;
use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main]
async fn main() -> ExitCode {
    let done = match Arguments::parse().part {
        Part::Agent(options) => agent(options).await,
        Part::Controller(options) => controller(options).await,
        Part::Guardian { seconds, groups } => guardian(seconds, &groups).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("lvm-csi-driver: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The end of the program, for all who have to end.
type End = Shared<BoxFuture<'static, ()>>;

async fn agent(options: AgentOptions) -> Result<(), Box<dyn Error>> {
    let end = ended()?.boxed().shared();
    let _alone = alone(&options.socket)?;
    let node = options.node.clone().filter(|_| options.objects.kubernetes);
    let Some(node) = node else {
        let config = NodeConfig::read(&options.config)?;
        let store = DirectoryStore::open(&options.objects.store)?;
        return run_agent(&options, config, store, None, end).await;
    };
    let client = kube::connect(options.objects.kubeconfig.as_deref()).await?;
    let configuration = Configuration::of(client.clone(), node.clone());
    let config = tokio::select! {
        config = configuration.wait() => config,
        () = end.clone() => return Ok(()),
    };
    let store = KubeStore::new(client.clone(), Role::Agent(node));
    let other = config.clone();
    let end = async move {
        tokio::select! {
            () = end => {}
            // Pools, executors and guards are made for one configuration; whoever started the
            // program starts it again.
            () = configuration.replaced(&other) => eprintln!("the StorageNode changed: ending"),
        }
    };
    let end = end.boxed().shared();
    run_agent(&options, config, store, Some(client), end).await
}

async fn run_agent(
    options: &AgentOptions,
    config: NodeConfig,
    store: Arc<dyn Store>,
    client: Option<Client>,
    end: End,
) -> Result<(), Box<dyn Error>> {
    let backend: Arc<dyn Backend> = match &options.simulate {
        Some(file) => {
            let sim = Sim::in_file(file.clone(), simulated(&config))?;
            Arc::new(sim.with_wipe(config.wipe.clone()))
        }
        None => {
            tools_are_there()?;
            Arc::new(real(&config))
        }
    };
    let points = CrashPoints::of("agent");
    let backend = crash_points::backend(backend, points.as_ref());
    let store = crash_points::store(store, points.as_ref());
    let metrics = Metrics::default();
    let backend = Arc::new(Measured::new(backend, metrics.clone()));
    let executor = Executor::new(backend, Deadlines::default());
    let listener = match config.metrics {
        Some(address) => Some(metrics::listen(address).await?),
        None => None,
    };
    let formats = match &options.records {
        Some(folder) => FormatRecords::within(folder)
            .map_err(|error| format!("{}: {error}", folder.display()))?,
        None => FormatRecords::default(),
    };
    let own = config.node.clone();
    let agent = Agent::with_records(config.clone(), store.clone(), executor, formats);
    if options.simulate.is_none() {
        let disks = DiskReporter::new(config, store.clone(), "/".into());
        // Until the process ends.
        tokio::spawn(disks.beside(Arc::clone(&agent)).run());
    }
    if let Some(listener) = listener {
        eprintln!("metrics at http://{}/metrics", listener.local_addr()?);
        // Until the process ends.
        tokio::spawn(metrics::serve(
            listener,
            Arc::clone(&agent),
            metrics.clone(),
        ));
    }
    let work = tokio::spawn(Arc::clone(&agent).run());
    let snapshot_metadata = SnapshotMetadataService::new(Arc::clone(&agent));
    let at = options.address.zip(options.snapshot_metadata);
    if let (Some(client), Some((address, port))) = (client, at) {
        let local = snapshot_metadata.clone();
        let front = Front::new(client.clone(), store.clone(), own, port, local);
        let at = SocketAddr::new(address, port);
        // Until the process ends.
        tokio::spawn(backups::serve(client, front, at));
    }
    let node = NodeService::new(agent);
    let limits = tokio::spawn(node.clone().follow_limits());
    let services = Services {
        node: Some(node),
        snapshot_metadata: Some(snapshot_metadata),
        metrics: Some(metrics),
        controller: options
            .with_controller
            .then(|| ControllerService::new(store, Duration::from_secs(PATIENCE))),
    };
    let served = serve(&options.socket, services, end.clone());
    match &options.plugins_registry {
        None => served.await?,
        Some(registry) => {
            let known = register(registry, &options.socket, end);
            // The first that fails ends the other.
            tokio::try_join!(
                served.map_err(Box::<dyn Error>::from),
                known.map_err(Box::<dyn Error>::from)
            )?;
        }
    }
    work.abort();
    limits.abort();
    Ok(())
}

async fn controller(options: ControllerOptions) -> Result<(), Box<dyn Error>> {
    let store: Arc<dyn Store> = if options.objects.kubernetes {
        let client = kube::connect(options.objects.kubeconfig.as_deref()).await?;
        if let Some(address) = options.snapshot_metadata {
            // Until the process ends.
            tokio::spawn(backups::keep(client.clone(), address));
        }
        KubeStore::new(client, Role::Controller)
    } else {
        DirectoryStore::open(&options.objects.store)?
    };
    let points = CrashPoints::of("controller");
    let store = crash_points::store(store, points.as_ref());
    let patience = Duration::from_secs(options.patience);
    let services = Services {
        controller: Some(ControllerService::new(store, patience)),
        ..Services::default()
    };
    serve(&options.socket, services, ended()?).await?;
    Ok(())
}

/// The agent holds the other end of the input, so it ends with it, however that ends. Whoever ends this
/// program ends the waiting, too.
async fn guardian(seconds: f64, groups: &[PathBuf]) -> Result<(), Box<dyn Error>> {
    let end = ended()?;
    let (mut input, mut nothing) = (tokio::io::stdin(), tokio::io::sink());
    tokio::select! {
        _ = tokio::io::copy(&mut input, &mut nothing) => {}
        () = tokio::time::sleep(Duration::try_from_secs_f64(seconds)?) => {}
        () = end => {}
    }
    let_go_on(groups)?;
    // Not by returning: the input may be read for ever.
    std::process::exit(0);
}

/// Better now than in the middle of something, on some other day.
fn tools_are_there() -> Result<(), String> {
    let missing = Tool::missing();
    if missing.is_empty() {
        return Ok(());
    }
    let tool = |tool: &Tool| format!("{} (Debian: {})", tool.name(), tool.package());
    let tools: Vec<String> = missing.iter().map(tool).collect();
    Err(format!(
        "not on the PATH, and needed here: {}; install them and start the agent again",
        tools.join(", ")
    ))
}

/// The node's own LVM, on the disks of its pools.
fn real(config: &NodeConfig) -> Real {
    let groups = config.pools.iter().map(|pool| RealGroup {
        vg: pool.volume_group.clone(),
        devices: pool.devices.clone(),
    });
    let real = Real::new(groups).with_wipe(config.wipe.clone());
    let pools = config.pools.iter();
    pools.fold(real, |real, pool| {
        real.with_serials(&pool.volume_group, &pool.serials)
    })
}

/// Two agents of one node would each make and remove what the other does not know of.
fn alone(socket: &Path) -> Result<Flock<File>, Box<dyn Error>> {
    let path = socket.with_extension("lock");
    // Below the kubelet's directory of plugins, each driver makes one of its own.
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)
            .map_err(|error| format!("{}: {error}", folder.display()))?;
    }
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

/// The disks a simulated node begins with: one of 100 GiB for each device that is configured, which
/// nobody has ever written to.
fn simulated(config: &NodeConfig) -> Vec<SimGroup> {
    let group = |pool: &ingot_lvm_csi::config::PoolConfig| {
        let disks = pool.devices.iter().chain(&pool.serials);
        let disks = disks.map(|name| SimDisk::new(name.clone(), Bytes::gib(100)));
        SimGroup::named(pool.volume_group.clone(), disks.collect()).erased()
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
