//! How full a thin pool is, by what the kernel has at hand: neither LVM is started nor a disk read.
//!
//! The format is that of the device-mapper's thin-pool target (Linux,
//! Documentation/admin-guide/device-mapper/thin-provisioning.rst, "Status").

use super::Real;
use super::program::Program;
use super::tool::Tool;
use crate::error::LvmError;
use crate::group::Fill;
use ingot_volume_brain::{LvName, VgName};
use std::fs;
use std::path::Path;

impl Real {
    pub(super) fn thin_fill(&self, vg: &VgName, pool: &LvName) -> Result<Fill, LvmError> {
        let found = status(vg, pool)?;
        let devices = self.devices(vg)?;
        Ok(Fill {
            well: found.well && devices.iter().all(|device| takes_writes(device)),
            ..found
        })
    }
}

/// What the pool's target says, whatever its disks do.
pub(super) fn status(vg: &VgName, pool: &LvName) -> Result<Fill, LvmError> {
    // Without a flush: that would write, and wait for a disk that hangs.
    let answer = Program::new(Tool::Dmsetup)
        .args(["status", "--noflush", "--target", "thin-pool"])
        .arg(pool_device(vg, pool))
        .output()?;
    if answer.code != Some(0) {
        return Err(answer.failed());
    }
    parse(&answer.stdout).ok_or_else(|| LvmError::NotFound {
        what: format!("device of thin pool {vg}/{pool}"),
    })
}

/// The device-mapper's name of the pool itself. As long as a volume lies in it LVM keeps it below the device
/// that it shows, as a layer that is called `tpool`.
pub(super) fn pool_device(vg: &VgName, pool: &LvName) -> String {
    let shown = mapped(vg, pool);
    let layer = format!("{shown}-tpool");
    match Path::new("/dev/mapper").join(&layer).exists() {
        true => layer,
        false => shown,
    }
}

/// The device-mapper's name of a logical volume: hyphens are doubled (lvm2, lib/misc/lvm-string.c,
/// build_dm_name).
pub(super) fn mapped(vg: &VgName, lv: &LvName) -> String {
    let doubled = |name: &str| name.replace('-', "--");
    format!("{}-{}", doubled(vg.as_str()), doubled(lv.as_str()))
}

/// Whether a disk is there and not read-only.
fn takes_writes(device: &str) -> bool {
    let switch = fs::canonicalize(device).ok().and_then(|node| {
        let name = node.file_name()?.to_owned();
        let file = Path::new("/sys/class/block").join(name).join("ro");
        fs::read_to_string(file).ok()
    });
    switch.is_some_and(|text| text.trim() == "0")
}

/// Reads the status of a thin-pool target; nothing, if there is none.
fn parse(text: &str) -> Option<Fill> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let target = words.iter().position(|word| *word == "thin-pool")?;
    let status = &words[target + 1..];
    let part = |place: usize| {
        let (used, all) = status.get(place)?.split_once('/')?;
        let (used, all): (u64, u64) = (used.parse().ok()?, all.parse().ok()?);
        #[allow(clippy::cast_precision_loss)]
        (all > 0).then(|| used as f64 / all as f64)
    };
    // One that failed tells no numbers: "Fail" or "Error".
    let (Some(metadata), Some(data), Some(held)) = (part(1), part(2), status.get(3)) else {
        return Some(Fill {
            data: 1.0,
            metadata: 1.0,
            held: false,
            well: false,
        });
    };
    Some(Fill {
        data,
        metadata,
        held: *held != "-",
        well: status.contains(&"rw") && !status.contains(&"needs_check"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_that_works_tells_its_fill_and_one_that_does_not_tells_so() {
        let well = "0 2097152 thin-pool 3 12/1024 4096/16384 - rw discard_passdown error_if_no_space - 256\n";
        let fill = parse(well).expect("a status");
        assert!(fill.well && !fill.held, "{fill:?}");
        assert!((fill.data - 0.25).abs() < 1e-9 && (fill.metadata - 12.0 / 1024.0).abs() < 1e-9);
        let held = well.replace(" - rw", " 57 rw");
        assert!(parse(&held).is_some_and(|fill| fill.well && fill.held));
        for ill in [
            "0 2097152 thin-pool 3 12/1024 16384/16384 - out_of_data_space discard_passdown error_if_no_space - 256",
            "0 2097152 thin-pool 3 1024/1024 7/16384 - ro discard_passdown error_if_no_space needs_check 256",
            "0 2097152 thin-pool Fail",
            "0 2097152 thin-pool Error",
        ] {
            assert!(!parse(ill).expect("a status").well, "{ill}");
        }
        assert_eq!(parse(""), None);
        assert_eq!(parse("0 2097152 linear"), None);
    }

    #[test]
    fn devices_have_the_names_that_lvm_gives_them() {
        let vg = VgName::new("ingot-thin").expect("a name");
        let pool = LvName::new("pool").expect("a name");
        assert_eq!(mapped(&vg, &pool), "ingot--thin-pool");
    }
}
