//! Reads LVM's JSON report.

use crate::error::LvmError;
use crate::group::{ERASED, Group, Lv, PARTIAL, Pv, ThinUsage};
use crate::layout::Layout;
use crate::tags::Tags;
use ingot_volume_brain::{Bytes, LvName, VgName};
use serde::Deserialize;

#[derive(Deserialize)]
struct Full {
    report: Vec<Sections>,
}

#[derive(Deserialize)]
struct Sections {
    vg: Vec<VgRow>,
    pv: Vec<PvRow>,
    lv: Vec<LvRow>,
    #[serde(default)]
    seg: Vec<SegRow>,
}

#[derive(Deserialize)]
struct VgRow {
    vg_name: String,
    vg_tags: String,
    vg_extent_size: String,
}

#[derive(Deserialize)]
struct PvRow {
    pv_name: String,
    pv_uuid: String,
    pv_tags: String,
    pv_size: String,
    pv_free: String,
    pv_missing: String,
}

#[derive(Deserialize)]
struct LvRow {
    lv_name: String,
    lv_size: String,
    lv_tags: String,
    pool_lv: String,
    lv_metadata_size: String,
    data_percent: String,
    metadata_percent: String,
    lv_health_status: String,
    lv_active: String,
}

#[derive(Deserialize)]
struct SegRow {
    lv_name: String,
    segtype: String,
    chunk_size: String,
}

fn unreadable(reason: impl std::fmt::Display) -> LvmError {
    LvmError::Failed {
        command: "lvm fullreport".into(),
        reason: format!("its report cannot be read: {reason}; see that lvm2 is 2.03.16 or later"),
    }
}

fn size(text: &str) -> Result<Bytes, LvmError> {
    let number = text.trim_end_matches('B');
    number
        .parse()
        .map(Bytes)
        .map_err(|_| unreadable(format!("{text:?} is not a size")))
}

/// A percentage as part of a whole. Pools without a device tell none: counted as full, so that
/// nothing is promised in what cannot be seen.
fn part(text: &str) -> f64 {
    text.parse::<f64>().map_or(1.0, |percent| percent / 100.0)
}

/// The group of that name in a report.
pub(super) fn group(vg: &VgName, json: &str) -> Result<Group, LvmError> {
    let full: Full = serde_json::from_str(json).map_err(unreadable)?;
    let ours = |sections: &Sections| {
        sections
            .vg
            .first()
            .is_some_and(|row| row.vg_name == vg.as_str())
    };
    let Some(sections) = full.report.into_iter().find(ours) else {
        return Err(LvmError::GroupMissing { vg: vg.clone() });
    };
    let row = &sections.vg[0];
    let mut pvs = Vec::new();
    for pv in &sections.pv {
        pvs.push(Pv {
            device: pv.pv_name.clone(),
            uuid: pv.pv_uuid.clone(),
            names: Vec::new(),
            size: size(&pv.pv_size)?,
            free: size(&pv.pv_free)?,
            missing: !pv.pv_missing.is_empty(),
            read_only: false,
            erased: list(&pv.pv_tags).any(|tag| tag == ERASED),
        });
    }
    pvs.sort_by(|a, b| a.device.cmp(&b.device));
    let mut lvs = Vec::new();
    // Parts of other volumes are hidden in brackets.
    for lv in sections.lv.iter().filter(|lv| !lv.lv_name.starts_with('[')) {
        // What LVM named itself (_pmspare and the like) is nobody's volume.
        let Ok(name) = LvName::new(&lv.lv_name) else {
            continue;
        };
        lvs.push(volume(name, lv, &sections)?);
    }
    lvs.sort_by(|a, b| a.lv.cmp(&b.lv));
    Ok(Group {
        vg: vg.clone(),
        tags: list(&row.vg_tags).map(str::to_owned).collect(),
        extent: size(&row.vg_extent_size)?,
        pvs,
        lvs,
    })
}

fn list(tags: &str) -> impl Iterator<Item = &str> + Clone {
    tags.split(',').filter(|tag| !tag.is_empty())
}

/// Whether all of a volume is on parts that are there.
fn readable(row: &LvRow, segtype: &str, all: &[LvRow]) -> bool {
    if !row.lv_health_status.contains(PARTIAL) {
        return true;
    }
    let prefix = format!("[{}_rimage_", row.lv_name);
    let images = all.iter().filter_map(|part| {
        let number = part.lv_name.strip_prefix(&prefix)?.strip_suffix(']')?;
        let lost = part.lv_health_status.contains(PARTIAL);
        Some((number.parse::<u32>().ok()?, lost))
    });
    let images: Vec<(u32, bool)> = images.collect();
    let count = u32::try_from(images.len()).unwrap_or_default();
    let lost: Vec<u32> = images
        .iter()
        .filter(|(_, lost)| *lost)
        .map(|(n, _)| *n)
        .collect();
    let layout = match segtype {
        "raid1" => Layout::raid1(count),
        "raid10" => Layout::raid10(count / 2),
        raid5 if raid5.starts_with("raid5") => Layout::raid5(count.saturating_sub(1)),
        _ => return false,
    };
    layout.is_ok_and(|layout| layout.survives(&lost))
}

fn volume(lv: LvName, row: &LvRow, sections: &Sections) -> Result<Lv, LvmError> {
    let segments = &sections.seg;
    let (tags, unread) = match Tags::decode(list(&row.lv_tags)) {
        Ok(tags) => (tags, None),
        Err(error) => (None, Some(error.to_string())),
    };
    let segment = segments.iter().find(|seg| seg.lv_name == row.lv_name);
    let thin = match segment.filter(|seg| seg.segtype == "thin-pool") {
        None => None,
        Some(seg) => Some(ThinUsage {
            data: part(&row.data_percent),
            metadata: part(&row.metadata_percent),
            metadata_size: size(&row.lv_metadata_size)?,
            chunk: size(&seg.chunk_size)?,
        }),
    };
    let segtype = segment.map(|seg| seg.segtype.as_str()).unwrap_or_default();
    let readable = readable(row, segtype, &sections.lv);
    let health = (!row.lv_health_status.is_empty()).then(|| row.lv_health_status.clone());
    Ok(Lv {
        lv,
        size: size(&row.lv_size)?,
        tags,
        unreadable: unread,
        pool: LvName::new(&row.pool_lv).ok(),
        thin,
        health,
        readable,
        active: row.lv_active.starts_with("active"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn row(name: &str, health: &str) -> Value {
        json!({
            "lv_name": name, "lv_size": "8388608", "lv_tags": "", "pool_lv": "", "lv_attr": "",
            "lv_metadata_size": "", "data_percent": "", "metadata_percent": "",
            "lv_health_status": health, "lv_active": "active",
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
        let segment = json!({ "lv_name": "v", "segtype": segtype, "chunk_size": "0" });
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
}
