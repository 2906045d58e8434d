//! What LVM tells of the parts of a RAID: its images and, with integrity, what lies below each.

use super::{LvRow, Sections};
use crate::group::{Integrity, PARTIAL};
use crate::layout::Layout;
use std::collections::BTreeMap;

/// What a part of an image is called behind its number: nothing is the image itself.
const CHECKSUMS: &str = "_imeta";
const DATA: &str = "_iorig";

/// The parts of the images of a RAID, with the number of the image and what part of it that is.
fn parts<'a>(lv: &str, all: &'a [LvRow]) -> impl Iterator<Item = (u32, &'a str, &'a LvRow)> {
    let prefix = format!("[{lv}_rimage_");
    all.iter().filter_map(move |row| {
        let name = row.lv_name.strip_prefix(&prefix)?.strip_suffix(']')?;
        let digits = name.bytes().take_while(u8::is_ascii_digit).count();
        let (number, part) = name.split_at(digits);
        Some((number.parse().ok()?, part, row))
    })
}

/// Whether all of a volume is on parts that are there.
pub(super) fn readable(row: &LvRow, segtype: &str, all: &[LvRow]) -> bool {
    if !row.lv_health_status.contains(PARTIAL) {
        return true;
    }
    // An image without its checksums is none.
    let mut images: BTreeMap<u32, bool> = BTreeMap::new();
    for (number, _, part) in parts(&row.lv_name, all) {
        *images.entry(number).or_default() |= part.lv_health_status.contains(PARTIAL);
    }
    let count = u32::try_from(images.len()).unwrap_or_default();
    let lost = images.iter().filter(|(_, lost)| **lost);
    let lost: Vec<u32> = lost.map(|(number, _)| *number).collect();
    let layout = match segtype {
        "raid1" => Layout::raid1(count),
        "raid10" => Layout::raid10(count / 2),
        raid5 if raid5.starts_with("raid5") => Layout::raid5(count.saturating_sub(1)),
        _ => return false,
    };
    layout.is_ok_and(|layout| layout.survives(&lost))
}

/// What the checksums beside a volume have told, if it has any.
pub(super) fn integrity(row: &LvRow, segtype: &str, sections: &Sections) -> Option<Integrity> {
    if !segtype.starts_with("raid") {
        return None;
    }
    let mut found = None;
    for (number, part, image) in parts(&row.lv_name, &sections.lv) {
        if part == CHECKSUMS {
            found.get_or_insert_with(Integrity::default);
        }
        // The kernel counts while there is a device; without one LVM tells no number.
        let count: u64 = image.integritymismatches.parse().unwrap_or_default();
        if part.is_empty() && count > 0 {
            let integrity = found.get_or_insert_with(Integrity::default);
            integrity.mismatches = integrity.mismatches.saturating_add(count);
            let data = format!("[{}_rimage_{number}{DATA}]", row.lv_name);
            let segments = sections.seg.iter().filter(|seg| seg.lv_name == data);
            integrity
                .on
                .extend(segments.flat_map(|seg| disks(&seg.devices)));
        }
    }
    if let Some(integrity) = &mut found {
        integrity.on.sort();
        integrity.on.dedup();
    }
    found
}

/// The disks of a segment: LVM names each with the extent that it begins at, as `/dev/sdb(0)`.
fn disks(devices: &str) -> impl Iterator<Item = String> {
    let each = devices.split(',').filter(|device| !device.is_empty());
    each.map(|device| {
        device
            .rsplit_once('(')
            .map_or(device, |(disk, _)| disk)
            .to_owned()
    })
}

#[cfg(test)]
mod tests;
