//! Requests that must be refused: code and message of each as one golden file, and nothing changed.
//!
//! `UPDATE_GOLDEN=1` rewrites the file; read the difference.

use crate::bed::Bed;
use crate::bed::request::{
    GIB, block, create, from_snapshot, from_volume, key, mount, mount_as, range, words,
};
use ingot_csi_proto::v1;
use ingot_csi_proto::v1::controller_server::Controller;
use ingot_csi_proto::v1::node_server::Node;
use ingot_csi_proto::v1::volume_capability::access_mode::Mode;
use ingot_lvm::{Backend, Command, Device, Reply};
use ingot_lvm_csi::object::{ObjectKind, VolumeId};
use ingot_volume_brain::{LvName, VgName};
use std::fmt::Write;
use tonic::{Request, Status};

/// The refusals so far.
#[derive(Default)]
struct Table(String);

impl Table {
    fn add<T: std::fmt::Debug>(&mut self, case: &str, outcome: Result<T, Status>) {
        let status = match outcome {
            Ok(value) => panic!("{case}: was not refused: {value:?}"),
            Err(status) => status,
        };
        // What differs from run to run is left out.
        let text = mask(status.message());
        writeln!(self.0, "{case}\n    {:?}: {text}", status.code()).expect("in memory");
    }
}

/// Identifiers and directories of this run as words.
fn mask(text: &str) -> String {
    let mut out = String::new();
    for word in text.split_inclusive([' ', ';', ',', ':']) {
        let bare = word.trim_end_matches([' ', ';', ',', ':']);
        let rest = &word[bare.len()..];
        if let Some(at) = bare.find("/.tmp") {
            let after = bare[at + 5..]
                .find('/')
                .map_or("", |end| &bare[at + 5 + end..]);
            let _ = write!(out, "<folder>{after}{rest}");
        } else {
            out.push_str(word);
        }
    }
    // Runs of 32 hexadecimal digits are uids and hashes.
    let mut masked = String::new();
    let mut digits = String::new();
    for c in out.chars().chain(['\0']) {
        if c.is_ascii_hexdigit() && !c.is_ascii_uppercase() {
            digits.push(c);
            continue;
        }
        masked.push_str(if digits.len() == 32 { "<id>" } else { &digits });
        digits.clear();
        if c != '\0' {
            masked.push(c);
        }
    }
    masked
}

/// Everything on the disks and in the store, to see that nothing changed.
async fn picture(bed: &Bed) -> String {
    let mut picture = String::new();
    for vg in ["ingot-thin", "ingot-thick"] {
        let scan = Command::Scan(VgName::new(vg).expect("a name"));
        let Ok(Reply::Group(group)) = bed.sim.run(&scan) else {
            panic!("{vg}")
        };
        let _ = writeln!(picture, "{group:?}");
    }
    for kind in [ObjectKind::Volume, ObjectKind::Snapshot, ObjectKind::Group] {
        for (key, stored) in bed.store.list(kind).await.expect("in memory") {
            let _ = writeln!(picture, "{key} {:?}", stored.object);
        }
    }
    picture
}

async fn creations(bed: &Bed, table: &mut Table, volume: &str, snapshot: &str) {
    let thin = [("pool", "thin")];
    let thick = [("pool", "thick")];
    let long: String = "名".repeat(43);
    let cases: Vec<(&str, v1::CreateVolumeRequest)> = vec![
        ("no name", create("", GIB, &thin)),
        (
            "a name of 129 bytes in another script",
            create(&long, GIB, &thin),
        ),
        ("a name with a line break", create("a\nb", GIB, &thin)),
        ("a negative size", create("x", -1, &thin)),
        (
            "a size beyond the thin pool",
            create("x", 1000 * GIB, &thin),
        ),
        ("a size beyond the disks", create("x", 1000 * GIB, &thick)),
        ("the largest size there is", create("x", i64::MAX, &thick)),
        (
            "an unknown parameter",
            create("x", GIB, &[("poool", "thin")]),
        ),
        ("an unknown pool", create("x", GIB, &[("pool", "gold")])),
        (
            "an unknown layout",
            create("x", GIB, &[("layout", "raid6")]),
        ),
        (
            "an option string as layout",
            create("x", GIB, &[("layout", "linear --yes /dev/sda")]),
        ),
        (
            "thin in a pool without a thin pool",
            create("x", GIB, &[("pool", "thick"), ("layout", "thin")]),
        ),
        (
            "stripes that are no number",
            create("x", GIB, &[("layout", "striped"), ("stripes", "two")]),
        ),
        (
            "one stripe",
            create("x", GIB, &[("layout", "striped"), ("stripes", "1")]),
        ),
        (
            "more stripes than disks",
            create(
                "x",
                GIB,
                &[("pool", "thick"), ("layout", "striped"), ("stripes", "9")],
            ),
        ),
        (
            "stripes without a striped layout",
            create("x", GIB, &[("stripes", "2")]),
        ),
        (
            "copies without raid1",
            create("x", GIB, &[("layout", "raid5"), ("copies", "2")]),
        ),
        (
            "integrity without a layout",
            create("x", GIB, &[("integrity", "true")]),
        ),
        (
            "integrity of what has no second copy",
            create("x", GIB, &[("layout", "striped"), ("integrity", "false")]),
        ),
        (
            "integrity perhaps",
            create("x", GIB, &[("layout", "raid1"), ("integrity", "maybe")]),
        ),
        (
            "encrypted perhaps",
            create("x", GIB, &[("encrypted", "maybe")]),
        ),
        (
            "an unknown filesystem",
            create("x", GIB, &[("fstype", "btrfs")]),
        ),
        (
            "an XFS smaller than its tools take",
            create("x", GIB / 16, &[("pool", "thin"), ("fstype", "xfs")]),
        ),
        (
            "the same name with another size",
            create("there", 3 * GIB, &thin),
        ),
        (
            "the same name in another pool",
            create("there", GIB, &thick),
        ),
        (
            "the same name with encryption",
            create("there", GIB, &[("pool", "thin"), ("encrypted", "true")]),
        ),
        (
            "the same name with another filesystem",
            create("there", GIB, &[("pool", "thin"), ("fstype", "xfs")]),
        ),
    ];
    for (case, request) in cases {
        table.add(case, bed.create(request).await);
    }
    let with = |change: fn(&mut v1::CreateVolumeRequest)| {
        let mut request = create("x", GIB, &[("pool", "thin")]);
        change(&mut request);
        request
    };
    let cases: Vec<(&str, v1::CreateVolumeRequest)> = vec![
        ("no capabilities", with(|r| r.volume_capabilities.clear())),
        (
            "a capability without access mode",
            with(|r| r.volume_capabilities[0].access_mode = None),
        ),
        (
            "neither block nor mount",
            with(|r| r.volume_capabilities[0].access_type = None),
        ),
        (
            "for several nodes",
            with(|r| r.volume_capabilities = vec![mount_as("", Mode::MultiNodeMultiWriter)]),
        ),
        (
            "a filesystem that is not offered",
            with(|r| r.volume_capabilities = vec![mount("ntfs")]),
        ),
        (
            "a limit below the required size",
            with(|r| {
                r.capacity_range = Some(v1::CapacityRange {
                    required_bytes: 2 * GIB,
                    limit_bytes: GIB,
                });
            }),
        ),
        (
            "an odd size with itself as limit",
            with(|r| {
                r.capacity_range = Some(v1::CapacityRange {
                    required_bytes: GIB + 1,
                    limit_bytes: GIB + 1,
                });
            }),
        ),
        (
            "an unknown attribute",
            with(|r| r.mutable_parameters = words(&[("iops", "100")])),
        ),
        (
            "an attribute of 0",
            with(|r| r.mutable_parameters = words(&[("readBytesPerSecond", "0")])),
        ),
        (
            "a topology without us",
            with(|r| {
                let segments = words(&[(ingot_lvm_csi::config::TOPOLOGY_NODE, "node-9")]);
                r.accessibility_requirements = Some(v1::TopologyRequirement {
                    requisite: vec![v1::Topology { segments }],
                    preferred: Vec::new(),
                });
            }),
        ),
        (
            "from a snapshot that is not there",
            with(|r| r.volume_content_source = from_snapshot("s-1")),
        ),
        (
            "from a volume that is not there",
            with(|r| r.volume_content_source = from_volume("v-1")),
        ),
    ];
    for (case, request) in cases {
        table.add(case, bed.create(request).await);
    }
    let mut small = create("x", GIB / 2, &thin);
    small.volume_content_source = from_snapshot(snapshot);
    small.capacity_range = Some(v1::CapacityRange {
        required_bytes: GIB / 2,
        limit_bytes: GIB / 2,
    });
    table.add("smaller than its snapshot", bed.create(small).await);
    let mut other = create("x", GIB, &thick);
    other.volume_content_source = from_volume(volume);
    table.add("a clone in another pool", bed.create(other).await);
}

async fn other_controller_requests(bed: &Bed, table: &mut Table, volume: &str, thick: &str) {
    table.add("snapshot without a name", bed.snapshot("", volume).await);
    table.add("snapshot of nothing", bed.snapshot("s", "v-1").await);
    table.add("snapshot of a thick volume", bed.snapshot("s", thick).await);
    table.add(
        "snapshot of another volume under a taken name",
        bed.snapshot("there", thick).await,
    );
    table.add("growth of nothing", bed.expand("v-1", GIB).await);
    table.add("growth to a negative size", bed.expand(volume, -1).await);
    table.add(
        "growth beyond the pool",
        bed.expand(volume, 1000 * GIB).await,
    );
    table.add(
        "growth beyond the disks",
        bed.expand(thick, 1000 * GIB).await,
    );
    let modify = |id: &str, attributes: &[(&str, &str)]| v1::ControllerModifyVolumeRequest {
        volume_id: id.into(),
        mutable_parameters: words(attributes),
        ..v1::ControllerModifyVolumeRequest::default()
    };
    for (case, request) in [
        (
            "an unknown attribute class",
            modify(volume, &[("gold", "yes")]),
        ),
        (
            "a limit that is no number",
            modify(volume, &[("writeOperationsPerSecond", "fast")]),
        ),
        (
            "attributes of nothing",
            modify("v-1", &[("writeOperationsPerSecond", "1")]),
        ),
    ] {
        table.add(
            case,
            bed.controller
                .controller_modify_volume(Request::new(request))
                .await,
        );
    }
    let list = v1::ListVolumesRequest {
        starting_token: "nonsense".into(),
        ..v1::ListVolumesRequest::default()
    };
    table.add(
        "a page that never was",
        bed.controller.list_volumes(Request::new(list)).await,
    );
}

async fn node_requests(bed: &Bed, table: &mut Table, volume: &str, encrypted: &str) {
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

#[tokio::test]
async fn refusals_name_the_remedy_and_change_nothing() {
    let bed = Bed::new();
    bed.agent.prepare_pools().await;
    let mut table = Table::default();
    let thin = bed
        .create(create("there", GIB, &[("pool", "thin")]))
        .await
        .expect("created");
    let thick = bed
        .create(create("thick", GIB, &[("pool", "thick")]))
        .await
        .expect("created");
    let secret = [("pool", "thin"), ("encrypted", "true")];
    let encrypted = bed
        .create(create("secret", GIB, &secret))
        .await
        .expect("created");
    let snapshot = bed.snapshot("there", &thin.volume_id).await.expect("taken");
    let before = picture(&bed).await;
    creations(&bed, &mut table, &thin.volume_id, &snapshot.snapshot_id).await;
    other_controller_requests(&bed, &mut table, &thin.volume_id, &thick.volume_id).await;
    // A refused growth leaves its words, and nothing else, beside the object: that is its report.
    let without_words = |picture: &str| -> String {
        let lines = picture.lines().map(|line| {
            let line = line.split(", message: ").next().unwrap_or_default();
            match line.find(", refused: ") {
                Some(at) => line[..at].to_owned(),
                None => line.to_owned(),
            }
        });
        lines.collect::<Vec<_>>().join("\n")
    };
    bed.agent.settle().await.expect("settles");
    assert_eq!(without_words(&picture(&bed).await), without_words(&before));
    node_requests(&bed, &mut table, &thin.volume_id, &encrypted.volume_id).await;
    let cases = table
        .0
        .lines()
        .filter(|line| !line.starts_with(' '))
        .count();
    println!("{cases} refusals");
    let file = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/driver/golden/refusals.txt"
    );
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(file, &table.0).expect("written");
    }
    let golden = std::fs::read_to_string(file).unwrap_or_default();
    assert!(
        golden == table.0,
        "differs from {file}; UPDATE_GOLDEN=1 rewrites it:\n{}",
        table.0
    );
}
