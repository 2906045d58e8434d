//! Pools of which a disk is missing, or takes no writes: nothing is placed there, what does not lie on it
//! is used, and who asks is told which disk it is.

use crate::bed::Bed;
use crate::bed::health::{health, kinds_on_node, node_health};
use crate::bed::request::{CHECKED, GIB, block, create, mount};
use ingot_csi_proto::v1;
use ingot_lvm::{Backend, Command, Kind, Reply};
use ingot_lvm_csi::object::VolumeId;
use ingot_volume_brain::{LvName, VgName};
use std::time::Duration;
use tonic::Code;

fn vg(name: &str) -> VgName {
    VgName::new(name).expect("a name")
}

fn lv(volume: &v1::Volume) -> LvName {
    let id = VolumeId::parse(Kind::Volume, &volume.volume_id).expect("an id");
    LvName::volume(id.uid)
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
    // Both go on without it, until the agent lets them use it again.
    expect([degraded, degraded, None]).await;
    bed.agent.guard_pools().await;
    expect([None, None, None]).await;
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
async fn a_thin_pool_whose_disk_was_away_is_begun_anew_as_soon_as_no_pod_has_a_volume_of_it() {
    let bed = Bed::new();
    let [one, two] = [(); 2].map(|()| tempfile::tempdir().expect("a directory"));
    bed.agent.prepare_pools().await;
    let class = [("pool", "thin")];
    let create = async |name| {
        let made = bed.create(create(name, GIB, &class)).await;
        made.expect("created").volume_id
    };
    let (first, raw) = (create("v").await, create("w").await);
    let stage = async || bed.stage(&first, one.path(), &mount("")).await;
    let begin = async || {
        let staged = bed.stage(&raw, two.path(), &block()).await;
        staged.expect("staged");
        let published = bed.publish(&raw, two.path(), "pod", &block()).await;
        published.expect("published");
    };
    stage().await.expect("staged");
    begin().await;
    bed.unstage(&first, one.path()).await.expect("unstaged");
    bed.sim.unplug(&vg("ingot-thin"), 0, true);
    bed.sim.unplug(&vg("ingot-thin"), 0, false);

    let error = stage().await.expect_err("a pod has the raw one");
    assert_eq!(error.code(), Code::Unavailable, "{error}");
    let remedy = "thin pool ingot-thin/pool has to be begun anew, which is done as soon as no pod has a volume of it: end those that still have one";
    let cause = "Invalid argument";
    let text = error.message();
    assert!(text.ends_with(remedy) && text.contains(cause), "{error}");
    let ended = bed.unpublish(&raw, two.path(), "pod").await;
    ended.expect("unpublished");
    bed.unstage(&raw, two.path()).await.expect("unstaged");
    stage().await.expect("staged again");
    begin().await;
}

/// Nobody has to ask for it: what the pool lacked is there again.
#[tokio::test]
async fn a_thin_pool_that_failed_is_told_as_such_and_begun_anew_by_itself() {
    let bed = Bed::new();
    let folder = tempfile::tempdir().expect("a directory");
    bed.agent.prepare_pools().await;
    let (thin, class) = (vg("ingot-thin"), [("pool", "thin")]);
    let made = bed.create(create("v", GIB, &class)).await;
    let id = made.expect("created").volume_id;
    let stage = async || bed.stage(&id, folder.path(), &mount("")).await;
    stage().await.expect("staged");
    let size = || match bed.sim.run(&Command::Scan(thin.clone())) {
        Ok(Reply::Group(group)) => {
            let pool = group.lv(&LvName::new("pool").expect("a name")).cloned();
            pool.expect("the pool").size
        }
        other => panic!("{other:?}"),
    };
    let before = size();
    bed.sim.unplug(&thin, 0, true);
    bed.agent.guard_pools().await;
    bed.sim.unplug(&thin, 0, false);
    bed.agent.guard_pools().await;
    // A pod has a volume of it, and LVM says that all of it is full.
    let words = "thin pool ingot-thin/pool has failed, as it does when its disk is away";
    let told = node_health(&bed).await;
    assert_eq!(told.len(), 1, "{told:?}");
    let (kind, text) = &told[0];
    assert_eq!(*kind, v1::StorageHealthErrorType::StorageUnreachable);
    assert!(text.contains(words) && !text.contains("full"), "{text}");
    assert_eq!(bed.capacity(&class).await.expect("capacity"), (0, 0));
    let error = bed.create(create("w", GIB, &class)).await;
    let error = error.expect_err("failed");
    assert!(error.message().contains(words), "{error}");
    assert_eq!(size(), before, "what has failed is not full");

    bed.unstage(&id, folder.path()).await.expect("unstaged");
    bed.agent.guard_pools().await;
    assert_eq!(node_health(&bed).await, []);
    bed.create(create("w", GIB, &class)).await.expect("created");
    stage().await.expect("staged again");
}

/// LVM goes on counting such a disk as missing, since the group has changed without it.
#[tokio::test]
async fn a_disk_that_was_away_while_its_group_changed_is_used_again_by_itself() {
    let bed = Bed::new();
    bed.agent.prepare_pools().await;
    let class = [("pool", "thick")];
    let mut ids = Vec::new();
    for name in ["kept", "deleted"] {
        let made = bed.create(create(name, GIB, &class)).await;
        ids.push(made.expect("created").volume_id);
    }
    bed.sim.unplug(&vg("ingot-thick"), 3, true);
    bed.agent.settle().await.expect("settles");
    let mut gone = bed.delete(&ids[1]).await;
    for _ in 0..100 {
        if gone.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        gone = bed.delete(&ids[1]).await;
    }
    gone.expect("deleted");
    bed.sim.unplug(&vg("ingot-thick"), 3, false);
    // Udev says so; else it is seen within a minute.
    bed.agent.disks_changed();
    for _ in 0..400 {
        if node_health(&bed).await.is_empty() {
            break;
        }
        bed.agent.guard_pools().await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(node_health(&bed).await, []);
    bed.create(create("w", GIB, &class)).await.expect("created");
}

/// LVM activates a RAID with checksums only whole; who has its device goes on.
#[tokio::test]
async fn a_raid_with_integrity_and_a_lost_leg_goes_on_as_long_as_it_has_its_device() {
    let bed = Bed::new();
    bed.agent.prepare_pools().await;
    let volume = bed.create(create("v", GIB, &CHECKED)).await;
    let volume = volume.expect("made");
    let thick = vg("ingot-thick");
    bed.sim.unplug(&thick, 0, true);
    bed.agent.settle().await.expect("settles");
    let kinds = kinds_on_node(&bed, &volume).await;
    assert_eq!(kinds, [v1::VolumeHealthErrorType::Degraded]);
    bed.sim.reboot();
    bed.agent.settle().await.expect("settles");
    let told = health(&bed, &volume).await;
    assert_eq!(told[0].0, v1::VolumeHealthErrorType::Inaccessible);
    let ext4 = mount("ext4");
    let folder = tempfile::tempdir().expect("a directory");
    let stage = bed.stage(&volume.volume_id, folder.path(), &ext4);
    let error = stage.await.expect_err("no device");
    assert_eq!(error.code(), Code::FailedPrecondition, "{error}");
    for text in [told[0].1.as_str(), error.message()] {
        assert!(text.contains("`lvconvert --raidintegrity n"), "{text}");
    }
    bed.sim.unplug(&thick, 0, false);
    bed.agent.settle().await.expect("settles");
    assert_eq!(health(&bed, &volume).await, []);
    let stage = bed.stage(&volume.volume_id, folder.path(), &ext4);
    stage.await.expect("staged");
}
