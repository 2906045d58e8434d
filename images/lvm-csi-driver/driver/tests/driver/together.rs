//! Snapshots of a group are of one attempt and one instant, also after a death in its midst.

use crate::bed::request::{GIB, create, from_snapshot, mount, mount_as};
use crate::bed::store::FusedStore;
use crate::bed::{Bed, config, disks};
use ingot_csi_proto::v1;
use ingot_csi_proto::v1::group_controller_server::GroupController;
use ingot_csi_proto::v1::node_server::Node;
use ingot_csi_proto::v1::volume_capability::access_mode::Mode;
use ingot_lvm::{Device, Fuse, Kind, Passage, Sim};
use ingot_lvm_csi::object::VolumeId;
use ingot_lvm_csi::store::MemoryStore;
use ingot_volume_brain::{LvName, VgName};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tonic::{Code, Request, Status};

const NAMES: [&str; 3] = ["a", "b", "c"];

fn device(volume: &v1::Volume) -> Device {
    let id = VolumeId::parse(Kind::Volume, &volume.volume_id).expect("an id");
    let vg = VgName::new("ingot-thin").expect("a name");
    Device::lv(&vg, &LvName::volume(id.uid))
}

async fn used(bed: &Bed, name: &str, folder: &Path) -> v1::Volume {
    let request = || create(name, GIB, &[("pool", "thin")]);
    let mut volume = bed.create(request()).await;
    for _ in 0..100 {
        if volume.is_ok() {
            break;
        }
        // The agent is still about its pools.
        tokio::time::sleep(Duration::from_millis(10)).await;
        volume = bed.create(request()).await;
    }
    let volume = volume.expect("created");
    let place = folder.join(name);
    std::fs::create_dir_all(&place).expect("made");
    bed.stage(&volume.volume_id, &place, &mount(""))
        .await
        .expect("staged");
    volume
}

async fn group(bed: &Bed, volumes: &[v1::Volume]) -> Result<v1::VolumeGroupSnapshot, Status> {
    let request = v1::CreateVolumeGroupSnapshotRequest {
        name: "group".into(),
        source_volume_ids: volumes.iter().map(|v| v.volume_id.clone()).collect(),
        ..v1::CreateVolumeGroupSnapshotRequest::default()
    };
    let taken = bed
        .controller
        .create_volume_group_snapshot(Request::new(request))
        .await?;
    Ok(taken.into_inner().group_snapshot.expect("one"))
}

/// Takes a group with a death in it; what its snapshots show, and the steps until then.
async fn taken(fuse: Fuse) -> (Vec<Option<String>>, Vec<String>) {
    let folder = tempfile::tempdir().expect("a directory");
    let sim = Arc::new(Sim::new(disks()));
    let memory = Arc::new(MemoryStore::default());
    let start = |fuse: &Fuse| {
        let store = FusedStore::new(Arc::clone(&memory), fuse.clone());
        Bed::with(config("node-1"), Arc::clone(&sim), store, fuse.clone())
    };
    let bed = start(&Fuse::default());
    let mut volumes = Vec::new();
    for name in NAMES {
        volumes.push(used(&bed, name, folder.path()).await);
    }
    let write = |text: &str| {
        for volume in &volumes {
            sim.write(&device(volume), "file", text).expect("written");
        }
    };
    write("before");
    drop(bed);
    let mut bed = start(&fuse);
    let died = async {
        while !fuse.blown() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let first = tokio::select! {
        answer = group(&bed, &volumes) => Some(answer),
        () = died => None,
    };
    let steps = fuse.steps();
    bed.kill().await;
    if fuse.blown() {
        write("after");
    }
    // Also where nobody died: the fuse would still burn for what comes after the group.
    bed = start(&Fuse::default());
    let taken = match first {
        Some(Ok(taken)) => taken,
        _ => group(&bed, &volumes).await.expect("taken after all"),
    };
    assert!(taken.ready_to_use && taken.snapshots.len() == NAMES.len());
    let mut shown = Vec::new();
    for (number, snapshot) in taken.snapshots.iter().enumerate() {
        let mut restore = create(&format!("r{number}"), GIB, &[("pool", "thin")]);
        restore.volume_content_source = from_snapshot(&snapshot.snapshot_id);
        let restored = bed.create(restore).await.expect("restored");
        shown.push(sim.read(&device(&restored), "file"));
    }
    (shown, steps)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_snapshots_are_of_one_attempt_wherever_the_driver_dies() {
    let same = |shown: &[Option<String>]| {
        let first = &shown[0];
        first.is_some() && shown.iter().all(|text| text == first)
    };
    let (shown, steps) = taken(Fuse::default()).await;
    assert_eq!(shown, vec![Some("before".to_owned()); NAMES.len()]);
    let copies = steps.iter().filter(|step| step.starts_with("cop")).count();
    assert_eq!(copies, 1, "one command takes them all: {steps:#?}");
    for step in 0..steps.len() {
        for passage in [Passage::Before, Passage::After] {
            let (shown, steps) = taken(Fuse::armed(step, passage)).await;
            let last = steps.last();
            assert!(same(&shown), "{step} {passage:?} ({last:?}): {shown:?}");
        }
    }
    // In the midst of the copies: what was taken before the death is not shown. (Whom the dead one held
    // still has gone on: it could write.)
    let (shown, _) = taken(Fuse::armed_at("copies of", Passage::During)).await;
    assert_eq!(shown, vec![Some("after".to_owned()); NAMES.len()]);
}

fn pod(number: u8) -> String {
    format!("0f5a1c3e-9b1d-4c7e-8a64-2f0f6f1f6a{number:02x}")
}

/// Where the kubelet shows a volume to a pod.
fn target(folder: &Path, pod: &str) -> std::path::PathBuf {
    let target = folder.join("pods").join(pod);
    std::fs::create_dir_all(&target).expect("made");
    target
}

/// The kubelet's request to show a volume that is staged to a pod.
fn shown(
    folder: &Path,
    volume: &v1::Volume,
    name: &str,
    pod: &str,
) -> v1::NodePublishVolumeRequest {
    let staging = folder.join(name).join("staging");
    v1::NodePublishVolumeRequest {
        volume_id: volume.volume_id.clone(),
        staging_target_path: staging.display().to_string(),
        target_path: target(folder, pod).join(name).display().to_string(),
        volume_capability: Some(mount("")),
        ..v1::NodePublishVolumeRequest::default()
    }
}

#[tokio::test]
async fn who_can_write_to_the_volumes_is_held_still_and_nobody_else() {
    let (bed, folder) = (Bed::new(), tempfile::tempdir().expect("a directory"));
    bed.agent.prepare_pools().await;
    let mut volumes = Vec::new();
    for name in NAMES {
        volumes.push(used(&bed, name, folder.path()).await);
    }
    let publish = async |number: usize, pod: &str, read_only: bool| {
        let request = v1::NodePublishVolumeRequest {
            volume_capability: Some(mount_as("", Mode::SingleNodeMultiWriter)),
            readonly: read_only,
            ..shown(folder.path(), &volumes[number], NAMES[number], pod)
        };
        let published = bed.node.node_publish_volume(Request::new(request)).await;
        published.expect("published");
    };
    publish(0, &pod(1), false).await;
    publish(1, &pod(1), false).await;
    publish(1, &pod(2), false).await;
    publish(1, &pod(3), true).await;
    publish(2, &pod(4), false).await;
    group(&bed, &volumes[..2]).await.expect("taken");
    let writers = [pod(1), pod(2)].into_iter().collect();
    assert_eq!(bed.sim.held(), [writers]);
    assert!(bed.sim.still().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whom_a_dead_agent_held_still_the_next_one_lets_go_on() {
    let folder = tempfile::tempdir().expect("a directory");
    let sim = Arc::new(Sim::new(disks()));
    let memory = Arc::new(MemoryStore::default());
    let fuse = Fuse::armed_at("copies of", Passage::During);
    let mut bed = Bed::over(sim.clone(), memory.clone(), fuse.clone());
    let mut volumes = Vec::new();
    for name in NAMES {
        let volume = used(&bed, name, folder.path()).await;
        let request = shown(folder.path(), &volume, name, &pod(1));
        let published = bed.node.node_publish_volume(Request::new(request)).await;
        published.expect("published");
        volumes.push(volume);
    }
    tokio::select! {
        answer = group(&bed, &volumes) => panic!("{answer:?}"),
        () = async {
            while !fuse.blown() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        } => {}
    }
    bed.kill().await;
    assert_eq!(sim.still(), [pod(1)].into_iter().collect());
    let bed = Bed::over(sim.clone(), memory, Fuse::default());
    bed.agent.prepare_pools().await;
    assert!(sim.still().is_empty(), "nobody lets it go on");
}

#[tokio::test]
async fn volumes_of_two_pools_are_no_group() {
    let (bed, folder) = (Bed::new(), tempfile::tempdir().expect("a directory"));
    bed.agent.prepare_pools().await;
    let thin = used(&bed, "thin", folder.path()).await;
    let thick = bed.create(create("thick", GIB, &[("pool", "thick")])).await;
    let error = group(&bed, &[thin, thick.expect("created")]).await;
    let error = error.expect_err("two pools");
    assert_eq!(error.code(), Code::FailedPrecondition);
    assert!(
        error
            .message()
            .contains("in pools thick of node node-1 and thin of node node-1"),
        "{error}"
    );
}

#[tokio::test]
async fn a_group_that_does_not_fit_leaves_nothing() {
    let (bed, folder) = (Bed::new(), tempfile::tempdir().expect("a directory"));
    bed.agent.prepare_pools().await;
    let mut volumes = Vec::new();
    for name in NAMES {
        volumes.push(used(&bed, name, folder.path()).await);
    }
    // Room for two more, of the three that are needed.
    let (_, largest) = bed.capacity(&[("pool", "thin")]).await.expect("capacity");
    bed.create(create("big", largest - 2 * GIB, &[("pool", "thin")]))
        .await
        .expect("created");
    let error = group(&bed, &volumes).await.expect_err("no room");
    assert_eq!(error.code(), Code::ResourceExhausted, "{error}");
    let (_, left) = bed.capacity(&[("pool", "thin")]).await.expect("capacity");
    assert_eq!(left, 2 * GIB, "nothing is left of it");
}
