//! What a node refuses.

use super::Table;
use crate::bed::Bed;
use crate::bed::request::{GIB, block, key, mount, mount_as, range, words};
use ingot_csi_proto::v1;
use ingot_csi_proto::v1::node_server::Node;
use ingot_csi_proto::v1::volume_capability::access_mode::Mode;
use ingot_lvm::Device;
use ingot_lvm_csi::object::VolumeId;
use ingot_volume_brain::{LvName, VgName};
use tonic::Request;

pub(super) async fn refuse(bed: &Bed, table: &mut Table, volume: &str, encrypted: &str) {
    let folder = tempfile::tempdir().expect("a directory");
    let path = folder.path();
    table.add("staging nothing", bed.stage("v-1", path, &mount("")).await);
    table.add(
        "staging in no filesystem of ours",
        bed.stage(volume, path, &mount("zfs")).await,
    );
    table.add(
        "publishing what is not staged",
        bed.publish(volume, path, "t", &mount("")).await,
    );
    table.add(
        "publishing a raw volume that is not staged",
        bed.publish(volume, path, "t", &block()).await,
    );
    let nowhere = v1::NodePublishVolumeRequest {
        volume_id: volume.into(),
        target_path: path.join("t").display().to_string(),
        volume_capability: Some(mount("")),
        ..v1::NodePublishVolumeRequest::default()
    };
    table.add(
        "publishing without a staging path",
        bed.node.node_publish_volume(Request::new(nowhere)).await,
    );
    let none = words(&[]);
    table.add(
        "an encrypted volume without key",
        bed.stage_with(encrypted, path, &mount(""), none).await,
    );
    table.add(
        "a short key",
        bed.stage_with(encrypted, path, &mount(""), key("1234"))
            .await,
    );
    bed.stage(encrypted, path, &mount(""))
        .await
        .expect("staged");
    let expand = v1::NodeExpandVolumeRequest {
        volume_id: encrypted.into(),
        volume_path: path.join("staging").display().to_string(),
        ..v1::NodeExpandVolumeRequest::default()
    };
    table.add(
        "growth of an encrypted volume without key",
        bed.node.node_expand_volume(Request::new(expand)).await,
    );
    bed.unstage(encrypted, path).await.expect("unstaged");
    let wrong = bed
        .stage_with(encrypted, path, &mount(""), key("wrong battery"))
        .await;
    table.add("a wrong key", wrong);
    bed.stage(volume, path, &mount("ext4"))
        .await
        .expect("staged");
    bed.publish(volume, path, "one", &mount("ext4"))
        .await
        .expect("published");
    let single = mount_as("ext4", Mode::SingleNodeSingleWriter);
    table.add(
        "a second pod of ReadWriteOncePod",
        bed.publish(volume, path, "two", &single).await,
    );
    let read = mount_as("ext4", Mode::SingleNodeReaderOnly);
    table.add(
        "the same place for reading only",
        bed.publish(volume, path, "one", &read).await,
    );
    table.add("unstaging while published", bed.unstage(volume, path).await);
    let other = bed.unpublish(encrypted, path, "one").await;
    table.add("unpublishing another volume", other);
    let stats = v1::NodeGetVolumeStatsRequest {
        volume_id: volume.into(),
        volume_path: path.join("nowhere").display().to_string(),
        ..v1::NodeGetVolumeStatsRequest::default()
    };
    table.add(
        "fill of a place where it is not",
        bed.node.node_get_volume_stats(Request::new(stats)).await,
    );
    let expand = v1::NodeExpandVolumeRequest {
        volume_id: volume.into(),
        volume_path: path.join("one").display().to_string(),
        capacity_range: range(9 * GIB),
        ..v1::NodeExpandVolumeRequest::default()
    };
    table.add(
        "growth on the node alone",
        bed.node.node_expand_volume(Request::new(expand)).await,
    );
    bed.unpublish(volume, path, "one")
        .await
        .expect("unpublished");
    bed.unstage(volume, path).await.expect("unstaged");
    table.add(
        "another filesystem than is there",
        bed.stage(volume, path, &mount("xfs")).await,
    );
    let uid = VolumeId::parse(ingot_lvm::Kind::Volume, volume)
        .expect("an id")
        .uid;
    let vg = VgName::new("ingot-thin").expect("a name");
    let device = Device::lv(&vg, &LvName::volume(uid));
    bed.sim.scribble(&device, "zfs_member").expect("scribbled");
    table.add(
        "a device that holds something else",
        bed.stage(volume, path, &mount("ext4")).await,
    );
}
