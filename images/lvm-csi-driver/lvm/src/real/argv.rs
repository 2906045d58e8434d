//! The words of LVM's commands. Pure, so that each is seen in a test.

use crate::command::{Command, FreeSpace, NewLv};
use crate::group::ERASED;
use crate::layout::Layout;
use ingot_volume_brain::{Bytes, LvName, VgName};

fn bytes(size: Bytes) -> String {
    format!("{}b", size.0)
}

fn path(vg: &VgName, lv: &LvName) -> String {
    format!("{vg}/{lv}")
}

/// The arguments of `lvm` for a command, without the devices; nothing, if LVM does not do it.
pub fn arguments(command: &Command) -> Option<Vec<String>> {
    let mut words: Vec<String> = Vec::new();
    let mut put = |parts: &[&str]| words.extend(parts.iter().map(|part| (*part).to_owned()));
    match command {
        Command::Scan(vg) => {
            put(&[
                "fullreport",
                // Of the parts of a RAID, too: which of its disks is missing, and which is rotten.
                "--all",
                "--reportformat",
                "json",
                "--units",
                "b",
                "--nosuffix",
            ]);
            let sections = [
                ("vg", "vg_name,vg_tags,vg_extent_size"),
                ("pv", "pv_name,pv_uuid,pv_size,pv_free,pv_missing,pv_tags"),
                (
                    "lv",
                    "lv_name,lv_size,lv_tags,pool_lv,lv_attr,lv_metadata_size,data_percent,metadata_percent,lv_health_status,lv_active,integritymismatches",
                ),
                ("pvseg", "pv_name,pvseg_start,lv_name"),
                ("seg", "lv_name,segtype,chunk_size,devices"),
            ];
            for (section, fields) in sections {
                put(&["--configreport", section, "--options", fields]);
            }
            put(&[vg.as_str()]);
        }
        // Without --yes: what is on a device is never wiped.
        Command::CreateGroup { vg, tag } => put(&[
            "vgcreate",
            // The default of 1 MiB is too small for thousands of tagged volumes.
            "--metadatasize",
            "64m",
            "--addtag",
            tag,
            vg.as_str(),
        ]),
        // Without --yes, too.
        Command::ExtendGroup { vg, disk } => {
            put(&["vgextend", "--metadatasize", "64m", vg.as_str(), disk]);
        }
        Command::RestoreDisk { vg, device } => {
            put(&["vgextend", "--restoremissing", vg.as_str(), device]);
        }
        Command::Reserve {
            vg,
            lv,
            device,
            size,
        } => {
            put(&["lvcreate", "--type", "linear", "--yes"]);
            // What an old filesystem left at its beginning would forbid that it shrinks.
            put(&["--wipesignatures", "y", "--zero", "y"]);
            put(&["--size", &bytes(*size), "--name", lv.as_str()]);
            put(&[vg.as_str(), device]);
        }
        Command::Shrink { vg, lv, size } => {
            put(&["lvreduce", "--yes", "--size", &bytes(*size), &path(vg, lv)]);
        }
        Command::MarkDisk {
            vg: _,
            device,
            free,
        } => {
            let change = match free {
                FreeSpace::Erased => "--addtag",
                FreeSpace::Unknown => "--deltag",
            };
            put(&["pvchange", change, ERASED, device]);
        }
        Command::CreatePool {
            vg,
            pool,
            size,
            metadata,
            chunk,
        } => put(&[
            "lvcreate",
            "--type",
            "thin-pool",
            "--size",
            &bytes(*size),
            "--poolmetadatasize",
            &bytes(*metadata),
            "--chunksize",
            &bytes(*chunk),
            // A full pool fails writes at once instead of holding them. LVM 2.03.16 takes it as an option
            // when a pool is changed, but not when it is made.
            "--config",
            "activation/error_when_full=1",
            // A new chunk shows nothing of what was in its place.
            "--zero",
            "y",
            "--name",
            pool.as_str(),
            vg.as_str(),
        ]),
        Command::Create(new) => return Some(create(new)),
        Command::Copy {
            vg,
            source,
            lv,
            read_only,
            tags,
        } => {
            put(&["lvcreate", "--snapshot", "--name", lv.as_str()]);
            if *read_only {
                // Without a device until somebody reads it: fewer things to hang.
                put(&["--permission", "r", "--setactivationskip", "y"]);
            } else {
                // A copy of a read-only snapshot is written to.
                put(&["--permission", "rw", "--setactivationskip", "n"]);
            }
            for tag in tags.encode() {
                put(&["--addtag", &tag]);
            }
            put(&[&path(vg, source)]);
        }
        Command::Tag(change) => {
            let (off, on) = change.difference();
            put(&["lvchange"]);
            for tag in off {
                put(&["--deltag", &tag]);
            }
            for tag in on {
                put(&["--addtag", &tag]);
            }
            put(&[&path(&change.vg, &change.lv)]);
        }
        Command::Extend { vg, lv, size } => {
            put(&["lvextend", "--size", &bytes(*size), &path(vg, lv)]);
        }
        Command::ExtendMetadata { vg, pool, size } => {
            put(&["lvextend", "--poolmetadatasize", &bytes(*size)]);
            put(&[&path(vg, pool)]);
        }
        Command::Remove { vg, lv } => put(&["lvremove", "--yes", &path(vg, lv)]),
        Command::Activate { vg, lv } => put(&[
            "lvchange",
            "--activate",
            "y",
            "--ignoreactivationskip",
            &path(vg, lv),
        ]),
        Command::Refresh { vg, lv } => put(&["lvchange", "--refresh", &path(vg, lv)]),
        Command::Deactivate { vg, pool } => {
            put(&["lvchange", "--activate", "n", "--select"]);
            put(&[&format!("pool_lv={pool} || lv_name={pool}"), vg.as_str()]);
        }
        Command::Resume(vg) => put(&["vgchange", "--refresh", vg.as_str()]),
        // Which numbers the volumes have in the pool.
        Command::ThinBlocks(query) => {
            let names = [Some(&query.lv), query.base.as_ref()];
            let names = names.into_iter().flatten();
            let names: Vec<String> = names.map(|lv| format!("lv_name={lv}")).collect();
            put(&["lvs", "--reportformat", "json"]);
            put(&["--options", "lv_name,pool_lv,thin_id"]);
            put(&["--select", &names.join(" || "), query.vg.as_str()]);
        }
        Command::Probe(_)
        | Command::ThinFill { .. }
        | Command::ReleaseMetadata { .. }
        | Command::CopyTogether { .. }
        | Command::DeviceSize(_)
        | Command::Erase { .. }
        | Command::MakeFilesystem { .. }
        | Command::GrowFilesystem { .. }
        | Command::Mounts
        | Command::Mount { .. }
        | Command::Bind { .. }
        | Command::ShowReadOnly { .. }
        | Command::Withdraw { .. }
        | Command::Unmount { .. }
        | Command::Usage { .. }
        | Command::Encrypt { .. }
        | Command::Open { .. }
        | Command::Close { .. }
        | Command::ResizeOpen { .. }
        | Command::Limit { .. } => return None,
    }
    Some(words)
}

fn create(new: &NewLv) -> Vec<String> {
    let NewLv {
        vg,
        lv,
        size,
        layout,
        tags,
    } = new;
    // Free extents may still show a predecessor's signature; that, and only that, is wiped.
    let thick = ["--yes", "--wipesignatures", "y", "--zero", "y", "--size"];
    let mut words: Vec<String> = vec!["lvcreate".into(), "--type".into()];
    let mut put = |parts: &[&str]| words.extend(parts.iter().map(|part| (*part).to_owned()));
    let mut number = |kind: &str, options: &[(&str, u32)]| {
        put(&[kind]);
        for (option, value) in options {
            put(&[option, &value.to_string()]);
        }
    };
    match layout {
        Layout::Linear => number("linear", &[]),
        Layout::Striped { stripes } => number("striped", &[("--stripes", *stripes)]),
        Layout::Raid1 { copies, .. } => number("raid1", &[("--mirrors", copies - 1)]),
        Layout::Raid5 { stripes, .. } => number("raid5", &[("--stripes", *stripes)]),
        Layout::Raid10 { stripes, .. } => {
            number("raid10", &[("--stripes", *stripes), ("--mirrors", 1)]);
        }
        Layout::Thin { .. } => number("thin", &[]),
    }
    if layout.integrity() {
        // With a bitmap the checksums of what was being written at a power cut are made anew from what is
        // there, rotten or not; the journal keeps them true, and costs writing everything twice.
        put(&["--raidintegrity", "y", "--raidintegritymode", "journal"]);
    }
    if let Layout::Thin { pool } = layout {
        put(&["--thinpool", pool.as_str(), "--virtualsize", &bytes(*size)]);
    } else {
        put(&thick);
        put(&[&bytes(*size)]);
    }
    put(&["--name", lv.as_str()]);
    for tag in tags.encode() {
        put(&["--addtag", &tag]);
    }
    put(&[vg.as_str()]);
    words
}

#[cfg(test)]
mod tests;
