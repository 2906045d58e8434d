//! The disks of a pool: by names that last, or by serial numbers, each in one pool.

use crate::finding::Report;
use crate::shape::{field, item};
use crate::spec;
use crate::tree::shorten;

/// The longest serial number that a StorageNode takes, in bytes.
const LONGEST: usize = 256;

/// Why a disk is named once.
const ONE_POOL: &str = "a disk belongs to one pool";

/// The disks that pools of one node have named so far.
#[derive(Default)]
pub(super) struct Named {
    devices: Vec<String>,
    serials: Vec<String>,
}

impl Named {
    /// The disks of a pool, by names and by serial numbers, unless one of them is wrong.
    pub(super) fn of(
        &mut self,
        place: &str,
        given: &spec::Pool,
        report: &mut Report,
    ) -> Option<(Vec<String>, Vec<String>)> {
        let none = |list: &Option<Vec<_>>| list.as_ref().is_none_or(Vec::is_empty);
        if none(&given.devices) && none(&given.serials) {
            // Perhaps that is where they were meant to be.
            if given.devices.is_none() && given.serials.is_none() && report.is_broken(place) {
                return None;
            }
            let place = match (&given.devices, &given.serials) {
                (Some(_), _) => field(place, "devices"),
                (None, Some(_)) => field(place, "serials"),
                (None, None) => place.to_owned(),
            };
            report.error(
                &place,
                "the pool has no disk",
                "list at least one, such as `devices: [/dev/disk/by-id/wwn-0x5000c500a1b2c3d4]`",
            );
            return None;
        }
        let by_name = given.devices.as_deref().unwrap_or_default();
        let by_name = devices(&field(place, "devices"), by_name, &mut self.devices, report);
        let by_serial = given.serials.as_deref().unwrap_or_default();
        let by_serial = serials(
            &field(place, "serials"),
            by_serial,
            &mut self.serials,
            ONE_POOL,
            report,
        );
        Some((by_name?, by_serial?))
    }
}

fn devices(
    place: &str,
    given: &[Option<String>],
    named: &mut Vec<String>,
    report: &mut Report,
) -> Option<Vec<String>> {
    let wrong = |disk: &str| {
        let lasting = ["/dev/disk/by-", "/dev/mapper/"];
        let lasts = lasting.iter().any(|start| disk.starts_with(start)) && !disk.contains("/../");
        (!lasts).then(|| {
            let what = format!("`{}` may be another disk after a reboot", shorten(disk));
            let next = "name it by its link below /dev/disk/by-id: `ls -l /dev/disk/by-id` on the server shows all";
            (what, next)
        })
    };
    each_once(place, given, named, ONE_POOL, wrong, report)
}

/// Serial numbers that can be some, each once; `again` is said of one that is there already.
pub(super) fn serials(
    place: &str,
    given: &[Option<String>],
    named: &mut Vec<String>,
    again: &str,
    report: &mut Report,
) -> Option<Vec<String>> {
    let wrong = |serial: &str| {
        let plain = |c: char| c.is_ascii_graphic() && c != '/';
        let good = (1..=LONGEST).contains(&serial.len()) && serial.chars().all(plain);
        (!good).then(|| {
            let what = format!("`{}` is not a serial number", shorten(serial));
            let next = "write it as `lsblk -dno NAME,SERIAL` on the server shows it; a disk without one goes under `devices`";
            (what, next)
        })
    };
    each_once(place, given, named, again, wrong, report)
}

/// The names of a list, unless something is wrong with one of them, or it is among those `named`.
fn each_once(
    place: &str,
    given: &[Option<String>],
    named: &mut Vec<String>,
    again: &str,
    wrong: impl Fn(&str) -> Option<(String, &'static str)>,
    report: &mut Report,
) -> Option<Vec<String>> {
    let mut good = Vec::new();
    for (index, name) in given.iter().enumerate() {
        let (place, Some(name)) = (item(place, index), name) else {
            continue;
        };
        if let Some((what, next)) = wrong(name) {
            report.error(&place, what, next);
        } else if named.contains(name) {
            report.error(&place, format!("`{name}` is listed a second time"), again);
        } else {
            named.push(name.clone());
            good.push(name.clone());
        }
    }
    (good.len() == given.len()).then_some(good)
}
