//! Cases that csi-sanity marks as pending or gets wrong, and group snapshots, which it only asks for
//! with wrong arguments.

use crate::bed::Bed;
use crate::bed::request::{GIB, create, from_snapshot};
use ingot_csi_proto::v1;
use ingot_csi_proto::v1::controller_server::Controller;
use ingot_csi_proto::v1::group_controller_server::GroupController;
use std::collections::BTreeSet;
use tonic::{Code, Request};

async fn page(bed: &Bed, token: &str, most: i32) -> v1::ListVolumesResponse {
    let request = v1::ListVolumesRequest {
        max_entries: most,
        starting_token: token.into(),
    };
    bed.controller
        .list_volumes(Request::new(request))
        .await
        .expect("a page")
        .into_inner()
}

fn ids(page: &v1::ListVolumesResponse) -> Vec<String> {
    page.entries
        .iter()
        .map(|e| e.volume.as_ref().expect("one").volume_id.clone())
        .collect()
}

#[tokio::test]
async fn a_list_in_pages_misses_nothing_while_volumes_come_and_go() {
    let bed = Bed::new();
    bed.agent.prepare_pools().await;
    let mut all = BTreeSet::new();
    for number in 0..6 {
        let volume = bed
            .create(create(&format!("v{number}"), GIB, &[("pool", "thin")]))
            .await;
        all.insert(volume.expect("created").volume_id);
    }
    let first = page(&bed, "", 2).await;
    let mut seen = ids(&first);
    assert_eq!(seen.len(), 2);
    // The last of the page goes, and another comes.
    bed.delete(&seen[1]).await.expect("deleted");
    bed.create(create("late", GIB, &[("pool", "thin")]))
        .await
        .expect("created");
    let mut token = first.next_token;
    while !token.is_empty() {
        let next = page(&bed, &token, 2).await;
        seen.extend(ids(&next));
        token = next.next_token;
    }
    let unique: BTreeSet<String> = seen.iter().cloned().collect();
    assert_eq!(unique.len(), seen.len(), "none twice");
    assert!(
        all.is_subset(&unique),
        "all that were there throughout, and the deleted one once"
    );
}

#[tokio::test]
async fn a_snapshot_says_on_which_node_it_can_be_used() {
    let bed = Bed::new();
    bed.agent.prepare_pools().await;
    let volume = bed
        .create(create("v", GIB, &[("pool", "thin")]))
        .await
        .expect("created");
    let request = v1::CreateSnapshotRequest {
        name: "s".into(),
        source_volume_id: volume.volume_id,
        accessibility_requirements: Some(v1::TopologyRequirement {
            requisite: volume.accessible_topology.clone(),
            preferred: volume.accessible_topology.clone(),
        }),
        ..v1::CreateSnapshotRequest::default()
    };
    let answer = bed
        .controller
        .create_snapshot(Request::new(request))
        .await
        .expect("taken");
    let snapshot = answer.into_inner().snapshot.expect("one");
    assert_eq!(snapshot.accessible_topology, volume.accessible_topology);
}

#[tokio::test]
async fn a_group_of_snapshots_is_all_or_none_and_each_can_be_restored() {
    let bed = Bed::new();
    bed.agent.prepare_pools().await;
    let mut volumes = Vec::new();
    for name in ["a", "b", "c"] {
        let volume = bed
            .create(create(name, GIB, &[("pool", "thin")]))
            .await
            .expect("created");
        volumes.push(volume.volume_id);
    }
    let request = |name: &str, volumes: &[String]| {
        Request::new(v1::CreateVolumeGroupSnapshotRequest {
            name: name.into(),
            source_volume_ids: volumes.to_vec(),
            ..v1::CreateVolumeGroupSnapshotRequest::default()
        })
    };
    let make = |name: &'static str, volumes: Vec<String>| {
        let request = request(name, &volumes);
        let controller = bed.controller.clone();
        async move { controller.create_volume_group_snapshot(request).await }
    };
    let group = make("g", volumes.clone())
        .await
        .expect("taken")
        .into_inner();
    let group = group.group_snapshot.expect("one");
    assert!(group.ready_to_use && group.snapshots.len() == 3);
    let again = make("g", volumes.clone())
        .await
        .expect("the same")
        .into_inner();
    assert_eq!(again.group_snapshot.expect("one"), group);
    let other = make("g", volumes[..2].to_vec()).await.expect_err("others");
    assert_eq!(other.code(), Code::AlreadyExists);
    for (number, snapshot) in group.snapshots.iter().enumerate() {
        assert_eq!(snapshot.group_snapshot_id, group.group_snapshot_id);
        let mut restore = create(&format!("r{number}"), GIB, &[("pool", "thin")]);
        restore.volume_content_source = from_snapshot(&snapshot.snapshot_id);
        bed.create(restore).await.expect("restored");
    }
    // One that cannot be: nothing of the group is left.
    let thick = bed
        .create(create("t", GIB, &[("pool", "thick")]))
        .await
        .expect("created");
    let mixed = vec![volumes[0].clone(), thick.volume_id];
    let error = make("mixed", mixed).await.expect_err("a thick one");
    assert_eq!(error.code(), Code::FailedPrecondition);
    let all = bed
        .controller
        .list_snapshots(Request::new(v1::ListSnapshotsRequest::default()))
        .await
        .expect("a list")
        .into_inner();
    assert_eq!(all.entries.len(), 3);
    let delete = v1::DeleteVolumeGroupSnapshotRequest {
        group_snapshot_id: group.group_snapshot_id.clone(),
        ..v1::DeleteVolumeGroupSnapshotRequest::default()
    };
    let delete = || Request::new(delete.clone());
    bed.controller
        .delete_volume_group_snapshot(delete())
        .await
        .expect("deleted");
    bed.controller
        .delete_volume_group_snapshot(delete())
        .await
        .expect("deleted twice");
    let get = v1::GetVolumeGroupSnapshotRequest {
        group_snapshot_id: group.group_snapshot_id,
        ..v1::GetVolumeGroupSnapshotRequest::default()
    };
    let gone = bed
        .controller
        .get_volume_group_snapshot(Request::new(get))
        .await;
    assert_eq!(gone.expect_err("gone").code(), Code::NotFound);
}
