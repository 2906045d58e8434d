//! Reads LVM's JSON report.

mod raid;

use crate::error::LvmError;
use crate::group::{ERASED, Group, Lv, PARTIAL, Pv, RESERVE, ThinUsage};
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
    pvseg: Vec<PvSegRow>,
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
    integritymismatches: String,
}

#[derive(Deserialize)]
struct PvSegRow {
    pv_name: String,
    /// Nothing where it is free.
    lv_name: String,
}

#[derive(Deserialize)]
struct SegRow {
    lv_name: String,
    segtype: String,
    chunk_size: String,
    devices: String,
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
            pieces: pieces(&pv.pv_name, &sections.pvseg),
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

fn pieces(pv: &str, all: &[PvSegRow]) -> u32 {
    let own = all.iter().filter(|row| row.pv_name == pv);
    let open = own.filter(|row| row.lv_name.is_empty() || row.lv_name.starts_with(RESERVE));
    u32::try_from(open.count()).unwrap_or(u32::MAX)
}

fn list(tags: &str) -> impl Iterator<Item = &str> + Clone {
    tags.split(',').filter(|tag| !tag.is_empty())
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
    let integrity = raid::integrity(row, segtype, sections);
    let active = row.lv_active.starts_with("active");
    // LVM gives one with checksums no device while a disk is missing; one that has a device keeps it.
    let reachable = active || integrity.is_none() || !row.lv_health_status.contains(PARTIAL);
    let readable = reachable && raid::readable(row, segtype, &sections.lv);
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
        integrity,
        active,
    })
}
