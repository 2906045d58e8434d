//! Volumes that are to be deleted while somebody has them.

use crate::bed::Bed;
use crate::bed::request::{GIB, block, create, mount};
use ingot_csi_proto::v1;
use ingot_lvm::Kind;
use ingot_lvm_csi::object::VolumeId;
use ingot_volume_brain::State;
use std::time::Duration;
use tonic::Code;

fn id(volume: &v1::Volume) -> VolumeId {
    VolumeId::parse(Kind::Volume, &volume.volume_id).expect("an id")
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
