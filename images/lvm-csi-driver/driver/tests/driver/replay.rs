//! A trace that the model checker found against a careless variant, replayed against the real agent.
//!
//! The volume was ready, its disk disappeared, and a read showed the object as it was before: an
//! agent that makes what seems to be wanted would hand an empty volume to a pod.

use crate::bed::store::FusedStore;
use crate::bed::{config, disks};
use ingot_lvm::{Backend, Command, Deadlines, Executor, Fuse, Kind, Layout, Reply, Sim};
use ingot_lvm_csi::agent::Agent;
use ingot_lvm_csi::object::{Key, Object, Volume, VolumeId};
use ingot_lvm_csi::store::{MemoryStore, Store, Stored};
use ingot_volume_brain::{Bytes, NameHash, NodeName, Phase, Report, VgName, VolumeUid};
use serde_json::Value;
use std::sync::Arc;

const TRACE: &str = include_str!("../../../brain/tests/traces/created_again.json");

fn volume(node: u64, uid: u128) -> Volume {
    Volume {
        kind: Kind::Volume,
        uid: VolumeUid(uid),
        csi_name: "traced".into(),
        node: NodeName::new(&format!("node-{node}")).expect("a name"),
        pool: "thick".into(),
        vg: VgName::new("ingot-thick").expect("a name"),
        layout: Layout::Linear,
        size: Bytes::gib(1),
        deleting: false,
        origin: None,
        encrypted: false,
        filesystem: None,
        limits: ingot_lvm::Limits::default(),
        group: None,
        created: 0,
        report: Report::default(),
        message: String::new(),
        in_use: false,
    }
}

/// An agent that knows nothing yet.
async fn start(sim: &Arc<Sim>, store: &Arc<FusedStore>) -> Arc<Agent> {
    let backend: Arc<dyn Backend> = sim.clone();
    let executor = Executor::new(backend, Deadlines::default());
    let agent = Agent::new(config("node-0"), store.clone(), executor);
    agent.prepare_pools().await;
    agent
}

/// The world of the trace, with the real agent on node 0.
struct World {
    sim: Arc<Sim>,
    memory: Arc<MemoryStore>,
    store: Arc<FusedStore>,
    agent: Arc<Agent>,
    key: Key,
    /// Each version of the object, as the store had it.
    versions: Vec<Option<Stored>>,
    created: u128,
    id: Option<VolumeId>,
}

impl World {
    async fn new() -> Self {
        let sim = Arc::new(Sim::new(disks()));
        let memory = Arc::new(MemoryStore::default());
        let store = FusedStore::new(Arc::clone(&memory), Fuse::default());
        let agent = start(&sim, &store).await;
        Self {
            sim,
            memory,
            store,
            agent,
            key: Key::named(Kind::Volume, NameHash::of("traced")),
            versions: vec![None],
            created: 0,
            id: None,
        }
    }

    fn group(&self) -> ingot_lvm::Group {
        let scan = Command::Scan(VgName::new("ingot-thick").expect("a name"));
        match self.sim.run(&scan) {
            Ok(Reply::Group(group)) => *group,
            other => panic!("{other:?}"),
        }
    }

    async fn remember(&mut self) {
        let now = self.memory.get(&self.key).await.expect("in memory");
        if self.versions.last() != Some(&now) {
            self.versions.push(now);
        }
    }

    /// One step of the trace. The agent works until it rests, so what the model does one by one
    /// (arrivals, commands) has happened by the time the trace comes to it.
    async fn step(&mut self, step: &Value) {
        let (name, detail) = step
            .as_object()
            .and_then(|o| o.iter().next())
            .expect("an action");
        match name.as_str() {
            "Create" => {
                let node = detail["node"].as_u64().expect("a node");
                let wanted = volume(node, self.created);
                self.created += 1;
                // The second controller comes too late: one name, one object.
                if self
                    .memory
                    .create(&self.key, Object::from(wanted.clone()))
                    .await
                    .is_ok()
                {
                    self.id = Some(VolumeId::of(&wanted));
                }
            }
            "Look" => {
                let shown = match detail["view"].as_str() {
                    Some("Now") => None,
                    // The report took one write after the claim: before it, the object was claimed.
                    Some("Before") => {
                        let before = self.versions.iter().rev().find(|stored| {
                            let volume = stored.as_ref().and_then(|s| s.object.volume());
                            volume.is_some_and(|v| v.report.phase != Phase::Ready)
                        });
                        Some(before.cloned().expect("an older version"))
                    }
                    Some("Nothing") => Some(None),
                    other => panic!("{other:?}"),
                };
                *self.store.stale.lock().expect("whole") = shown;
                let id = self.id.expect("created");
                let vg = VgName::new("ingot-thick").expect("a name");
                let _ = self.agent.reconcile_fresh(id, &vg).await;
                *self.store.stale.lock().expect("whole") = None;
            }
            "Lose" => {
                for lv in self.group().lvs {
                    self.sim
                        .lose(&VgName::new("ingot-thick").expect("a name"), &lv.lv);
                }
            }
            "Crash" => self.agent = start(&self.sim, &self.store).await,
            "Arrive" | "Perform" => {}
            other => panic!("the trace has {other}; teach it to the replay"),
        }
        self.remember().await;
    }
}

#[tokio::test]
async fn the_real_agent_withstands_the_trace_that_breaks_a_careless_one() {
    let trace: Vec<Value> = serde_json::from_str(TRACE).expect("a trace");
    let mut world = World::new().await;
    let mut was_ready = false;
    let mut lost = false;
    for step in &trace {
        world.step(step).await;
        was_ready |= world.versions.iter().flatten().any(|stored| {
            stored
                .object
                .volume()
                .is_some_and(|v| v.report.phase == Phase::Ready)
        });
        lost |= step.get("Lose").is_some();
        if lost {
            assert!(world.group().lvs.is_empty(), "made again at {step}");
        }
    }
    assert!(was_ready && lost, "the trace must come to its point");
    // With a true read again, the loss is reported.
    let settle = world.agent.settle().await;
    settle.expect("settles");
    let stored = world
        .memory
        .get(&world.key)
        .await
        .expect("in memory")
        .expect("there");
    let volume = stored.object.volume().expect("a volume");
    assert_eq!(volume.report.phase, Phase::Lost);
    assert!(
        volume
            .message
            .contains("restore it from a snapshot or a backup")
    );
}
