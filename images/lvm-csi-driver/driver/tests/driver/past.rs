//! What a disk held before it joined a pool is shown by no raw volume, whenever that is made, and
//! whenever the agent dies meanwhile.

use crate::bed::request::{GIB, create};
use crate::bed::{Bed, config, used_disks};
use ingot_csi_proto::v1;
use ingot_lvm::{
    Backend, Command, Device, Fuse, Group, Kind, LvmError, Passage, Reply, Sim, SimDisk, SimGroup,
};
use ingot_lvm_csi::config::NodeConfig;
use ingot_lvm_csi::object::{Key, VolumeId};
use ingot_lvm_csi::store::MemoryStore;
use ingot_volume_brain::{Bytes, LvName, VgName};
use std::sync::Arc;
use std::time::Duration;
use tonic::Code;

const THICK: [(&str, &str); 1] = [("pool", "thick")];

fn vg(name: &str) -> VgName {
    VgName::new(name).expect("a name")
}

/// A node of two disks that somebody has used before.
fn node() -> (NodeConfig, Arc<Sim>) {
    let mut config = config("node-1");
    config.pools.remove(0);
    config.pools[0].devices.truncate(2);
    let names = config.pools[0].devices.clone();
    let disks = names.iter().map(|name| SimDisk::new(name, Bytes::gib(3)));
    let sim = Sim::new([SimGroup::named(vg("ingot-thick"), disks.collect())]);
    for name in &names {
        sim.soil(&vg("ingot-thick"), name, "an old secret");
    }
    (config, Arc::new(sim))
}

fn group(sim: &Sim, name: &str) -> Group {
    match sim.run(&Command::Scan(vg(name))) {
        Ok(Reply::Group(group)) => *group,
        other => panic!("{other:?}"),
    }
}

fn shown(sim: &Sim, volume: &v1::Volume) -> Vec<String> {
    let id = VolumeId::parse(Kind::Volume, &volume.volume_id).expect("an id");
    sim.remains(&Device::lv(&vg("ingot-thick"), &LvName::volume(id.uid)))
}

async fn left(bed: &Bed, pool: &str) -> Bytes {
    let key = Key::pool(&"node-1".parse().expect("a name"), pool);
    let stored = bed.store.get(&key).await.expect("in memory");
    let pool = stored.and_then(|stored| stored.object.pool().cloned());
    pool.map_or(Bytes(1), |pool| pool.overwriting)
}

/// Waits until everything is overwritten.
async fn overwritten(bed: &Bed, pool: &str) {
    for _ in 0..1000 {
        if left(bed, pool).await == Bytes::ZERO {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("{:?} is left", left(bed, pool).await);
}

/// Asks until there is room, as the provisioner does.
async fn created(bed: &Bed, name: &str, size: i64) -> v1::Volume {
    let mut last = None;
    for _ in 0..1000 {
        match bed.create(create(name, size, &THICK)).await {
            Ok(volume) => return volume,
            Err(error) => last = Some(error),
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("{last:?}");
}

fn erases(command: &Command) -> bool {
    matches!(command, Command::Erase { .. })
}

#[tokio::test]
async fn a_raw_volume_shows_nothing_of_it_when_it_is_made_and_when_it_grows() {
    let (config, sim) = node();
    let bed = Bed::with(
        config,
        sim.clone(),
        Arc::new(MemoryStore::default()),
        Fuse::default(),
    );
    bed.agent.prepare_pools().await;
    let volume = created(&bed, "v", GIB).await;
    assert_eq!(shown(&sim, &volume), Vec::<String>::new());
    overwritten(&bed, "thick").await;
    bed.expand(&volume.volume_id, 5 * GIB).await.expect("grown");
    assert_eq!(shown(&sim, &volume), Vec::<String>::new());
    let group = group(&sim, "ingot-thick");
    assert!(group.pvs.iter().all(|pv| pv.erased), "{:?}", group.pvs);
    assert!(group.reserves().next().is_none());
}

#[tokio::test]
async fn space_is_offered_as_it_is_overwritten_and_who_waits_is_told() {
    let (config, sim) = node();
    let store = Arc::new(MemoryStore::default());
    let bed = Bed::with(config, sim.clone(), store, Fuse::default()).impatient();
    bed.faulty.hang(erases);
    bed.agent.prepare_pools().await;
    let error = bed
        .create(create("v", GIB, &THICK))
        .await
        .expect_err("no room yet");
    assert_eq!(error.code(), Code::ResourceExhausted);
    let words = "of a new disk is being overwritten first, ask again later";
    assert!(error.message().contains(words), "{error}");
    let notes = bed.agent.disk_notes().await;
    assert_eq!(notes.len(), 2);
    assert!(
        notes[0]
            .text
            .contains("is being overwritten before pool thick uses it: 0 % done"),
        "{notes:?}"
    );
    bed.faulty.release();
    // The group of the disk that hung is told to be held up for a moment.
    created(&bed, "v", GIB).await;
    for _ in 0..100 {
        bed.agent.guard_pools().await;
        if left(&bed, "thick").await == Bytes::ZERO {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("it does not end");
}

#[tokio::test]
async fn a_disk_that_cannot_be_overwritten_is_told_with_what_to_do() {
    let (config, sim) = node();
    let store = Arc::new(MemoryStore::default());
    let bed = Bed::with(config, sim.clone(), store, Fuse::default());
    bed.faulty.fail(|command| {
        erases(command).then(|| LvmError::Failed {
            command: "blkdiscard".into(),
            reason: "Input/output error".into(),
        })
    });
    bed.agent.prepare_pools().await;
    let mut said = Vec::new();
    for _ in 0..500 {
        said = bed.agent.disk_notes().await;
        if said
            .iter()
            .any(|note| note.text.contains("Input/output error"))
        {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let told = said.iter().any(|note| {
        note.text
            .contains("blkdiscard failed: Input/output error; or set `erase: false` of the pool")
    });
    assert!(told, "{said:?}");
    bed.faulty.release();
    bed.agent.guard_pools().await;
    overwritten(&bed, "thick").await;
}

#[tokio::test]
async fn who_does_not_mind_has_the_whole_disk_at_once() {
    let (mut config, sim) = node();
    config.pools[0].erase = false;
    let store = Arc::new(MemoryStore::default());
    let bed = Bed::with(config.clone(), sim.clone(), store.clone(), Fuse::default());
    bed.agent.prepare_pools().await;
    let volume = bed.create(create("v", GIB, &THICK)).await.expect("at once");
    assert_eq!(shown(&sim, &volume), ["an old secret"]);
    bed.delete(&volume.volume_id).await.expect("deleted");
    drop(bed);
    // Who minds from now on gets nothing of before, and who does not any more takes the mark off.
    config.pools[0].erase = true;
    let bed = Bed::with(config.clone(), sim.clone(), store.clone(), Fuse::default());
    bed.agent.prepare_pools().await;
    let volume = created(&bed, "w", GIB).await;
    assert_eq!(shown(&sim, &volume), Vec::<String>::new());
    overwritten(&bed, "thick").await;
    drop(bed);
    config.pools[0].erase = false;
    let bed = Bed::with(config, sim.clone(), store, Fuse::default());
    bed.agent.prepare_pools().await;
    let group = group(&sim, "ingot-thick");
    assert!(group.pvs.iter().all(|pv| !pv.erased), "{:?}", group.pvs);
}

/// One life in which the driver may die, and the next. What the volume shows that was made then, and
/// the steps of the first life.
async fn survived(fuse: Fuse) -> (Vec<String>, Vec<String>) {
    let (config, sim) = node();
    let store: Arc<MemoryStore> = Arc::new(MemoryStore::default());
    let mut bed = Bed::with(config.clone(), sim.clone(), store.clone(), fuse.clone());
    bed.agent.prepare_pools().await;
    for _ in 0..1000 {
        if fuse.blown() || left(&bed, "thick").await == Bytes::ZERO {
            break;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let steps = fuse.steps();
    bed.kill().await;
    drop(bed);
    sim.reboot();
    // Its agent has not come to its pools when somebody asks.
    let bed = Bed::with(config, sim.clone(), store, Fuse::default());
    let volume = created(&bed, "v", GIB).await;
    let shown = shown(&sim, &volume);
    bed.agent.guard_pools().await;
    overwritten(&bed, "thick").await;
    let group = group(&sim, "ingot-thick");
    assert!(group.pvs.iter().all(|pv| pv.erased), "{:?}", group.pvs);
    let size: u64 = group.pvs.iter().map(|pv| pv.size.0).sum();
    let free = group.free().saturating_add(Bytes::gib(1));
    assert_eq!(free, Bytes(size), "all of it is offered");
    (shown, steps)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_driver_may_die_at_any_step_of_it() {
    let (shown, steps) = survived(Fuse::default()).await;
    assert_eq!(shown, Vec::<String>::new());
    assert!(steps.len() > 10, "{steps:#?}");
    for step in 0..steps.len() {
        for passage in [Passage::Before, Passage::After] {
            let (shown, steps) = survived(Fuse::armed(step, passage)).await;
            let last = steps.last();
            assert_eq!(shown, Vec::<String>::new(), "{step} {passage:?} ({last:?})");
        }
    }
}

#[tokio::test]
async fn a_thin_pool_grows_into_what_is_kept_apart() {
    let sim = Arc::new(Sim::new(used_disks()));
    let store = Arc::new(MemoryStore::default());
    let bed = Bed::with(config("node-1"), sim.clone(), store, Fuse::default());
    bed.faulty
        .hang(|command| erases(command) && command.lane().to_string().contains("erase-"));
    bed.agent.prepare_pools().await;
    let thin = create("v", 40 * GIB, &[("pool", "thin")]);
    let volume = bed.create(thin).await.expect("thin volumes do not wait");
    let id = VolumeId::parse(Kind::Volume, &volume.volume_id).expect("an id");
    let lv = LvName::volume(id.uid);
    sim.fill(&vg("ingot-thin"), &lv, Bytes::gib(30))
        .expect("filled");
    let kept = left(&bed, "thin").await;
    assert!(kept > Bytes::gib(15), "{kept}");
    bed.faulty.release();
    let pool = LvName::new("pool").expect("a name");
    for _ in 0..100 {
        bed.agent.guard_pools().await;
        let group = group(&sim, "ingot-thin");
        if group
            .lv(&pool)
            .is_some_and(|pool| pool.size > Bytes::gib(40))
        {
            overwritten(&bed, "thin").await;
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("it does not grow: {:?}", group(&sim, "ingot-thin"));
}
