//! Creations that are refused.

use super::Table;
use crate::bed::Bed;
use crate::bed::request::{GIB, create, from_snapshot, from_volume, mount, mount_as, words};
use ingot_csi_proto::v1;
use ingot_csi_proto::v1::volume_capability::access_mode::Mode;

pub(super) async fn are_refused(bed: &Bed, table: &mut Table, volume: &str, snapshot: &str) {
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
