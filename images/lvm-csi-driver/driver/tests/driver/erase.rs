//! What a deleted thick volume held is not shown by the next one, and nobody waits for its erasure.

use crate::bed::request::{GIB, block, create};
use crate::bed::{Bed, config, disks};
use ingot_csi_proto::v1;
use ingot_lvm::{Command, Device, Fuse, Kind, LvmError, Sim};
use ingot_lvm_csi::agent::FormatRecords;
use ingot_lvm_csi::config::NodeConfig;
use ingot_lvm_csi::object::VolumeId;
use ingot_lvm_csi::store::MemoryStore;
use ingot_volume_brain::{LvName, VgName};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tonic::Code;

const THICK: [(&str, &str); 1] = [("pool", "thick")];

fn bed(config: NodeConfig) -> Bed {
    let sim = Arc::new(Sim::new(disks()));
    Bed::with(
        config,
        sim,
        Arc::new(MemoryStore::default()),
        Fuse::default(),
    )
}

fn device(volume: &v1::Volume) -> Device {
    let id = VolumeId::parse(Kind::Volume, &volume.volume_id).expect("an id");
    let vg = VgName::new("ingot-thick").expect("a name");
    Device::lv(&vg, &LvName::volume(id.uid))
}

/// A raw volume that a pod wrote to, taken from the pod again.
async fn written(bed: &Bed, name: &str) -> v1::Volume {
    written_as(bed, name, &THICK).await
}

async fn written_as(bed: &Bed, name: &str, class: &[(&str, &str)]) -> v1::Volume {
    let folder = tempfile::tempdir().expect("a directory");
    let volume = bed.create(create(name, 3 * GIB, class)).await;
    let volume = volume.expect("created");
    let id = &volume.volume_id;
    let place = folder.path();
    bed.stage(id, place, &block()).await.expect("staged");
    bed.publish(id, place, "target", &block())
        .await
        .expect("published");
    bed.sim
        .write(&device(&volume), "place", "secret")
        .expect("written");
    bed.unpublish(id, place, "target")
        .await
        .expect("taken down");
    bed.unstage(id, place).await.expect("taken down");
    volume
}

#[tokio::test]
async fn the_next_volume_shows_nothing_of_the_one_before() {
    for (erase, shown) in [(true, vec![]), (false, vec!["secret".to_owned()])] {
        let mut config = config("node-1");
        config.pools[1].erase = erase;
        let bed = bed(config);
        bed.agent.prepare_pools().await;
        let first = written(&bed, "first").await;
        bed.delete(&first.volume_id).await.expect("deleted");
        let next = bed.create(create("next", GIB, &THICK)).await;
        let next = device(&next.expect("created"));
        assert_eq!(bed.sim.remains(&next), shown, "erase: {erase}");
    }
}

#[tokio::test]
async fn nobody_waits_for_an_erasure_but_its_own_space() {
    let bed = bed(config("node-1")).impatient();
    bed.agent.prepare_pools().await;
    let first = written(&bed, "first").await;
    bed.faulty
        .hang(|command| matches!(command, Command::Erase { .. }));
    let mut error = bed.delete(&first.volume_id).await.expect_err("not yet");
    for _ in 0..20 {
        assert_eq!(error.code(), Code::DeadlineExceeded);
        if error.message().contains("is being overwritten") {
            break;
        }
        error = bed.delete(&first.volume_id).await.expect_err("not yet");
    }
    let words = "what it held is being overwritten";
    assert!(error.message().contains(words), "{error}");
    // The same pool goes on meanwhile, also where the agent looks at all of its volumes.
    bed.create(create("other", GIB, &THICK))
        .await
        .expect("created");
    bed.agent.settle().await.expect("settles");
    bed.faulty.release();
    let mut last = Err(error);
    for _ in 0..20 {
        last = bed.delete(&first.volume_id).await;
        if last.is_ok() {
            break;
        }
    }
    last.expect("deleted after all");
}

#[tokio::test]
async fn what_cannot_be_erased_is_kept_and_says_how_to_go_on() {
    let bed = bed(config("node-1")).impatient();
    bed.agent.prepare_pools().await;
    let first = written(&bed, "first").await;
    bed.faulty.fail(|command| {
        matches!(command, Command::Erase { .. }).then(|| LvmError::Failed {
            command: "blkdiscard".into(),
            reason: "Input/output error".into(),
        })
    });
    let mut words = String::new();
    for _ in 0..40 {
        let error = bed.delete(&first.volume_id).await.expect_err("kept");
        words = error.message().to_owned();
        if words.contains("Input/output error") {
            break;
        }
    }
    assert!(
        words.contains("or set `erase: false` of its pool"),
        "{words}"
    );
}

const MIRRORED: [(&str, &str); 2] = [("pool", "thick"), ("layout", "raid1")];

fn vg() -> VgName {
    VgName::new("ingot-thick").expect("a name")
}

/// An agent that keeps records there, over that node.
fn begun(sim: &Arc<Sim>, store: &Arc<MemoryStore>, folder: &Path) -> Bed {
    let records = FormatRecords::within(folder).expect("a directory");
    let (sim, store) = (Arc::clone(sim), store.clone());
    Bed::with_records(config("node-1"), sim, store, Fuse::default(), records)
}

async fn deleted(bed: &Bed, volume: &v1::Volume) {
    let mut last = Ok(());
    for _ in 0..20 {
        last = bed.delete(&volume.volume_id).await;
        if last.is_ok() {
            return;
        }
    }
    last.expect("deleted after all");
}

/// What a raw volume over all disks of the pool shows, once all of them are offered.
async fn shown_by_all(bed: &Bed) -> Vec<String> {
    for _ in 0..2000 {
        bed.agent.guard_pools().await;
        let (_, largest) = bed.capacity(&THICK).await.expect("capacity");
        if largest > 40 * GIB {
            let all = bed.create(create("all", largest, &THICK)).await;
            return bed.sim.remains(&device(&all.expect("created")));
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("not all is offered");
}

#[tokio::test]
async fn a_volume_that_lvm_finds_fault_with_is_erased_as_any_other() {
    for fault in ["mismatches exist", "refresh needed"] {
        let bed = bed(config("node-1"));
        bed.agent.prepare_pools().await;
        let first = written_as(&bed, "first", &MIRRORED).await;
        bed.sim.ail(&vg(), &device(&first).lv, fault);
        bed.agent.settle().await.expect("settles");
        deleted(&bed, &first).await;
        assert_eq!(shown_by_all(&bed).await, Vec::<String>::new(), "{fault}");
    }
}

/// What lies on a disk that is not there cannot be overwritten now; it is before anybody is given it, also
/// by another agent.
#[tokio::test]
async fn what_a_missing_disk_holds_of_a_deleted_volume_is_shown_by_none() {
    for class in [&THICK[..], &MIRRORED[..]] {
        for restarted in [false, true] {
            let (sim, store) = (
                Arc::new(Sim::new(disks())),
                Arc::new(MemoryStore::default()),
            );
            let folder = tempfile::tempdir().expect("a directory");
            let mut bed = begun(&sim, &store, folder.path());
            bed.agent.prepare_pools().await;
            let first = written_as(&bed, "first", class).await;
            sim.unplug(&vg(), 0, true);
            bed.agent.settle().await.expect("settles");
            deleted(&bed, &first).await;
            if restarted {
                bed.kill().await;
                drop(bed);
                bed = begun(&sim, &store, folder.path());
            }
            sim.unplug(&vg(), 0, false);
            let shown = shown_by_all(&bed).await;
            assert_eq!(
                shown,
                Vec::<String>::new(),
                "{class:?}, restarted: {restarted}"
            );
            let left = std::fs::read_dir(folder.path()).expect("read").count();
            assert_eq!(left, 0, "the record is taken back");
        }
    }
}
