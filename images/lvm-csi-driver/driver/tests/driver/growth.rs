//! Growth that is refused is not wanted any longer, also where the object store has rules of its own.

use crate::bed::Bed;
use crate::bed::request::{GIB, create};
use crate::cluster::Cluster;
use ingot_lvm::{Kind, Layout, Limits};
use ingot_lvm_csi::object::{Volume, VolumeId};
use ingot_lvm_csi::store::kube::{KubeStore, Role, connect};
use ingot_lvm_csi::store::{self, Store, StoreError};
use ingot_volume_brain::{Bytes, NodeName, Phase, Report, VgName, VolumeUid};
use std::error::Error;
use tonic::Code;

/// What is wanted now, and what there is.
async fn sizes(store: &dyn Store, id: VolumeId) -> (Bytes, Bytes) {
    let found = store::volume(store, &id.key()).await.expect("read");
    let (_, volume) = found.expect("there");
    (volume.size, volume.report.size)
}

#[tokio::test]
async fn a_growth_that_does_not_fit_is_not_taken_later_unasked() {
    let bed = Bed::new();
    bed.agent.prepare_pools().await;
    let request = create("v", GIB, &[("pool", "thick")]);
    let volume = bed.create(request).await.expect("created").volume_id;
    let id = VolumeId::parse(Kind::Volume, &volume).expect("an id");
    let hog = create("hog", 30 * GIB, &[("pool", "thick")]);
    let hog = bed.create(hog).await.expect("created").volume_id;
    for _ in 0..2 {
        let error = bed.expand(&volume, 20 * GIB).await.expect_err("no room");
        assert_eq!(error.code(), Code::OutOfRange, "{error}");
        let left = sizes(&*bed.store, id).await;
        assert_eq!(left, (Bytes::gib(1), Bytes::gib(1)));
    }
    bed.delete(&hog).await.expect("deleted");
    bed.agent.settle().await.expect("settles");
    assert_eq!(
        sizes(&*bed.store, id).await,
        (Bytes::gib(1), Bytes::gib(1)),
        "nobody asked for more"
    );
    bed.expand(&volume, 20 * GIB).await.expect("asked again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_api_server_takes_a_wish_back_down_to_what_there_is()
-> Result<(), Box<dyn Error + Send + Sync>> {
    let Some(cluster) = Cluster::start().await? else {
        return Ok(());
    };
    cluster.define().await?;
    let client = connect(Some(&cluster.kubeconfig())).await?;
    let node = NodeName::new("node-1")?;
    let controller = KubeStore::new(client.clone(), Role::Controller);
    let agent = KubeStore::new(client, Role::Agent(node.clone()));
    let wanted = Volume {
        kind: Kind::Volume,
        uid: VolumeUid(7),
        csi_name: "pvc-1".into(),
        node,
        pool: "data".into(),
        vg: VgName::new("ingot-data")?,
        layout: Layout::Linear,
        size: Bytes::gib(2),
        deleting: false,
        origin: None,
        encrypted: false,
        filesystem: None,
        limits: Limits::default(),
        group: None,
        created: 1,
        report: Report::default(),
        message: String::new(),
        in_use: false,
    };
    let key = wanted.key();
    let with = |size: Bytes| Volume {
        size,
        ..wanted.clone()
    };
    let version = controller.create(&key, wanted.clone().into()).await?;
    // Nothing is there yet that a wish could be taken back to.
    let below = controller.update(&key, version, with(Bytes::gib(1)).into());
    assert!(matches!(below.await, Err(StoreError::Refused(..))));
    let report = |refused| Report {
        phase: Phase::Ready,
        size: Bytes::gib(2),
        refused,
    };
    let made = Volume {
        report: report(None),
        ..wanted.clone()
    };
    let version = agent.update(&key, version, made.into()).await?;
    let version = controller
        .update(&key, version, with(Bytes::gib(9)).into())
        .await?;
    let refused = Volume {
        report: report(Some(Bytes::gib(9))),
        ..with(Bytes::gib(9))
    };
    let version = agent.update(&key, version, refused.into()).await?;
    let below = controller.update(&key, version, with(Bytes::gib(1)).into());
    assert!(matches!(below.await, Err(StoreError::Refused(..))));
    controller
        .update(&key, version, with(Bytes::gib(2)).into())
        .await?;
    let (_, now) = store::volume(&*controller, &key).await?.expect("there");
    assert_eq!((now.size, now.report.size), (Bytes::gib(2), Bytes::gib(2)));
    Ok(())
}
