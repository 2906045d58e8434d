//! Disks that join a group that is there, and what is kept apart on them.

use crate::bench::{Bench, SMALL};
use ingot_lvm::{Command, Device, FreeSpace, Layout, LvmError, Pv};
use ingot_volume_brain::{Bytes, LvName};

/// A disk that is not in the group yet.
pub struct Newcomer<'a> {
    /// As the configuration names it.
    pub name: String,
    /// Makes a filesystem on it, or takes that off again.
    pub hold: &'a dyn Fn(bool),
}

impl Newcomer<'_> {
    fn join(&self, bench: &Bench<'_>) -> Command {
        Command::ExtendGroup {
            vg: bench.vg.clone(),
            disk: self.name.clone(),
        }
    }

    fn pv(&self, bench: &Bench<'_>) -> Pv {
        let group = bench.group();
        group.pv(&self.name).expect("in the group").clone()
    }
}

/// The cases, in their order.
pub fn run(bench: &Bench<'_>, disk: &Newcomer<'_>) {
    println!("a disk with something on it does not join, and the group goes on");
    refused(bench, disk);
    println!("an empty disk joins once");
    joined(bench, disk);
    println!("what is free on a disk is kept apart and given back from its end");
    kept_apart(bench, disk);
}

fn refused(bench: &Bench<'_>, disk: &Newcomer<'_>) {
    let before = bench.group().pvs.len();
    (disk.hold)(true);
    let error = bench.run(disk.join(bench)).expect_err("it is not empty");
    assert!(matches!(error, LvmError::Invalid { .. }), "{error}");
    let error = error.to_string();
    assert!(
        error.contains("it holds ext4; nothing was changed") && error.contains("under `wipe`"),
        "{error}"
    );
    let group = bench.group();
    assert_eq!(group.pvs.len(), before);
    assert!(group.pv(&disk.name).is_none());
    bench.done(bench.new_lv(60, SMALL, Layout::Linear));
    bench.done(bench.remove(bench.device(60).lv));
    let unknown = Command::ExtendGroup {
        vg: bench.vg.clone(),
        disk: "/dev/disk/by-id/nobodys".into(),
    };
    assert!(bench.run(unknown).is_err(), "nobody has configured it");
    (disk.hold)(false);
}

fn joined(bench: &Bench<'_>, disk: &Newcomer<'_>) {
    let before = bench.group();
    bench.done(disk.join(bench));
    let group = bench.group();
    assert_eq!(group.pvs.len(), before.pvs.len() + 1);
    assert_eq!(group.tags, before.tags);
    let pv = disk.pv(bench);
    assert!(!pv.missing && !pv.erased && pv.free == pv.size, "{pv:?}");
    let again = bench.run(disk.join(bench)).expect_err("twice");
    assert!(matches!(again, LvmError::Exists { .. }), "{again}");
}

fn kept_apart(bench: &Bench<'_>, disk: &Newcomer<'_>) {
    let pv = disk.pv(bench);
    let lv = pv.reserve().expect("a name");
    let reserve = Command::Reserve {
        vg: bench.vg.clone(),
        lv: lv.clone(),
        device: pv.device.clone(),
        size: pv.free,
    };
    let elsewhere = |group: &ingot_lvm::Group| group.free().saturating_sub(disk.pv(bench).free);
    let before = elsewhere(&bench.group());
    bench.done(reserve.clone());
    let group = bench.group();
    assert_eq!(disk.pv(bench).free, Bytes::ZERO);
    assert_eq!(elsewhere(&group), before, "only that disk");
    let reserves: Vec<&LvName> = group.reserves().map(|(_, lv)| &lv.lv).collect();
    assert_eq!(reserves, [&lv]);
    let kept = group.lv(&lv).expect("there");
    assert!(
        kept.active && kept.tags.is_none() && kept.size == pv.size,
        "{kept:?}"
    );
    assert!(bench.run(reserve).is_err(), "twice");

    let left = pv.size.saturating_sub(Bytes::mib(64));
    bench.done(Command::Erase {
        device: Device::lv(&bench.vg, &lv),
        from: left,
        length: Bytes::mib(64),
    });
    let shrink = |size| Command::Shrink {
        vg: bench.vg.clone(),
        lv: lv.clone(),
        size,
    };
    bench.done(shrink(left));
    assert_eq!(disk.pv(bench).free, Bytes::mib(64));
    assert!(bench.run(shrink(pv.size)).is_err(), "it does not grow");

    let mark = |free| Command::MarkDisk {
        vg: bench.vg.clone(),
        device: pv.device.clone(),
        free,
    };
    for (free, erased) in [(FreeSpace::Erased, true), (FreeSpace::Unknown, false)] {
        bench.done(mark(free));
        assert_eq!(disk.pv(bench).erased, erased);
    }
    bench.done(bench.remove(lv));
    assert_eq!(disk.pv(bench).free, pv.size);
}
