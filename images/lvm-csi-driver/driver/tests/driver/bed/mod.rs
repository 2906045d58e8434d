//! A node with a simulated LVM, and the driver's services in front of it, in one process.
pub mod health;
pub mod request;
pub mod store;

use ingot_lvm::{Backend, Deadlines, Executor, Faulty, Fuse, Sim, SimDisk, SimGroup, ThinGuard};
use ingot_lvm_csi::agent::{Agent, FormatRecords};
use ingot_lvm_csi::config::{NodeConfig, PoolConfig, ThinConfig};
use ingot_lvm_csi::controller::ControllerService;
use ingot_lvm_csi::node::NodeService;
use ingot_lvm_csi::store::{MemoryStore, Store};
use ingot_volume_brain::{Bytes, LvName, NodeName, VgName};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// What a node has: three disks in a group with a thin pool, and four in one without.
pub fn config(node: &str) -> NodeConfig {
    let disks = |name: &str, count: usize| {
        (0..count)
            .map(|n| format!("/dev/disk/by-id/{name}-{n}"))
            .collect()
    };
    NodeConfig {
        node: NodeName::new(node).expect("a name"),
        pools: vec![
            PoolConfig {
                name: "thin".into(),
                volume_group: VgName::new("ingot-thin").expect("a name"),
                devices: disks("thin", 3),
                thin: Some(ThinConfig {
                    pool: LvName::new("pool").expect("a name"),
                    size: Bytes::gib(40),
                    metadata: None,
                    chunk: None,
                    guard: ThinGuard {
                        ratio: 2.0,
                        ..ThinGuard::default()
                    },
                }),
                serials: Vec::new(),
                unstable_names: false,
                erase: true,
            },
            PoolConfig {
                name: "thick".into(),
                volume_group: VgName::new("ingot-thick").expect("a name"),
                devices: disks("thick", 4),
                thin: None,
                serials: Vec::new(),
                unstable_names: false,
                erase: true,
            },
        ],
        abandoned: BTreeSet::new(),
        wipe: BTreeSet::new(),
        metrics: None,
    }
}

/// The disks of such a node, empty, and nobody has ever written to them.
pub fn disks() -> Vec<SimGroup> {
    used_disks().into_iter().map(SimGroup::erased).collect()
}

/// The same, but nobody knows what was on them.
pub fn used_disks() -> Vec<SimGroup> {
    let group = |name: &str, sizes: &[u64]| {
        let path = |number| format!("/dev/disk/by-id/{name}-{number}");
        let disks = (0..).zip(sizes);
        let disks = disks.map(|(n, size)| SimDisk::new(path(n), Bytes::gib(*size)));
        let vg = VgName::new(&format!("ingot-{name}")).expect("a name");
        SimGroup::named(vg, disks.collect())
    };
    vec![
        group("thin", &[20, 20, 20]),
        group("thick", &[10, 10, 10, 12]),
    ]
}

/// A node and its driver.
pub struct Bed {
    pub sim: Arc<Sim>,
    pub store: Arc<dyn Store>,
    pub faulty: Arc<Faulty>,
    pub agent: Arc<Agent>,
    pub node: NodeService,
    pub controller: ControllerService,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Bed {
    /// A new node, its agent running.
    pub fn new() -> Self {
        Self::over(
            Arc::new(Sim::new(disks())),
            Arc::new(MemoryStore::default()),
            Fuse::default(),
        )
    }

    /// A driver that starts on what is there.
    pub fn over(sim: Arc<Sim>, store: Arc<dyn Store>, fuse: Fuse) -> Self {
        Self::with(config("node-1"), sim, store, fuse)
    }

    pub fn with(config: NodeConfig, sim: Arc<Sim>, store: Arc<dyn Store>, fuse: Fuse) -> Self {
        Self::with_records(config, sim, store, fuse, FormatRecords::default())
    }

    pub fn with_records(
        config: NodeConfig,
        sim: Arc<Sim>,
        store: Arc<dyn Store>,
        fuse: Fuse,
        formats: FormatRecords,
    ) -> Self {
        let faulty = Arc::new(Faulty::new(Arc::clone(&sim), fuse));
        let deadlines = Deadlines {
            command: Duration::from_secs(2),
            format: Duration::from_secs(2),
            queue: Duration::from_secs(2),
        };
        let backend: Arc<dyn Backend> = faulty.clone();
        let executor = Executor::new(backend, deadlines);
        let agent = Agent::with_records(config, Arc::clone(&store), executor, formats);
        let node = NodeService::new(Arc::clone(&agent));
        let tasks = vec![
            tokio::spawn(Arc::clone(&agent).run()),
            tokio::spawn(node.clone().follow_limits()),
        ];
        Self {
            node,
            controller: ControllerService::new(Arc::clone(&store), Duration::from_secs(5)),
            sim,
            store,
            faulty,
            agent,
            tasks,
        }
    }

    /// With a controller that does not wait long.
    pub fn impatient(mut self) -> Self {
        let patience = Duration::from_millis(500);
        self.controller = ControllerService::new(Arc::clone(&self.store), patience);
        self
    }

    /// The driver dies; what it did stays.
    pub async fn kill(&mut self) {
        for task in self.tasks.drain(..) {
            task.abort();
            let _ = task.await;
        }
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        // A command that hangs would keep the test from its end.
        self.faulty.release();
        for task in &self.tasks {
            task.abort();
        }
    }
}
