//! Thin pools whose metadata fills up: nothing is promised any more until it has grown.

use crate::bed::request::{GIB, create};
use crate::bed::{Bed, config, disks};
use ingot_lvm::{Backend, Command, Fuse, Kind, Reply, Sim, SimDisk, SimGroup, ThinUsage};
use ingot_lvm_csi::object::VolumeId;
use ingot_lvm_csi::store::MemoryStore;
use ingot_volume_brain::{Bytes, LvName, VgName};
use std::sync::Arc;
use tonic::Code;

fn usage(sim: &Sim, vg: &VgName) -> ThinUsage {
    let pool = LvName::new("pool").expect("a name");
    match sim.run(&Command::Scan(vg.clone())) {
        Ok(Reply::Group(group)) => group.lv(&pool).and_then(|lv| lv.thin).expect("its fill"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn metadata_that_fills_up_grows_before_snapshots_stop_the_pool() {
    let sim = Arc::new(Sim::new(disks()));
    let mut config = config("node-1");
    if let Some(thin) = &mut config.pools[0].thin {
        thin.metadata = Some(Bytes::mib(8));
    }
    let store = Arc::new(MemoryStore::default());
    let bed = Bed::with(config, Arc::clone(&sim), store, Fuse::default());
    bed.agent.prepare_pools().await;
    let thin = [("pool", "thin")];
    let volume = bed.create(create("v", 12 * GIB, &thin)).await;
    let volume = volume.expect("created");
    let id = VolumeId::parse(Kind::Volume, &volume.volume_id).expect("an id");
    let vg = VgName::new("ingot-thin").expect("a name");
    sim.fill(&vg, &LvName::volume(id.uid), Bytes::gib(6))
        .expect("written");
    bed.agent.settle().await.expect("settles");
    let before = usage(&sim, &vg);
    assert!(before.metadata > 0.8 && before.data < 0.2, "{before:?}");
    let error = bed.create(create("w", GIB, &thin)).await;
    assert_eq!(error.expect_err("full").code(), Code::ResourceExhausted);
    bed.agent.guard_pools().await;
    let after = usage(&sim, &vg);
    assert_eq!(after.metadata_size, Bytes::mib(12));
    assert!(after.metadata < 0.7, "{after:?}");
    bed.create(create("w", GIB, &thin)).await.expect("room now");
    bed.agent.guard_pools().await;
    assert_eq!(
        usage(&sim, &vg).metadata_size,
        Bytes::mib(12),
        "once is enough"
    );
}

#[tokio::test]
async fn a_large_pool_can_be_filled_without_more_metadata() {
    let vg = VgName::new("ingot-thin").expect("a name");
    let mut config = config("node-1");
    config.pools.truncate(1);
    config.pools[0].devices.truncate(1);
    let name = config.pools[0].devices[0].clone();
    if let Some(thin) = &mut config.pools[0].thin {
        thin.size = Bytes::gib(3000);
    }
    let disk = SimDisk::new(name, Bytes::gib(4000));
    let sim = Sim::new([SimGroup::named(vg.clone(), vec![disk]).erased()]);
    let (sim, store) = (Arc::new(sim), Arc::new(MemoryStore::default()));
    let bed = Bed::with(config, Arc::clone(&sim), store, Fuse::default());
    assert!(bed.agent.prepare_pools().await.is_empty());
    let made = usage(&sim, &vg);
    assert_eq!(made.chunk, Bytes(256 << 10));
    let thin = [("pool", "thin")];
    let volume = bed.create(create("v", 2900 * GIB, &thin)).await;
    let id = volume.expect("created").volume_id;
    let id = VolumeId::parse(Kind::Volume, &id).expect("an id");
    sim.fill(&vg, &LvName::volume(id.uid), Bytes::gib(2000))
        .expect("written");
    let full = usage(&sim, &vg);
    assert!(full.data > 0.6 && full.metadata < 0.7, "{full:?}");
}
