//! Capacity never lies: what GetCapacity reports can be made, what it refuses cannot.

use crate::bed::request::{GIB, create};
use crate::bed::store::FusedStore;
use crate::bed::{Bed, config, disks};
use ingot_lvm::{Deadlines, Executor, Fuse, Sim};
use ingot_lvm_csi::agent::Agent;
use ingot_lvm_csi::object::Key;
use ingot_lvm_csi::store::{MemoryStore, Store};
use ingot_volume_brain::{Bytes, VgName};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::sync::Arc;
use tonic::Code;

const EXTENT: i64 = 4 << 20;

/// Classes of both pools, with the number of disks that data is spread over.
const CLASSES: [(&[(&str, &str)], i64); 10] = [
    (&[("pool", "thin")], 1),
    (&[("pool", "thick")], 1),
    (
        &[("pool", "thick"), ("layout", "striped"), ("stripes", "3")],
        3,
    ),
    (&[("pool", "thick"), ("layout", "raid1")], 1),
    (
        &[("pool", "thick"), ("layout", "raid1"), ("copies", "4")],
        1,
    ),
    (
        &[("pool", "thick"), ("layout", "raid5"), ("stripes", "3")],
        3,
    ),
    (
        &[("pool", "thick"), ("layout", "raid10"), ("stripes", "2")],
        2,
    ),
    (
        &[
            ("pool", "thick"),
            ("layout", "raid1"),
            ("integrity", "true"),
        ],
        1,
    ),
    (
        &[
            ("pool", "thick"),
            ("layout", "raid5"),
            ("stripes", "3"),
            ("integrity", "true"),
        ],
        3,
    ),
    (
        &[
            ("pool", "thick"),
            ("layout", "raid10"),
            ("integrity", "true"),
        ],
        2,
    ),
];

/// Waits until the agent runs and has published its pools.
async fn ready() -> Bed {
    let bed = Bed::new();
    for _ in 0..500 {
        if let Ok((_, largest)) = bed.capacity(&[]).await
            && largest > 0
        {
            return bed;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("the agent publishes nothing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_reported_can_be_made_and_what_is_not_cannot() {
    let (mut made, mut refused) = (0, 0);
    for seed in 0..12 {
        let mut random = StdRng::seed_from_u64(seed);
        let bed = ready().await;
        let mut there: Vec<String> = Vec::new();
        for round in 0..25 {
            let (class, stripes) = CLASSES[random.random_range(0..CLASSES.len())];
            let (_, largest) = bed.capacity(class).await.expect("capacity");
            // One step more than the largest never fits.
            let more = create(&format!("more-{round}"), largest + stripes * EXTENT, class);
            let error = bed.create(more).await.expect_err("more than the largest");
            assert_eq!(
                error.code(),
                Code::ResourceExhausted,
                "seed {seed}: {class:?}: {error}"
            );
            refused += 1;
            if largest == 0 {
                if let Some(id) = there.pop() {
                    bed.delete(&id).await.expect("deleted");
                }
                continue;
            }
            // All of it, or some of it.
            let size = if random.random_bool(0.3) {
                largest
            } else {
                random.random_range(1..=largest)
            };
            let volume = bed.create(create(&format!("v-{round}"), size, class)).await;
            let volume = volume
                .unwrap_or_else(|e| panic!("seed {seed}: {class:?} {size} of {largest}: {e}"));
            assert!(volume.capacity_bytes >= size);
            made += 1;
            there.push(volume.volume_id);
            if random.random_bool(0.4) {
                let id = there.swap_remove(random.random_range(0..there.len()));
                bed.delete(&id).await.expect("deleted");
            }
        }
        for id in there {
            bed.delete(&id).await.expect("deleted");
        }
    }
    println!("{made} volumes as reported, {refused} refusals as reported");
    assert!(made > 150);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_at_once_get_what_there_is_and_not_more() {
    for class in [[("pool", "thin")], [("pool", "thick")]] {
        let bed = Arc::new(ready().await);
        let (_, room) = bed.capacity(&class).await.expect("capacity");
        // Room for about thirty of them.
        let size = (room / 30 / EXTENT) * EXTENT;
        let tasks: Vec<_> = (0..50)
            .map(|number| {
                let bed = Arc::clone(&bed);
                tokio::spawn(async move {
                    let request = create(&format!("many-{number}"), size, &class);
                    // As the provisioner does: again, while the answer is to ask again.
                    for _ in 0..20 {
                        match bed.create(request.clone()).await {
                            Ok(volume) => return Some(volume.volume_id),
                            Err(error) if error.code() == Code::ResourceExhausted => {}
                            Err(error) if error.code() == Code::Aborted => {}
                            Err(error) => panic!("{error}"),
                        }
                        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                    }
                    None
                })
            })
            .collect();
        let mut made = std::collections::BTreeSet::new();
        for task in tasks {
            if let Some(id) = task.await.expect("no panic") {
                assert!(made.insert(id), "one id twice");
            }
        }
        let (_, left) = bed.capacity(&class).await.expect("capacity");
        let most = usize::try_from(room / size).expect("small");
        assert_eq!(made.len(), most, "room for {most} in {room}, {left} left");
        assert!(
            left < size,
            "{left} is left, another one of {size} would fit"
        );
    }
}

#[tokio::test]
async fn a_pool_that_is_full_to_its_mark_promises_nothing_and_says_why() {
    let bed = ready().await;
    let class = [("pool", "thin")];
    let volume = bed
        .create(create("big", 40 * GIB, &class))
        .await
        .expect("created");
    let id = ingot_lvm_csi::object::VolumeId::parse(ingot_lvm::Kind::Volume, &volume.volume_id);
    let uid = id.expect("an id").uid;
    let vg = ingot_volume_brain::VgName::new("ingot-thin").expect("a name");
    let lv = ingot_volume_brain::LvName::volume(uid);
    bed.sim.fill(&vg, &lv, Bytes::gib(39)).expect("written");
    // The group has room, so the pool grows first: from 40 GiB to all there is.
    for _ in 0..8 {
        bed.agent.guard_pools().await;
    }
    let (_, largest) = bed.capacity(&class).await.expect("capacity");
    assert!(largest > 0, "the pool grew: {largest}");
    let other = bed
        .create(create("other", 20 * GIB, &class))
        .await
        .expect("created");
    let id = ingot_lvm_csi::object::VolumeId::parse(ingot_lvm::Kind::Volume, &other.volume_id);
    let lv = ingot_volume_brain::LvName::volume(id.expect("an id").uid);
    bed.sim.fill(&vg, &lv, Bytes::gib(15)).expect("written");
    bed.agent.guard_pools().await;
    assert_eq!(bed.capacity(&class).await.expect("capacity").1, 0);
    let error = bed
        .create(create("third", GIB, &class))
        .await
        .expect_err("full");
    assert_eq!(error.code(), Code::ResourceExhausted);
    // What was promised stays promised: the volumes that are there go on.
    bed.delete(&other.volume_id).await.expect("deleted");
    bed.delete(&volume.volume_id).await.expect("deleted");
}

/// A store may be slow: what was seen last stands there in the end, whoever writes it.
#[tokio::test]
async fn what_is_said_of_a_pool_is_never_older_than_what_was_last_seen() {
    let (sim, memory) = (
        Arc::new(Sim::new(disks())),
        Arc::new(MemoryStore::default()),
    );
    let store = FusedStore::new(Arc::clone(&memory), Fuse::default());
    let executor = Executor::new(sim.clone(), Deadlines::default());
    let agent = Agent::new(config("node-1"), store.clone(), executor);
    assert!(agent.prepare_pools().await.is_empty());
    let (thick, vg) = (&config("node-1").pools[1], "ingot-thick");
    let vg = VgName::new(vg).expect("a name");
    let settle = || {
        let agent = Arc::clone(&agent);
        tokio::spawn(async move { agent.settle().await.expect("settles") })
    };
    let slow = store.slow.lock().await;
    sim.hide(&vg, true);
    let away = settle();
    store.come.notified().await;
    sim.hide(&vg, false);
    let back = settle();
    while agent.pool_status(thick).await.trouble.is_some() {
        tokio::task::yield_now().await;
    }
    // The second would be done by now, if it did not wait for the first.
    for _ in 0..64 {
        tokio::task::yield_now().await;
    }
    drop(slow);
    away.await.expect("no panic");
    back.await.expect("no panic");
    let key = Key::pool(&config("node-1").node, &thick.name);
    let said = memory.get(&key).await.expect("in memory").expect("said");
    let said = said.object.pool().expect("a pool").clone();
    assert_eq!(said, agent.pool_status(thick).await);
    assert_eq!(said.trouble, None);
}
