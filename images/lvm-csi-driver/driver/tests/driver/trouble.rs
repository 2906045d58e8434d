//! Disks that fail, vanish or belong to somebody else; volumes that nobody knows; commands that hang.
//! Each is reported, in the status and by CSI's health requests, and the others go on.

use crate::bed::request::{GIB, block, create, mount};
use crate::bed::{Bed, config, disks};
use ingot_csi_proto::v1;
use ingot_csi_proto::v1::controller_server::Controller;
use ingot_csi_proto::v1::node_server::Node;
use ingot_lvm::{Fuse, Kind, Lane, LvmError, Sim, SimGroup};
use ingot_lvm_csi::object::{Key, VolumeId};
use ingot_lvm_csi::store::MemoryStore;
use ingot_volume_brain::{Bytes, LvName, State, VgName};
use std::sync::Arc;
use std::time::Duration;
use tonic::{Code, Request};

fn vg(name: &str) -> VgName {
    VgName::new(name).expect("a name")
}

fn id(volume: &v1::Volume) -> VolumeId {
    VolumeId::parse(Kind::Volume, &volume.volume_id).expect("an id")
}

fn lv(volume: &v1::Volume) -> LvName {
    LvName::volume(id(volume).uid)
}

async fn health(bed: &Bed, volume: &v1::Volume) -> Vec<(v1::VolumeHealthErrorType, String)> {
    let request = v1::ControllerGetVolumeHealthRequest {
        volume_id: volume.volume_id.clone(),
        ..v1::ControllerGetVolumeHealthRequest::default()
    };
    let answer = bed
        .controller
        .controller_get_volume_health(Request::new(request))
        .await;
    let health = answer
        .expect("health")
        .into_inner()
        .volume_health
        .expect("one");
    health
        .health_statuses
        .into_iter()
        .map(|e| (e.status(), e.message))
        .collect()
}

/// What the node says of a volume.
async fn kinds_on_node(bed: &Bed, volume: &v1::Volume) -> Vec<v1::VolumeHealthErrorType> {
    let request = v1::NodeGetVolumeHealthRequest {
        volume_id: volume.volume_id.clone(),
        ..v1::NodeGetVolumeHealthRequest::default()
    };
    let answer = bed.node.node_get_volume_health(Request::new(request)).await;
    let health = answer.expect("health").into_inner().volume_health;
    let all = health.expect("one").health_statuses;
    all.iter().map(|entry| entry.status()).collect()
}

async fn node_health(bed: &Bed) -> Vec<(v1::StorageHealthErrorType, String)> {
    let request = v1::NodeGetStorageHealthRequest::default();
    let answer = bed
        .node
        .node_get_storage_health(Request::new(request))
        .await;
    let all = answer.expect("health").into_inner().backend_health;
    all.into_iter().map(|e| (e.status(), e.message)).collect()
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
async fn a_missing_disk_degrades_the_pool_and_what_lies_on_it() {
    let bed = Bed::new();
    bed.agent.prepare_pools().await;
    let volume = bed
        .create(create("v", GIB, &[("pool", "thick")]))
        .await
        .expect("created");
    bed.sim.unplug(&vg("ingot-thick"), 0, true);
    bed.agent.settle().await.expect("settles");
    let node = node_health(&bed).await;
    assert_eq!(
        node[0].0,
        v1::StorageHealthErrorType::StorageDegraded,
        "{node:?}"
    );
    let kinds = kinds_on_node(&bed, &volume).await;
    assert_eq!(kinds, [v1::VolumeHealthErrorType::Inaccessible]);
}

/// Its copies stand in for it; whoever has the volume goes on.
#[tokio::test]
async fn a_raid_with_a_lost_leg_is_degraded_and_what_has_no_copy_is_inaccessible() {
    let bed = Bed::new();
    bed.agent.prepare_pools().await;
    let mut volumes = Vec::new();
    let classes: [&[(&str, &str)]; 3] = [
        &[("layout", "raid1")],
        &[("layout", "raid5"), ("stripes", "3")],
        &[("layout", "linear")],
    ];
    for (number, class) in classes.iter().enumerate() {
        let class = [&[("pool", "thick")], *class].concat();
        let request = create(&format!("v{number}"), GIB, &class);
        let volume = bed.create(request).await;
        volumes.push(volume.expect("created"));
    }
    let thick = vg("ingot-thick");
    let expect = async |kinds: [Option<v1::VolumeHealthErrorType>; 3]| {
        bed.agent.settle().await.expect("settles");
        for (volume, kind) in volumes.iter().zip(kinds) {
            let expected: Vec<_> = kind.into_iter().collect();
            assert_eq!(kinds_on_node(&bed, volume).await, expected);
            let told = health(&bed, volume).await;
            let kinds: Vec<_> = told.iter().map(|(kind, _)| *kind).collect();
            assert_eq!(kinds, expected, "{told:?}");
        }
    };
    expect([None, None, None]).await;
    let degraded = Some(v1::VolumeHealthErrorType::Degraded);
    let inaccessible = Some(v1::VolumeHealthErrorType::Inaccessible);
    bed.sim.unplug(&thick, 0, true);
    expect([degraded, degraded, inaccessible]).await;
    bed.sim.unplug(&thick, 0, false);
    bed.sim.ail(&thick, &lv(&volumes[0]), "mismatches exist");
    expect([degraded, None, None]).await;
    // All of its legs.
    for disk in 0..4 {
        bed.sim.unplug(&thick, disk, disk != 2);
    }
    expect([inaccessible, inaccessible, inaccessible]).await;
    let node = node_health(&bed).await;
    assert_eq!(node.len(), 1, "one entry of a kind: {node:?}");
    for disk in [0, 1, 3] {
        let words = format!("/dev/disk/by-id/thick-{disk} is missing");
        assert!(node[0].1.contains(&words), "{node:?}");
    }
}

/// LVM makes nothing in a group of which a disk is missing, wherever there is room: that is told at once,
/// not when a deadline has passed.
#[tokio::test]
async fn a_pool_with_a_missing_disk_offers_nothing_and_says_what_to_do() {
    let bed = Bed::new();
    bed.agent.prepare_pools().await;
    let class = [("pool", "thick")];
    let volume = bed.create(create("v", GIB, &class)).await.expect("created");
    // Not the disk that the volume lies on.
    bed.sim.unplug(&vg("ingot-thick"), 3, true);
    bed.agent.settle().await.expect("settles");
    assert_eq!(bed.capacity(&class).await.expect("capacity"), (0, 0));
    let words = [
        "disk /dev/disk/by-id/thick-3 of volume group ingot-thick is missing",
        "vgreduce --removemissing --force ingot-thick",
    ];
    let told = |error: tonic::Status, code| {
        assert_eq!(error.code(), code, "{error}");
        for word in words {
            assert!(error.message().contains(word), "{error}");
        }
    };
    let error = bed.create(create("w", GIB, &class)).await;
    told(error.expect_err("missing"), Code::ResourceExhausted);
    let error = bed.expand(&volume.volume_id, 2 * GIB).await;
    told(error.expect_err("missing"), Code::Unavailable);
    let node = node_health(&bed).await;
    assert!(
        node.len() == 1 && node[0].1.contains("/dev/disk/by-id/thick-3 is missing"),
        "{node:?}"
    );
    assert_eq!(health(&bed, &volume).await, [], "it lies elsewhere");
    bed.sim.unplug(&vg("ingot-thick"), 3, false);
    bed.agent.guard_pools().await;
    bed.create(create("w", GIB, &class)).await.expect("created");
    bed.expand(&volume.volume_id, 2 * GIB).await.expect("grown");
}

/// What was placed just before the disk went is refused as well, so that another node can have it.
#[tokio::test]
async fn a_volume_that_was_placed_where_a_disk_goes_is_refused_in_time() {
    let bed = Bed::new();
    bed.agent.prepare_pools().await;
    bed.sim.unplug(&vg("ingot-thick"), 3, true);
    // Nobody has looked since.
    let error = bed.create(create("w", GIB, &[("pool", "thick")])).await;
    let error = error.expect_err("missing");
    assert_eq!(error.code(), Code::ResourceExhausted, "{error}");
    let words = "of volume group ingot-thick is missing";
    assert!(error.message().contains(words), "{error}");
}

#[tokio::test]
async fn what_lay_on_a_disk_that_came_back_is_found_where_the_disk_is_now() {
    let (bed, folder) = (Bed::new(), tempfile::tempdir().expect("a directory"));
    bed.agent.prepare_pools().await;
    let volume = bed.create(create("v", GIB, &[("pool", "thick")])).await;
    let volume = volume.expect("created").volume_id;
    let stage = async || bed.stage(&volume, folder.path(), &mount("")).await;
    stage().await.expect("staged");
    bed.unstage(&volume, folder.path()).await.expect("unstaged");
    bed.sim.unplug(&vg("ingot-thick"), 0, true);
    // A device that cannot be read is not taken for an empty one.
    let error = stage().await.expect_err("the disk is not there");
    assert_eq!(error.code(), Code::Internal, "{error}");
    assert!(!error.message().contains("shows no filesystem"), "{error}");
    bed.sim.unplug(&vg("ingot-thick"), 0, false);
    stage().await.expect("staged again");
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

/// A deletion that waits for a pod says so at once, and goes on when the pod is gone, without being asked.
#[tokio::test]
async fn a_volume_in_use_is_not_deleted_and_goes_when_it_is_unstaged() {
    for (class, what) in [("thin", mount("")), ("thick", block())] {
        let bed = Bed::new();
        bed.agent.prepare_pools().await;
        let folder = tempfile::tempdir().expect("a directory");
        let volume = bed.create(create("v", GIB, &[("pool", class)])).await;
        let volume = volume.expect("created");
        let asked = &volume.volume_id;
        bed.stage(asked, folder.path(), &what)
            .await
            .expect("staged");
        bed.publish(asked, folder.path(), "target", &what)
            .await
            .expect("published");
        for _ in 0..2 {
            let error = bed.delete(asked).await.expect_err("in use");
            assert_eq!(error.code(), Code::FailedPrecondition, "{error}");
            let place = folder.path().join("target");
            for word in ["it is in use at ", &*place.display().to_string()] {
                assert!(error.message().contains(word), "{error}");
            }
        }
        assert_eq!(
            bed.agent.states().await.get(&id(&volume).uid),
            Some(&State::Published)
        );
        bed.unpublish(asked, folder.path(), "target")
            .await
            .expect("unpublished");
        bed.unstage(asked, folder.path()).await.expect("unstaged");
        let key = id(&volume).key();
        let gone = async {
            while bed.store.get(&key).await.expect("in memory").is_some() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        // Everything is looked at every five minutes; this is to be sooner.
        let gone = tokio::time::timeout(Duration::from_secs(60), gone).await;
        gone.expect("it is not deleted");
        bed.delete(asked).await.expect("gone");
    }
}

#[tokio::test]
async fn a_deletion_that_goes_on_is_not_said_to_wait_for_pods_that_are_gone() {
    let bed = Bed::new();
    bed.agent.prepare_pools().await;
    let folder = tempfile::tempdir().expect("a directory");
    let volume = bed.create(create("v", GIB, &[("pool", "thick")])).await;
    let asked = volume.expect("created").volume_id;
    bed.stage(&asked, folder.path(), &mount(""))
        .await
        .expect("staged");
    let error = bed.delete(&asked).await.expect_err("in use");
    assert_eq!(error.code(), Code::FailedPrecondition, "{error}");
    bed.unstage(&asked, folder.path()).await.expect("unstaged");
    bed.delete(&asked).await.expect("deleted");
}

#[tokio::test]
async fn a_disk_that_takes_no_writes_is_told_and_nothing_is_placed_there() {
    let bed = Bed::new();
    bed.agent.prepare_pools().await;
    let class = [("pool", "thick")];
    let disk = "/dev/disk/by-id/thick-1";
    bed.sim.protect(&vg("ingot-thick"), disk, true);
    bed.agent.settle().await.expect("settles");
    let words = format!("disk {disk} of volume group ingot-thick takes no writes");
    let error = bed.create(create("v", GIB, &class)).await;
    let error = error.expect_err("protected");
    assert_eq!(error.code(), Code::ResourceExhausted, "{error}");
    assert!(error.message().contains(&words), "{error}");
    let node = node_health(&bed).await;
    assert!(node.len() == 1 && node[0].1.contains(&words), "{node:?}");
    bed.sim.protect(&vg("ingot-thick"), disk, false);
    bed.agent.settle().await.expect("settles");
    bed.create(create("v", GIB, &class)).await.expect("created");
}
