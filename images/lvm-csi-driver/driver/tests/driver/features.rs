//! What volumes can do, from the request to the (simulated) disk.

use crate::bed::Bed;
use crate::bed::request::{CHECKED, GIB, block, create, from_snapshot, from_volume, mount, words};
use ingot_csi_proto::v1;
use ingot_csi_proto::v1::controller_server::Controller;
use ingot_lvm::{Device, Filesystem, Kind, Limits};
use ingot_lvm_csi::object::VolumeId;
use ingot_volume_brain::{Bytes, LvName, VgName};
use std::path::Path;
use tonic::Request;

async fn bed() -> Bed {
    let bed = Bed::new();
    bed.agent.prepare_pools().await;
    bed
}

fn device(vg: &str, volume: &v1::Volume) -> Device {
    let id = VolumeId::parse(Kind::Volume, &volume.volume_id).expect("an id");
    Device::lv(&VgName::new(vg).expect("a name"), &LvName::volume(id.uid))
}

async fn use_it(bed: &Bed, volume: &v1::Volume, folder: &Path, what: &v1::VolumeCapability) {
    std::fs::create_dir_all(folder).expect("made");
    bed.stage(&volume.volume_id, folder, what)
        .await
        .expect("staged");
    bed.publish(&volume.volume_id, folder, "target", what)
        .await
        .expect("published");
}

#[tokio::test]
async fn copies_are_apart_from_their_source_and_grow_to_their_own_size() {
    let (bed, folder) = (bed().await, tempfile::tempdir().expect("a directory"));
    let thin = [("pool", "thin")];
    let source = bed
        .create(create("source", GIB, &thin))
        .await
        .expect("created");
    let xfs = mount("xfs");
    use_it(&bed, &source, &folder.path().join("source"), &xfs).await;
    let origin = device("ingot-thin", &source);
    bed.sim.write(&origin, "file", "before").expect("written");
    let snapshot = bed.snapshot("s", &source.volume_id).await.expect("taken");
    bed.sim.write(&origin, "file", "after").expect("written");
    let mut restore = create("restore", 3 * GIB, &thin);
    restore.volume_content_source = from_snapshot(&snapshot.snapshot_id);
    let restored = bed.create(restore).await.expect("restored");
    let mut clone = create("clone", GIB, &thin);
    clone.volume_content_source = from_volume(&source.volume_id);
    let cloned = bed.create(clone).await.expect("cloned");
    assert_eq!(
        (restored.capacity_bytes, cloned.capacity_bytes),
        (3 * GIB, GIB)
    );
    // All three are mounted at once: XFS copies have the UUID of their source.
    use_it(&bed, &restored, &folder.path().join("restored"), &xfs).await;
    use_it(&bed, &cloned, &folder.path().join("cloned"), &xfs).await;
    let read = |volume: &v1::Volume| bed.sim.read(&device("ingot-thin", volume), "file");
    assert_eq!(read(&restored).as_deref(), Some("before"));
    assert_eq!(read(&cloned).as_deref(), Some("after"));
    let grown = bed.sim.filesystem(&device("ingot-thin", &restored));
    assert_eq!(grown, Some((Filesystem::Xfs, Bytes::gib(3))));
    // The source may go before its copies and its snapshot.
    bed.unpublish(&source.volume_id, &folder.path().join("source"), "target")
        .await
        .expect("gone");
    bed.unstage(&source.volume_id, &folder.path().join("source"))
        .await
        .expect("gone");
    bed.delete(&source.volume_id).await.expect("deleted");
    assert_eq!(read(&cloned).as_deref(), Some("after"));
    let mut again = create("again", GIB, &thin);
    again.volume_content_source = from_snapshot(&snapshot.snapshot_id);
    let again = bed
        .create(again)
        .await
        .expect("restored after its source is gone");
    assert_eq!(read(&again).as_deref(), Some("before"));
}

#[tokio::test]
async fn every_layout_and_filesystem_grows_online() {
    let (bed, folder) = (bed().await, tempfile::tempdir().expect("a directory"));
    type Class<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)]);
    let classes: [Class<'_>; 7] = [
        ("ingot-thin", "xfs", &[("pool", "thin")]),
        ("ingot-thick", "ext4", &[("pool", "thick")]),
        (
            "ingot-thick",
            "xfs",
            &[("pool", "thick"), ("layout", "striped"), ("stripes", "3")],
        ),
        (
            "ingot-thick",
            "ext4",
            &[("pool", "thick"), ("layout", "raid1")],
        ),
        (
            "ingot-thick",
            "xfs",
            &[("pool", "thick"), ("layout", "raid5")],
        ),
        (
            "ingot-thick",
            "ext4",
            &[("pool", "thick"), ("layout", "raid10")],
        ),
        ("ingot-thick", "xfs", &CHECKED),
    ];
    for (number, (vg, filesystem, class)) in classes.into_iter().enumerate() {
        let place = folder.path().join(number.to_string());
        let volume = bed
            .create(create(&format!("v{number}"), GIB, class))
            .await
            .expect("created");
        assert!(volume.capacity_bytes >= GIB, "{class:?}");
        use_it(&bed, &volume, &place, &mount(filesystem)).await;
        let device = device(vg, &volume);
        bed.sim.write(&device, "file", "kept").expect("written");
        let size = bed.expand(&volume.volume_id, 2 * GIB).await.expect("grown");
        let node = bed
            .expand_node(&volume.volume_id, &place.join("target"))
            .await
            .expect("grown");
        assert!(size >= 2 * GIB && node == size, "{class:?}: {size} {node}");
        let (_, inside) = bed.sim.filesystem(&device).expect("a filesystem");
        assert_eq!(i64::try_from(inside.0), Ok(size), "{class:?}");
        assert_eq!(bed.sim.read(&device, "file").as_deref(), Some("kept"));
        assert_eq!(bed.sim.formatted(&device.vg, &device.lv), 1);
        // Asked again, as sidecars do: nothing more happens.
        assert_eq!(
            bed.expand(&volume.volume_id, 2 * GIB)
                .await
                .expect("the same"),
            size
        );
    }
}

#[tokio::test]
async fn encrypted_volumes_grow_and_keep_their_content_across_a_reboot() {
    let (bed, folder) = (bed().await, tempfile::tempdir().expect("a directory"));
    let class = [("pool", "thin"), ("encrypted", "true")];
    let volume = bed.create(create("e", GIB, &class)).await.expect("created");
    let ext4 = mount("ext4");
    use_it(&bed, &volume, folder.path(), &ext4).await;
    let view = device("ingot-thin", &volume).decrypted();
    bed.sim.write(&view, "file", "secret").expect("written");
    bed.expand(&volume.volume_id, 2 * GIB).await.expect("grown");
    let inside = bed
        .expand_node(&volume.volume_id, &folder.path().join("target"))
        .await;
    assert_eq!(
        inside.expect("grown"),
        2 * GIB - (16 << 20),
        "without the header"
    );
    bed.sim.reboot();
    bed.agent.settle().await.expect("settles");
    use_it(&bed, &volume, folder.path(), &ext4).await;
    assert_eq!(bed.sim.read(&view, "file").as_deref(), Some("secret"));
}

#[tokio::test]
async fn a_raw_device_that_was_handed_out_is_never_formatted() {
    let (bed, folder) = (bed().await, tempfile::tempdir().expect("a directory"));
    let volume = bed
        .create(create("b", GIB, &[("pool", "thin")]))
        .await
        .expect("created");
    use_it(&bed, &volume, folder.path(), &block()).await;
    bed.unpublish(&volume.volume_id, folder.path(), "target")
        .await
        .expect("unpublished");
    bed.unstage(&volume.volume_id, folder.path())
        .await
        .expect("unstaged");
    // It may hold a pod's data without any signature.
    let error = bed
        .stage(&volume.volume_id, folder.path(), &mount(""))
        .await
        .expect_err("raw");
    assert!(
        error.message().contains("it is not formatted again"),
        "{error}"
    );
    let device = device("ingot-thin", &volume);
    assert_eq!(bed.sim.formatted(&device.vg, &device.lv), 0);
}

#[tokio::test]
async fn limits_come_with_the_pod_and_follow_the_attribute_class() {
    let (bed, folder) = (bed().await, tempfile::tempdir().expect("a directory"));
    let mut request = create("l", GIB, &[("pool", "thin")]);
    request.mutable_parameters = words(&[("readBytesPerSecond", "10MiB")]);
    let volume = bed.create(request).await.expect("created");
    let pod = "0f5a1c3e-9b1d-4c7e-8a64-2f0f6f1f6a11";
    let place = folder.path().join("pods").join(pod);
    use_it(&bed, &volume, &place, &mount("")).await;
    let first = Limits {
        read_bytes: Some(10 << 20),
        ..Limits::default()
    };
    let lv = device("ingot-thin", &volume).lv;
    assert_eq!(bed.sim.limits(), [(lv.clone(), pod.to_owned(), first)]);
    let modify = v1::ControllerModifyVolumeRequest {
        volume_id: volume.volume_id.clone(),
        mutable_parameters: words(&[("writeOperationsPerSecond", "500")]),
        ..v1::ControllerModifyVolumeRequest::default()
    };
    bed.controller
        .controller_modify_volume(Request::new(modify))
        .await
        .expect("modified");
    let second = Limits {
        write_operations: Some(500),
        ..Limits::default()
    };
    for _ in 0..500 {
        if bed.sim.limits() == [(lv.clone(), pod.to_owned(), second)] {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("still {:?}", bed.sim.limits());
}

#[tokio::test]
async fn a_late_request_for_a_former_life_does_not_meet_the_next() {
    let bed = bed().await;
    let request = || create("again", GIB, &[("pool", "thin")]);
    let first = bed.create(request()).await.expect("created");
    bed.delete(&first.volume_id).await.expect("deleted");
    let second = bed.create(request()).await.expect("created");
    assert_ne!(first.volume_id, second.volume_id);
    bed.delete(&first.volume_id).await.expect("gone already");
    assert_eq!(
        bed.create(request()).await.expect("there").volume_id,
        second.volume_id
    );
}
