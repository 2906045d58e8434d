//! What an agent does while nobody asks it for anything: it looks at how full its thin pools are.

use crate::bed::config;
use ingot_lvm::{
    Backend, Command, Deadlines, Executor, Kind, Layout, NewLv, Recording, Sim, SimDisk, SimGroup,
    Tags,
};
use ingot_lvm_csi::agent::Agent;
use ingot_lvm_csi::config::{NodeConfig, PoolConfig};
use ingot_lvm_csi::object::Key;
use ingot_lvm_csi::store::{MemoryStore, Store};
use ingot_volume_brain::{Bytes, FilesystemTag, LvName, LvState, NameHash, VgName, VolumeUid};
use std::collections::BTreeSet;
use std::sync::Arc;

fn vg(number: usize) -> VgName {
    VgName::new(&format!("ingot-thin-{number}")).expect("a name")
}

/// A node with three thin pools, and what its agent asks of it.
async fn node() -> (Arc<Recording<Sim>>, Arc<dyn Store>, Arc<Agent>, NodeConfig) {
    let one = config("node-1");
    let disk = |number| format!("/dev/disk/by-id/only-{number}");
    let pool = |number| PoolConfig {
        name: format!("thin-{number}"),
        volume_group: vg(number),
        devices: vec![disk(number)],
        ..one.pools[0].clone()
    };
    let config = NodeConfig {
        pools: (0..3).map(pool).collect(),
        ..one
    };
    let group = |number| {
        let disk = SimDisk::new(disk(number), Bytes::gib(100));
        SimGroup::named(vg(number), vec![disk]).erased()
    };
    let sim = Arc::new(Recording::new(Sim::new((0..3).map(group))));
    let store: Arc<dyn Store> = Arc::new(MemoryStore::default());
    let backend: Arc<dyn Backend> = sim.clone();
    let executor = Executor::new(backend, Deadlines::default());
    let agent = Agent::new(config.clone(), Arc::clone(&store), executor);
    assert!(agent.prepare_pools().await.is_empty(), "the pools are made");
    sim.take();
    (sim, store, agent, config)
}

#[tokio::test]
async fn thin_pools_are_looked_at_without_lvm_until_there_is_something_to_do() {
    let (sim, store, agent, config) = node().await;
    agent.guard_pools().await;
    // Side by side, so in any order.
    let asked = |sim: &Recording<Sim>| -> BTreeSet<String> {
        let asked = sim.take().into_iter();
        asked.map(|command| command.name()).collect()
    };
    let looks = |number| Command::ThinFill {
        vg: vg(number),
        pool: LvName::new("pool").expect("a name"),
    };
    let only_looks: BTreeSet<String> = (0..3).map(|number| looks(number).name()).collect();
    assert_eq!(asked(&sim), only_looks);

    // Pods write: that is told, and LVM has nothing to do with it.
    let Some(thin) = config.pools[1].thin.clone() else {
        panic!("a thin pool")
    };
    let lv = LvName::volume(VolumeUid(1));
    let volume = Command::Create(NewLv {
        vg: vg(1),
        lv: lv.clone(),
        size: Bytes::gib(39),
        layout: Layout::Thin { pool: thin.pool },
        tags: Tags {
            uid: VolumeUid(1),
            name: NameHash(1),
            kind: Kind::Volume,
            state: LvState::Ready,
            filesystem: FilesystemTag::Unformatted,
            copied: false,
            encrypted: false,
            parent: None,
        },
    });
    sim.inner().run(&volume).expect("made");
    let write = |size| sim.inner().fill(&vg(1), &lv, size).expect("written");
    write(Bytes::gib(20));
    agent.guard_pools().await;
    assert_eq!(asked(&sim), only_looks);
    let pool = async || {
        let key = Key::pool(&config.node, "thin-1");
        let stored = store.get(&key).await.expect("in memory").expect("told");
        stored.object.pool().expect("a pool").clone()
    };
    let space = pool().await.space.thin.expect("thin");
    assert!((space.data - 0.5).abs() < 0.01, "{space:?}");

    // Now it is to grow.
    write(Bytes::gib(10));
    agent.guard_pools().await;
    let grown = sim.take();
    assert!(grown.contains(&Command::Scan(vg(1))), "{grown:?}");
    let others = |command: &&Command| matches!(command, Command::Scan(of) if *of != vg(1));
    assert_eq!(grown.iter().find(others), None);
    let space = pool().await.space.thin.expect("thin");
    assert_eq!(space.size, Bytes::gib(48));

    // A disk goes, and is back: LVM is asked what is wrong until it finds nothing.
    sim.inner().unplug(&vg(2), 0, true);
    agent.guard_pools().await;
    assert!(sim.take().contains(&Command::Scan(vg(2))));
    agent.guard_pools().await;
    assert!(sim.take().contains(&Command::Scan(vg(2))));
    sim.inner().unplug(&vg(2), 0, false);
    agent.guard_pools().await;
    sim.take();
    agent.guard_pools().await;
    assert_eq!(asked(&sim), only_looks);
}
