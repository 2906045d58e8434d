//! What a deleted thick volume held is not shown by the next one, and nobody waits for its erasure.

use crate::bed::request::{GIB, block, create};
use crate::bed::{Bed, config, disks};
use ingot_csi_proto::v1;
use ingot_lvm::{Command, Device, Fuse, Kind, LvmError, Sim};
use ingot_lvm_csi::config::NodeConfig;
use ingot_lvm_csi::object::VolumeId;
use ingot_lvm_csi::store::MemoryStore;
use ingot_volume_brain::{LvName, VgName};
use std::sync::Arc;
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
    let folder = tempfile::tempdir().expect("a directory");
    let volume = bed.create(create(name, 3 * GIB, &THICK)).await;
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
