use crate::group::Lv;
use crate::real::report::group;
use ingot_volume_brain::VgName;
use serde_json::{Value, json};

fn row(name: &str, health: &str) -> Value {
    json!({
        "lv_name": name, "lv_size": "8388608", "lv_tags": "", "pool_lv": "", "lv_attr": "",
        "lv_metadata_size": "", "data_percent": "", "metadata_percent": "",
        "lv_health_status": health, "lv_active": "active", "integritymismatches": "",
    })
}

/// What LVM tells of a RAID with those images, `true` for one on a disk that is gone.
fn told(segtype: &str, images: &[bool]) -> Lv {
    let mut lvs = vec![row(
        "v",
        if images.contains(&true) {
            "partial"
        } else {
            ""
        },
    )];
    for (number, lost) in images.iter().enumerate() {
        let health = if *lost { "partial" } else { "" };
        lvs.push(row(&format!("[v_rimage_{number}]"), health));
        lvs.push(row(&format!("[v_rmeta_{number}]"), health));
    }
    let segment = json!({ "lv_name": "v", "segtype": segtype, "chunk_size": "0", "devices": "" });
    let report = json!({ "report": [{
        "vg": [{ "vg_name": "vg", "vg_tags": "", "vg_extent_size": "4194304" }],
        "pv": [], "lv": lvs, "seg": [segment],
    }] });
    let vg = VgName::new("vg").expect("a name");
    let group = group(&vg, &report.to_string()).expect("read");
    assert_eq!(group.lvs.len(), 1, "parts are no volumes");
    group.lvs[0].clone()
}

#[test]
fn a_raid_with_a_lost_leg_is_partial_and_readable() {
    let found = told("raid1", &[true, false]);
    assert!(found.partial() && found.readable, "{found:?}");
    for (segtype, images, readable) in [
        ("raid1", vec![true, true], false),
        ("raid5_ls", vec![false, true, false], true),
        ("raid5_ls", vec![true, true, false], false),
        ("raid10", vec![true, false, false, true], true),
        ("raid10", vec![true, true, false, false], false),
    ] {
        assert_eq!(
            told(segtype, &images).readable,
            readable,
            "{segtype} {images:?}"
        );
    }
    let whole = told("raid1", &[false, false]);
    assert!(!whole.partial() && whole.readable, "{whole:?}");
    // A part of a linear volume has no image of its own.
    let report = told("linear", &[true]);
    assert!(report.partial() && !report.readable, "{report:?}");
}

/// What LVM tells of a mirror with integrity: what is wrong with the data and the checksums of its first
/// leg, and how often each leg was not what its checksums say.
fn with_integrity_report(data: &str, checksums: &str, mismatches: [&str; 2]) -> Value {
    let gone = [data, checksums].contains(&"partial");
    let whole = if gone { "partial" } else { "" };
    let counted = |name: &str, health: &str, mismatches: &str| {
        let mut row = row(name, health);
        row["integritymismatches"] = json!(mismatches);
        row
    };
    let lvs = [
        counted("v", whole, "7"),
        counted("[v_rimage_0]", data, mismatches[0]),
        row("[v_rimage_0_iorig]", data),
        row("[v_rimage_0_imeta]", checksums),
        counted("[v_rimage_1]", "", mismatches[1]),
        row("[v_rimage_1_iorig]", ""),
        row("[v_rimage_1_imeta]", ""),
        row("[v_rmeta_0]", ""),
        row("[v_rmeta_1]", ""),
        row("[w_rimage_0_imeta]", ""),
    ];
    let segment = |lv: &str, segtype: &str, devices: &str| json!({ "lv_name": lv, "segtype": segtype, "chunk_size": "0", "devices": devices });
    let segments = [
        segment("v", "raid1", "v_rimage_0(0),v_rimage_1(0)"),
        segment("[v_rimage_0]", "integrity", "v_rimage_0_iorig(0)"),
        segment("[v_rimage_0_iorig]", "linear", "/dev/sda(1)"),
        segment("[v_rimage_1_iorig]", "linear", "/dev/sdb(1)"),
        segment("[v_rimage_1_iorig]", "linear", "/dev/sdc(1)"),
    ];
    json!({ "report": [{
        "vg": [{ "vg_name": "vg", "vg_tags": "", "vg_extent_size": "4194304" }],
        "pv": [], "lv": lvs, "seg": segments,
    }] })
}

fn with_integrity(data: &str, checksums: &str, mismatches: [&str; 2]) -> Lv {
    read(&with_integrity_report(data, checksums, mismatches).to_string())
}

#[test]
fn a_leg_is_lost_with_its_data_or_its_checksums() {
    for (data, checksums) in [("partial", ""), ("", "partial"), ("partial", "partial")] {
        let found = with_integrity(data, checksums, ["", ""]);
        assert!(found.partial() && found.readable, "{found:?}");
    }
    assert!(!with_integrity("", "", ["0", "0"]).partial());
}

#[test]
fn without_a_device_a_raid_with_checksums_and_a_lost_leg_is_out_of_reach() {
    let found = with_integrity("partial", "", ["", ""]);
    assert!(found.active && found.readable);
    let found = inactive(&with_integrity_report("partial", "", ["", ""]));
    assert!(!found.active && !found.readable && found.integrity.is_some());
    let whole = inactive(&with_integrity_report("", "", ["", ""]));
    assert!(!whole.active && whole.readable);
}

fn inactive(report: &Value) -> Lv {
    let text = report.to_string().replace(r#""active""#, r#""""#);
    read(&text)
}

fn read(report: &str) -> Lv {
    let vg = VgName::new("vg").expect("a name");
    let group = group(&vg, report).expect("read");
    assert_eq!(group.lvs.len(), 1, "parts are no volumes");
    group.lvs[0].clone()
}

#[test]
fn mismatches_are_counted_with_the_disks_that_they_are_on() {
    let told = |mismatches| {
        let found = with_integrity("", "", mismatches).integrity;
        let found = found.expect("it has checksums");
        (found.mismatches, found.on.join(" "))
    };
    assert_eq!(told(["0", "0"]), (0, String::new()));
    assert_eq!(told(["", ""]), (0, String::new()), "without a device");
    assert_eq!(told(["7", "0"]), (7, "/dev/sda".into()));
    assert_eq!(told(["1", "2"]), (3, "/dev/sda /dev/sdb /dev/sdc".into()));
    assert_eq!(self::told("raid1", &[false, false]).integrity, None);
}
