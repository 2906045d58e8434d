//! What is gone for good leaves nothing behind: volume groups that a person gives up, pools that are
//! configured no more, and groups of snapshots of which none is left.

use crate::bed::request::{GIB, create};
use crate::bed::{Bed, config, disks};
use ingot_csi_proto::v1;
use ingot_csi_proto::v1::controller_server::Controller;
use ingot_csi_proto::v1::group_controller_server::GroupController;
use ingot_lvm::{Fuse, Sim};
use ingot_lvm_csi::object::ObjectKind;
use ingot_lvm_csi::store::{MemoryStore, Store};
use ingot_volume_brain::VgName;
use std::sync::Arc;
use std::time::Duration;
use tonic::{Code, Request};

fn vg(name: &str) -> VgName {
    VgName::new(name).expect("a name")
}

async fn names(store: &MemoryStore, kind: ObjectKind) -> Vec<String> {
    let all = store.list(kind).await.expect("in memory");
    all.into_iter().map(|(key, _)| key.name).collect()
}

#[tokio::test]
async fn what_was_in_a_group_that_is_given_up_can_be_deleted() {
    let sim = Arc::new(Sim::new(disks()));
    let store = Arc::new(MemoryStore::default());
    let mut bed = Bed::over(Arc::clone(&sim), store.clone(), Fuse::default()).impatient();
    bed.agent.prepare_pools().await;
    let thin = [("pool", "thin")];
    let mut volumes = Vec::new();
    for name in ["kept", "deleted"] {
        volumes.push(bed.create(create(name, GIB, &thin)).await.expect("created"));
    }
    sim.hide(&vg("ingot-thin"), true);
    bed.agent.settle().await.expect("settles");
    let error = bed.delete(&volumes[1].volume_id).await;
    let error = error.expect_err("nothing is known of it");
    let remedy = "name ingot-thin under `abandoned` in the configuration of node node-1";
    assert_eq!(error.code(), Code::DeadlineExceeded);
    assert!(error.message().contains(remedy), "{error}");
    bed.kill().await;
    let mut given_up = config("node-1");
    given_up.pools.retain(|pool| pool.name != "thin");
    given_up.abandoned.insert(vg("ingot-thin"));
    let bed = Bed::with(given_up, Arc::clone(&sim), store.clone(), Fuse::default());
    bed.agent.settle().await.expect("settles");
    bed.delete(&volumes[1].volume_id).await.expect("released");
    let request = v1::ControllerGetVolumeHealthRequest {
        volume_id: volumes[0].volume_id.clone(),
        ..v1::ControllerGetVolumeHealthRequest::default()
    };
    let health = bed
        .controller
        .controller_get_volume_health(Request::new(request));
    let health = health.await.expect("health").into_inner().volume_health;
    let found = health.expect("one").health_statuses;
    assert!(
        found
            .iter()
            .any(|entry| entry.status() == v1::VolumeHealthErrorType::DataLoss),
        "{found:?}"
    );
    bed.delete(&volumes[0].volume_id).await.expect("released");
    assert!(names(&store, ObjectKind::Volume).await.is_empty());
    // The pool is not offered any more, and what comes back after all is not touched.
    assert_eq!(names(&store, ObjectKind::Pool).await, ["thick.node-1"]);
    sim.hide(&vg("ingot-thin"), false);
    bed.agent.settle().await.expect("settles");
    let scan = ingot_lvm::Command::Scan(vg("ingot-thin"));
    match ingot_lvm::Backend::run(&*sim, &scan) {
        Ok(ingot_lvm::Reply::Group(group)) => assert_eq!(group.lvs.len(), 3),
        other => panic!("{other:?}"),
    }
}

/// As `ingot volume orphans` has it for a node that is not in the cluster any more.
#[tokio::test]
async fn what_a_node_had_that_is_gone_can_be_deleted_and_is_kept_if_it_returns() {
    let sim = Arc::new(Sim::new(disks()));
    let store = Arc::new(MemoryStore::default());
    let mut bed = Bed::over(Arc::clone(&sim), store.clone(), Fuse::default()).impatient();
    bed.agent.prepare_pools().await;
    let volume = bed.create(create("db", GIB, &[("pool", "thin")])).await;
    let id = volume.expect("created").volume_id;
    // With its disks, since what the agent was about to do may still be on its way.
    sim.hide(&vg("ingot-thin"), true);
    bed.kill().await;
    let error = bed.delete(&id).await.expect_err("nobody is there to do it");
    assert_eq!(error.code(), Code::DeadlineExceeded, "{error}");
    for (key, stored) in store.list(ObjectKind::Volume).await.expect("in memory") {
        store.delete(&key, stored.version).await.expect("removed");
    }
    bed.delete(&id).await.expect("nothing is left to wait for");
    sim.hide(&vg("ingot-thin"), false);
    let bed = Bed::over(sim, store.clone(), Fuse::default());
    bed.agent.settle().await.expect("settles");
    let pools = store.list(ObjectKind::Pool).await.expect("in memory");
    let kept = pools.iter().filter_map(|(_, stored)| stored.object.pool());
    let kept: usize = kept.map(|pool| pool.quarantined.len()).sum();
    assert_eq!(kept, 1, "{pools:?}");
}

#[test]
fn a_group_is_used_or_given_up() {
    let mut both = config("node-1");
    both.abandoned.insert(vg("ingot-thin"));
    let error = both.check().expect_err("both");
    assert_eq!(
        error.to_string(),
        "pool \"thin\": its volume group ingot-thin is named under `abandoned`; take it off one of the two"
    );
}

async fn group(bed: &Bed, name: &str, volumes: &[String]) -> v1::VolumeGroupSnapshot {
    let request = v1::CreateVolumeGroupSnapshotRequest {
        name: name.into(),
        source_volume_ids: volumes.to_vec(),
        ..v1::CreateVolumeGroupSnapshotRequest::default()
    };
    let made = bed
        .controller
        .create_volume_group_snapshot(Request::new(request))
        .await;
    made.expect("taken")
        .into_inner()
        .group_snapshot
        .expect("one")
}

async fn two_volumes() -> (Arc<MemoryStore>, Bed, Vec<String>) {
    let store = Arc::new(MemoryStore::default());
    let sim = Arc::new(Sim::new(disks()));
    let bed = Bed::over(sim, store.clone(), Fuse::default());
    bed.agent.prepare_pools().await;
    let mut volumes = Vec::new();
    for name in ["a", "b"] {
        let volume = bed.create(create(name, GIB, &[("pool", "thin")])).await;
        volumes.push(volume.expect("created").volume_id);
    }
    (store, bed, volumes)
}

#[tokio::test]
async fn a_group_of_snapshots_goes_with_the_last_of_them() {
    let (store, bed, volumes) = two_volumes().await;
    let taken = group(&bed, "g", &volumes).await;
    let [first, last] = taken.snapshots.as_slice() else {
        panic!("{taken:?}")
    };
    bed.delete_snapshot(&first.snapshot_id)
        .await
        .expect("deleted");
    assert_eq!(names(&store, ObjectKind::Group).await.len(), 1);
    bed.delete_snapshot(&last.snapshot_id)
        .await
        .expect("deleted");
    assert!(names(&store, ObjectKind::Group).await.is_empty());
    // A group whose object is gone takes its snapshots with it, and nobody else's.
    let taken = group(&bed, "h", &volumes).await;
    let other = bed.snapshot("other", &volumes[0]).await.expect("taken");
    for (key, stored) in store.list(ObjectKind::Group).await.expect("in memory") {
        store.delete(&key, stored.version).await.expect("removed");
    }
    let mut named: Vec<String> = taken
        .snapshots
        .iter()
        .map(|s| s.snapshot_id.clone())
        .collect();
    named.push(other.snapshot_id.clone());
    let delete = v1::DeleteVolumeGroupSnapshotRequest {
        group_snapshot_id: taken.group_snapshot_id,
        snapshot_ids: named,
        ..v1::DeleteVolumeGroupSnapshotRequest::default()
    };
    let deleted = bed
        .controller
        .delete_volume_group_snapshot(Request::new(delete));
    deleted.await.expect("deleted");
    let left = names(&store, ObjectKind::Snapshot).await;
    assert_eq!(left.len(), 1, "{left:?}");
    assert!(other.snapshot_id.starts_with(&left[0]));
}

#[tokio::test]
async fn a_group_is_not_deleted_by_a_list_of_other_snapshots() {
    let (store, bed, volumes) = two_volumes().await;
    let unknown = v1::CreateVolumeGroupSnapshotRequest {
        name: "g".into(),
        source_volume_ids: volumes.clone(),
        parameters: [("freeze".to_owned(), "no".to_owned())].into(),
        ..v1::CreateVolumeGroupSnapshotRequest::default()
    };
    let error = bed
        .controller
        .create_volume_group_snapshot(Request::new(unknown))
        .await
        .expect_err("nobody knows it");
    assert_eq!(error.code(), Code::InvalidArgument, "{error}");
    assert!(
        error
            .message()
            .starts_with("parameter \"freeze\" is not known")
    );
    // The longest name that there may be: those of its members are longer.
    let taken = group(&bed, &"g".repeat(128), &volumes).await;
    let ids: Vec<&str> = taken
        .snapshots
        .iter()
        .map(|snapshot| snapshot.snapshot_id.as_str())
        .collect();
    let other = bed.snapshot("other", &volumes[0]).await.expect("taken");
    let delete = async |named: &[&str]| {
        let request = v1::DeleteVolumeGroupSnapshotRequest {
            group_snapshot_id: taken.group_snapshot_id.clone(),
            snapshot_ids: named.iter().map(ToString::to_string).collect(),
            ..v1::DeleteVolumeGroupSnapshotRequest::default()
        };
        bed.controller
            .delete_volume_group_snapshot(Request::new(request))
            .await
    };
    for (named, words) in [
        (vec![ids[0], ids[1], &other.snapshot_id], "leave it out"),
        (vec![ids[0]], "name it, too"),
    ] {
        let error = delete(&named).await.expect_err("another list");
        assert_eq!(error.code(), Code::InvalidArgument, "{error}");
        assert!(error.message().ends_with(words), "{error}");
        assert_eq!(names(&store, ObjectKind::Snapshot).await.len(), 3);
    }
    // Asked a second time, when a part of it was done.
    bed.delete_snapshot(ids[0]).await.expect("deleted");
    delete(&ids).await.expect("deleted");
    delete(&ids).await.expect("gone");
    assert_eq!(names(&store, ObjectKind::Snapshot).await.len(), 1);
}

#[tokio::test]
async fn nothing_is_kept_in_mind_of_a_volume_that_was_deleted() {
    let bed = Bed::new();
    bed.agent.prepare_pools().await;
    let volume = bed.create(create("v", GIB, &[("pool", "thin")])).await;
    let id = volume.expect("created").volume_id;
    assert_eq!(bed.agent.states().await.len(), 1);
    bed.delete(&id).await.expect("deleted");
    // The answer comes before the agent has put its actor away.
    let forgotten = async {
        while !bed.agent.states().await.is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let forgotten = tokio::time::timeout(Duration::from_secs(60), forgotten).await;
    forgotten.expect("forgotten");
}
