//! Disks that fail, vanish or belong to somebody else; volumes that nobody knows; commands that hang.
//! Each is reported, in the status and by CSI's health requests, and the others go on.

use crate::bed::health::{health, kinds_on_node, node_health};
use crate::bed::request::{CHECKED, GIB, create, mount};
use crate::bed::{Bed, config, disks};
use ingot_csi_proto::v1;
use ingot_lvm::{Fuse, Kind, Lane, LvmError, Sim, SimGroup};
use ingot_lvm_csi::metrics::Metrics;
use ingot_lvm_csi::object::{Key, VolumeId};
use ingot_lvm_csi::store::MemoryStore;
use ingot_volume_brain::{Bytes, LvName, State, VgName};
use std::sync::Arc;
use std::time::Duration;
use tonic::Code;

fn vg(name: &str) -> VgName {
    VgName::new(name).expect("a name")
}

fn id(volume: &v1::Volume) -> VolumeId {
    VolumeId::parse(Kind::Volume, &volume.volume_id).expect("an id")
}

fn lv(volume: &v1::Volume) -> LvName {
    LvName::volume(id(volume).uid)
}

#[tokio::test]
async fn a_volume_that_disappears_is_reported_lost_and_never_made_again() {
    let bed = Bed::new();
    bed.agent.prepare_pools().await;
    let volume = bed
        .create(create("v", GIB, &[("pool", "thin")]))
        .await
        .expect("created");
    assert!(health(&bed, &volume).await.is_empty());
    bed.sim.lose(&vg("ingot-thin"), &lv(&volume));
    bed.agent.settle().await.expect("settles");
    let found = health(&bed, &volume).await;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].0, v1::VolumeHealthErrorType::DataLoss);
    assert!(
        found[0]
            .1
            .contains("restore it from a snapshot or a backup")
    );
    assert_eq!(
        bed.agent.states().await.get(&id(&volume).uid),
        Some(&State::Lost)
    );
    let again = bed
        .create(create("v", GIB, &[("pool", "thin")]))
        .await
        .expect_err("lost");
    assert_eq!(again.code(), Code::Internal, "{again}");
    bed.delete(&volume.volume_id)
        .await
        .expect("a person gives it up");
}

#[tokio::test]
async fn a_disk_that_gives_what_was_not_written_is_named() {
    let bed = Bed::new();
    bed.agent.prepare_pools().await;
    let volume = bed.create(create("v", GIB, &CHECKED)).await;
    let volume = volume.expect("made");
    assert!(health(&bed, &volume).await.is_empty());
    for _ in 0..2 {
        bed.sim.rot(&vg("ingot-thick"), &lv(&volume), 1, 2);
    }
    bed.agent.settle().await.expect("settles");
    let found = health(&bed, &volume).await;
    let expected = "thick-1 gave 4 times what was not written, as its checksums tell; it was read from the other copies or the parity, and written anew; replace that disk with `lvconvert --replace`";
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].0, v1::VolumeHealthErrorType::Degraded);
    assert!(found[0].1.ends_with(expected), "{found:?}");
    assert_eq!(kinds_on_node(&bed, &volume).await, [found[0].0]);
    let metrics = Metrics::default();
    bed.agent.observe(&metrics).await;
    let text = metrics.text();
    for line in [
        "ingot_storage_pool_integrity_mismatches{pool=\"thick\"} 4",
        "ingot_storage_pool_integrity_mismatches{pool=\"thin\"} 0",
        "ingot_storage_pool_degraded_volumes{pool=\"thick\"} 1",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    bed.delete(&volume.volume_id).await.expect("deleted");
}

#[tokio::test]
async fn a_volume_group_that_cannot_be_seen_is_no_loss() {
    let bed = Bed::new();
    bed.agent.prepare_pools().await;
    let volume = bed
        .create(create("v", GIB, &[("pool", "thin")]))
        .await
        .expect("created");
    let other = bed
        .create(create("o", GIB, &[("pool", "thick")]))
        .await
        .expect("created");
    bed.sim.hide(&vg("ingot-thin"), true);
    bed.agent.settle().await.expect("settles");
    let found = health(&bed, &volume).await;
    assert_eq!(
        found[0].0,
        v1::VolumeHealthErrorType::Inaccessible,
        "{found:?}"
    );
    assert!(
        health(&bed, &other).await.is_empty(),
        "the other group is well"
    );
    let node = node_health(&bed).await;
    assert_eq!(
        node[0].0,
        v1::StorageHealthErrorType::StorageUnreachable,
        "{node:?}"
    );
    let none = bed
        .create(create("n", GIB, &[("pool", "thin")]))
        .await
        .expect_err("unseen");
    assert_eq!(none.code(), Code::ResourceExhausted);
    assert!(none.message().contains("a disk may be missing"), "{none}");
    bed.sim.hide(&vg("ingot-thin"), false);
    bed.agent.settle().await.expect("settles");
    assert!(health(&bed, &volume).await.is_empty());
}

#[tokio::test]
async fn what_no_object_speaks_of_is_quarantined_kept_and_taken_back() {
    let bed = Bed::new();
    bed.agent.prepare_pools().await;
    let volume = bed
        .create(create("v", GIB, &[("pool", "thin")]))
        .await
        .expect("created");
    let key: Key = id(&volume).key();
    let stored = bed
        .store
        .get(&key)
        .await
        .expect("in memory")
        .expect("there");
    bed.store
        .delete(&key, stored.version)
        .await
        .expect("by a person's mistake");
    for _ in 0..3 {
        bed.agent.settle().await.expect("settles");
    }
    assert_eq!(
        bed.agent.states().await.get(&id(&volume).uid),
        Some(&State::Quarantined)
    );
    let folder = tempfile::tempdir().expect("a directory");
    let staged = bed
        .stage(&volume.volume_id, folder.path(), &mount(""))
        .await;
    let error = staged.expect_err("in quarantine");
    assert_eq!(error.code(), Code::FailedPrecondition);
    bed.store
        .create(&key, stored.object)
        .await
        .expect("restored from a backup of the API");
    bed.agent.settle().await.expect("settles");
    assert_eq!(
        bed.agent.states().await.get(&id(&volume).uid),
        Some(&State::Ready)
    );
    bed.stage(&volume.volume_id, folder.path(), &mount(""))
        .await
        .expect("usable again");
}

#[tokio::test]
async fn a_foreign_group_of_the_same_name_is_left_alone() {
    let mut groups = disks();
    groups[0] = SimGroup {
        made: true,
        tags: vec!["database".into()],
        ..SimGroup::disks(vg("ingot-thin"), [Bytes::gib(20)])
    };
    let sim = Arc::new(Sim::new(groups));
    let bed = Bed::with(
        config("node-1"),
        sim,
        Arc::new(MemoryStore::default()),
        Fuse::default(),
    );
    let troubles = bed.agent.prepare_pools().await;
    assert_eq!(troubles.len(), 1);
    let text = troubles[0].1.to_string();
    assert!(
        text.contains("was not made for pool thin; nothing in it was touched"),
        "{text}"
    );
    assert!(
        text.contains("vgchange --addtag ingot1.pool=thin ingot-thin"),
        "{text}"
    );
    let error = bed
        .create(create("v", GIB, &[("pool", "thin")]))
        .await
        .expect_err("foreign");
    assert_eq!(error.code(), Code::ResourceExhausted);
    assert!(
        error.message().contains("was not made for pool thin"),
        "{error}"
    );
    bed.create(create("v", GIB, &[("pool", "thick")]))
        .await
        .expect("the other pool");
}

#[tokio::test]
async fn a_hung_command_is_bounded_and_reported_and_other_pools_go_on() {
    let bed = Bed::new().impatient();
    bed.agent.prepare_pools().await;
    let dead = Lane::Group(vg("ingot-thick"));
    bed.faulty
        .hang(move |command| command.lane() == dead && command.changes());
    let begin = std::time::Instant::now();
    let error = bed
        .create(create("h", GIB, &[("pool", "thick")]))
        .await
        .expect_err("it hangs");
    assert!(begin.elapsed() < Duration::from_secs(10));
    assert_eq!(error.code(), Code::DeadlineExceeded, "{error}");
    bed.create(create("v", GIB, &[("pool", "thin")]))
        .await
        .expect("another group");
    let mut node = node_health(&bed).await;
    while node.is_empty() && begin.elapsed() < Duration::from_secs(10) {
        tokio::time::sleep(Duration::from_millis(20)).await;
        node = node_health(&bed).await;
    }
    assert!(!node.is_empty(), "the hang is not reported");
    assert_eq!(
        node[0].0,
        v1::StorageHealthErrorType::StorageUnreachable,
        "{node:?}"
    );
    assert!(node[0].1.contains("has not ended within"), "{node:?}");
    bed.faulty.release();
    // Asked again, as the provisioner does, it is made, once.
    for _ in 0..50 {
        bed.agent.settle().await.expect("settles");
        if bed
            .create(create("h", GIB, &[("pool", "thick")]))
            .await
            .is_ok()
        {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("it does not come back");
}

#[tokio::test]
async fn a_failure_is_told_in_the_status_and_tried_again() {
    let bed = Bed::new().impatient();
    bed.agent.prepare_pools().await;
    bed.faulty.fail(|command| {
        command
            .name()
            .starts_with("creation of")
            .then(|| LvmError::Failed {
                command: "lvcreate".into(),
                reason: "device-mapper: reload ioctl failed".into(),
            })
    });
    let error = bed
        .create(create("v", GIB, &[("pool", "thin")]))
        .await
        .expect_err("fails");
    assert_eq!(error.code(), Code::DeadlineExceeded);
    assert!(
        error
            .message()
            .contains("lvcreate failed: device-mapper: reload ioctl"),
        "{error}"
    );
    bed.faulty.release();
    bed.agent.settle().await.expect("settles");
    bed.create(create("v", GIB, &[("pool", "thin")]))
        .await
        .expect("created after all");
}

#[tokio::test]
async fn a_pod_leaves_a_volume_whose_group_cannot_be_seen() {
    let bed = Bed::new();
    bed.agent.prepare_pools().await;
    let folder = tempfile::tempdir().expect("a directory");
    let request = create("v", GIB, &[("pool", "thin"), ("encrypted", "true")]);
    let volume = bed.create(request).await.expect("created");
    let id = &volume.volume_id;
    let what = mount("");
    bed.stage(id, folder.path(), &what).await.expect("staged");
    let published = bed.publish(id, folder.path(), "target", &what).await;
    published.expect("published");
    bed.sim.hide(&vg("ingot-thin"), true);
    bed.agent.settle().await.expect("settles");
    let left = bed.unpublish(id, folder.path(), "target").await;
    left.expect("unpublished");
    bed.unstage(id, folder.path()).await.expect("unstaged");
    bed.sim.hide(&vg("ingot-thin"), false);
    bed.agent.settle().await.expect("settles");
    bed.delete(id).await.expect("nothing has it open");
}

#[tokio::test]
async fn what_waits_for_a_disk_goes_on_when_it_is_back() {
    let bed = Bed::new().impatient();
    bed.agent.prepare_pools().await;
    let request = create("v", GIB, &[("pool", "thin")]);
    let volume = bed.create(request).await.expect("created");
    bed.sim.hide(&vg("ingot-thin"), true);
    bed.agent.settle().await.expect("settles");
    let late = bed.delete(&volume.volume_id).await.expect_err("unseen");
    assert_eq!(late.code(), Code::DeadlineExceeded, "{late}");
    bed.sim.hide(&vg("ingot-thin"), false);
    let begin = std::time::Instant::now();
    while let Err(error) = bed.delete(&volume.volume_id).await {
        // Everything is looked at every five minutes; this is to be sooner.
        assert!(begin.elapsed() < Duration::from_secs(60), "{error}");
    }
}
