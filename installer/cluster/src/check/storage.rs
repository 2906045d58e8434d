//! `nodes[].storage`: pools and their disks. What is on the disks is for the node's agent to see.

use crate::finding::Report;
use crate::model::{Guard, Pool, Thin};
use crate::shape::{field, item};
use crate::spec;

/// The longest name of a pool: with `ingot-` it still names a volume group.
const LONGEST: usize = 55;
/// Units of sizes, each 1024 times the one before (IEC 80000-13).
const UNITS: [&str; 3] = ["MiB", "GiB", "TiB"];

/// Checks the storage of one node; gives back the pools that are good.
pub(super) fn check(place: &str, given: Option<&spec::Storage>, report: &mut Report) -> Vec<Pool> {
    let Some(given) = given else {
        return Vec::new();
    };
    let place = field(place, "pools");
    if given.pools.as_ref().is_some_and(Vec::is_empty) {
        report.error(
            &place,
            "there is no pool",
            "list at least one, or remove `storage`",
        );
    }
    let (mut pools, mut disks) = (Vec::<Pool>::new(), Vec::new());
    for (index, given) in given.pools.iter().flatten().enumerate() {
        let (place, Some(given)) = (item(&place, index), given) else {
            continue;
        };
        let name = given
            .name
            .as_deref()
            .and_then(|text| name(&field(&place, "name"), text, &pools, report));
        let devices = devices(
            &field(&place, "devices"),
            given.devices.as_deref(),
            &mut disks,
            report,
        );
        let thin = given
            .thin
            .as_ref()
            .map(|given| thin(&field(&place, "thin"), given, report));
        let group = match (&given.volume_group, &name) {
            (Some(text), _) => group(&field(&place, "volumeGroup"), text, &pools, report),
            (None, Some(name)) => Some(format!("ingot-{name}")),
            (None, None) => None,
        };
        if let (Some(name), Some(volume_group), Some(devices)) = (name, group, devices)
            && !matches!(thin, Some(None))
        {
            pools.push(Pool {
                name,
                volume_group,
                devices,
                thin: thin.flatten(),
            });
        }
    }
    pools
}

fn name(place: &str, text: &str, pools: &[Pool], report: &mut Report) -> Option<String> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if !(1..=LONGEST).contains(&text.len()) || !text.chars().all(plain) || text.starts_with('-') {
        report.error(
            place,
            format!("`{}` cannot name a pool", crate::tree::shorten(text)),
            format!("use 1 to {LONGEST} lower-case letters, digits and hyphens, no hyphen first"),
        );
        return None;
    }
    if pools.iter().any(|pool| pool.name == text) {
        report.error(
            place,
            format!("another pool of this node is named `{text}`"),
            "give each pool of a node its own name; pools of different nodes may share one",
        );
        return None;
    }
    Some(text.into())
}

fn group(place: &str, text: &str, pools: &[Pool], report: &mut Report) -> Option<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_.+-".contains(c);
    let named = (1..=60).contains(&text.len()) && text.chars().all(plain);
    if !named || text.starts_with('-') || text == "." || text == ".." {
        report.error(
            place,
            format!(
                "`{}` cannot name a volume group",
                crate::tree::shorten(text)
            ),
            "use up to 60 letters, digits, `_`, `.`, `+` and `-`, no hyphen first; or leave it out",
        );
        return None;
    }
    if pools.iter().any(|pool| pool.volume_group == text) {
        report.error(
            place,
            format!("another pool of this node has the volume group `{text}`"),
            "give each pool its own, or leave it out",
        );
        return None;
    }
    Some(text.into())
}

fn devices(
    place: &str,
    given: Option<&[Option<String>]>,
    disks: &mut Vec<String>,
    report: &mut Report,
) -> Option<Vec<String>> {
    let given = given?;
    if given.is_empty() {
        report.error(
            place,
            "the pool has no disk",
            "list at least one, such as `/dev/disk/by-id/wwn-0x5000c500a1b2c3d4`",
        );
        return None;
    }
    let mut devices = Vec::new();
    for (index, disk) in given.iter().enumerate() {
        let (place, Some(disk)) = (item(place, index), disk) else {
            continue;
        };
        let lasting = ["/dev/disk/by-", "/dev/mapper/"];
        if !lasting.iter().any(|start| disk.starts_with(start)) || disk.contains("/../") {
            report.error(
                &place,
                format!("`{}` may be another disk after a reboot", crate::tree::shorten(disk)),
                "name it by its link below /dev/disk/by-id: `ls -l /dev/disk/by-id` on the server shows all",
            );
        } else if disks.contains(disk) {
            report.error(
                &place,
                format!("`{disk}` is listed a second time"),
                "a disk belongs to one pool",
            );
        } else {
            disks.push(disk.clone());
            devices.push(disk.clone());
        }
    }
    (devices.len() == given.len()).then_some(devices)
}

fn thin(place: &str, given: &spec::Thin, report: &mut Report) -> Option<Thin> {
    let size = given.size.as_deref().and_then(|text| {
        let place = field(place, "size");
        let good = UNITS.iter().any(|unit| {
            let number = text.strip_suffix(unit).map(str::trim_end);
            number.is_some_and(|number| number.parse::<u32>().is_ok_and(|number| number > 0))
        });
        if !good {
            report.error(
                &place,
                format!("`{}` is not a size", crate::tree::shorten(text)),
                "write a whole number and one of MiB, GiB, TiB, such as 100GiB",
            );
        }
        good.then(|| text.to_owned())
    });
    let ratio = given.ratio.unwrap_or(1.0);
    if !(0.1..=100.0).contains(&ratio) {
        report.error(
            &field(place, "ratio"),
            format!("{ratio} is not a ratio that a pool can keep"),
            "write a number from 0.1 to 100; 1 promises only what is there",
        );
        return None;
    }
    Some(Thin {
        pool: "thin".into(),
        size: size?,
        guard: Guard { ratio },
    })
}
