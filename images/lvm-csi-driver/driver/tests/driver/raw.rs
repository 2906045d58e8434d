//! Raw volumes that are only to be read: the kernel takes no writes, and nobody reads a writer's past.

use crate::bed::Bed;
use crate::bed::request::{GIB, block, create};
use ingot_csi_proto::v1;
use ingot_csi_proto::v1::volume_capability::AccessMode;
use ingot_csi_proto::v1::volume_capability::access_mode::Mode;
use ingot_lvm::{Backend, Command, Device, Kind, LvmError, Reply};
use ingot_lvm_csi::object::VolumeId;
use ingot_volume_brain::{LvName, VgName};
use tonic::Code;

fn reader() -> v1::VolumeCapability {
    v1::VolumeCapability {
        access_mode: Some(AccessMode {
            mode: Mode::SingleNodeReaderOnly.into(),
        }),
        ..block()
    }
}

fn device(volume: &v1::Volume) -> Device {
    let id = VolumeId::parse(Kind::Volume, &volume.volume_id).expect("an id");
    let vg = VgName::new("ingot-thin").expect("a name");
    Device::lv(&vg, &LvName::volume(id.uid))
}

fn targets(bed: &Bed) -> Vec<(String, bool)> {
    let Ok(Reply::Mounts(mounts)) = bed.sim.run(&Command::Mounts) else {
        panic!("no mounts")
    };
    let name = |mount: &ingot_lvm::Mount| {
        let name = mount.target.file_name().unwrap_or_default();
        (name.to_string_lossy().into_owned(), mount.read_only)
    };
    mounts.iter().map(name).collect()
}

#[tokio::test]
async fn readers_and_writers_of_a_raw_volume_are_not_there_at_once() {
    let (bed, folder) = (Bed::new(), tempfile::tempdir().expect("a directory"));
    bed.agent.prepare_pools().await;
    let volume = bed.create(create("v", GIB, &[("pool", "thin")])).await;
    let volume = volume.expect("created");
    let (id, place) = (&volume.volume_id, folder.path());
    bed.stage(id, place, &block()).await.expect("staged");
    for target in ["a", "b"] {
        bed.publish(id, place, target, &reader())
            .await
            .expect("published");
    }
    assert_eq!(targets(&bed), [("a".into(), true), ("b".into(), true)]);
    let written = bed.sim.write(&device(&volume), "place", "text");
    assert!(written.is_err(), "a reader wrote");
    let error = bed.publish(id, place, "c", &block()).await;
    let error = error.expect_err("a writer beside readers");
    assert_eq!(error.code(), Code::FailedPrecondition);
    assert!(
        error.message().contains("unpublish it there first"),
        "{error}"
    );
    // Online growth reaches the readers.
    bed.expand(id, 2 * GIB).await.expect("grown");
    bed.expand_node(id, &place.join("a")).await.expect("grown");
    for target in ["a", "b"] {
        bed.unpublish(id, place, target).await.expect("gone");
    }
    bed.publish(id, place, "c", &block())
        .await
        .expect("published");
    bed.sim
        .write(&device(&volume), "place", "text")
        .expect("written");
    let error = bed.publish(id, place, "a", &reader()).await;
    assert_eq!(
        error.expect_err("a reader beside a writer").code(),
        Code::FailedPrecondition
    );
}

#[tokio::test]
async fn a_view_that_a_dead_agent_left_keeps_nothing_from_being_deleted() {
    let (bed, folder) = (Bed::new(), tempfile::tempdir().expect("a directory"));
    bed.agent.prepare_pools().await;
    for unstaged in [true, false] {
        let volume = bed.create(create("v", GIB, &[("pool", "thin")])).await;
        let volume = volume.expect("created");
        let id = &volume.volume_id;
        bed.stage(id, folder.path(), &block())
            .await
            .expect("staged");
        let device = device(&volume);
        let show = Command::ShowReadOnly {
            device: device.clone(),
        };
        bed.sim.run(&show).expect("made");
        if unstaged {
            bed.unstage(id, folder.path()).await.expect("unstaged");
            let left = bed.sim.run(&Command::Withdraw { device });
            assert!(matches!(left, Err(LvmError::NotFound { .. })), "{left:?}");
        }
        bed.delete(id).await.expect("deleted");
    }
}
