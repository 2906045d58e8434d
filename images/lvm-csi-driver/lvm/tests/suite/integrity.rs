//! RAIDs with a checksum beside the data of each disk.

use crate::bench::{Bench, SMALL};
use ingot_lvm::{Command, Device, Integrity, Layout, LvmError, Space, ThinGuard};
use ingot_volume_brain::{Bytes, LvName, VolumeUid};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::process::Command as Process;

const EXTENT: Bytes = Bytes::mib(4);

fn mirror() -> Layout {
    let mirror = Layout::raid1(2).expect("two").with_integrity();
    mirror.expect("redundant")
}

fn lv(uid: u128) -> LvName {
    LvName::volume(VolumeUid(uid))
}

fn grow(bench: &Bench<'_>, uid: u128, size: Bytes) -> Command {
    Command::Extend {
        vg: bench.vg.clone(),
        lv: lv(uid),
        size,
    }
}

/// The largest that is said to fit does, and an extent more does not; growing, too.
pub fn arithmetic(bench: &Bench<'_>) {
    let room = || Space::of(&bench.group(), None).largest(&mirror(), ThinGuard::default());
    let plain = Space::of(&bench.group(), None);
    let plain = plain.largest(&Layout::raid1(2).expect("two"), ThinGuard::default());
    let before = room();
    assert!(before > Bytes::gib(1) && before < plain, "{before} {plain}");
    let refused = |command: Command| {
        let error = bench.run(command);
        assert!(matches!(error, Err(LvmError::NoSpace { .. })), "{error:?}");
        assert!(
            bench
                .group()
                .lvs
                .iter()
                .all(|lv| lv.tags.is_none() || lv.size < before)
        );
    };
    refused(bench.new_lv(70, before.saturating_add(EXTENT), mirror()));
    assert_eq!(room(), before, "a refusal leaves nothing");
    bench.done(bench.new_lv(70, before, mirror()));
    let group = bench.group();
    let found = group.lv(&lv(70)).expect("it");
    assert_eq!((found.size, &found.health), (before, &None));
    assert_eq!(found.integrity, Some(Integrity::default()));
    assert_eq!(room(), Bytes::ZERO);
    bench.done(bench.remove(lv(70)));
    assert_eq!(room(), before, "all is given back");
    // Where the checksums grow, too, and where there is no room for them.
    bench.done(bench.new_lv(70, SMALL, mirror()));
    refused(grow(bench, 70, before.saturating_add(EXTENT)));
    bench.done(grow(bench, 70, Bytes::mib(520)));
    bench.done(grow(bench, 70, before));
    let group = bench.group();
    let found = group.lv(&lv(70)).expect("it");
    assert_eq!((found.size, room()), (before, Bytes::ZERO));
    bench.done(bench.remove(lv(70)));
    assert_eq!(room(), before, "all is given back");
}

/// What was written is read where a disk gives something else, and it is told which disk that is.
pub fn rot(bench: &Bench<'_>) {
    bench.done(bench.new_lv(71, SMALL, mirror()));
    let told = || {
        let group = bench.group();
        let found = group.lv(&lv(71)).expect("it").clone();
        let disks: Vec<String> = group.pvs.iter().flat_map(|pv| pv.names.clone()).collect();
        (
            found.integrity.expect("it has checksums"),
            found.health,
            disks,
        )
    };
    assert_eq!(told().0, Integrity::default());
    if bench.physical {
        let device = bench.device(71);
        write(&device, 7);
        corrupt(bench);
        for command in [deactivate, activate] {
            command(bench);
        }
        read(&device, 7);
        let (integrity, health, disks) = told();
        assert!(
            integrity.mismatches > 0 && health.is_none(),
            "{integrity:?} {health:?}"
        );
        assert_eq!(integrity.on.len(), 1, "{integrity:?}");
        assert!(
            disks.contains(&integrity.on[0]),
            "{integrity:?} of {disks:?}"
        );
        read(&device, 7);
        // It grows, and shows nothing when it was erased.
        bench.done(grow(bench, 71, Bytes::mib(128)));
        bench.done(Command::Erase {
            device: device.clone(),
            from: Bytes::ZERO,
            length: Bytes::mib(128),
        });
        read(&device, 0);
    }
    bench.done(bench.remove(lv(71)));
}

/// Where the bytes lie: not within the first MiB, which is read when a device is looked at.
const PLACE: u64 = 8 << 20;
const LENGTH: usize = 64 << 10;

fn open(device: &std::path::Path) -> std::fs::File {
    let mut options = std::fs::OpenOptions::new();
    let options = options.read(true).write(true);
    options
        .custom_flags(nix::libc::O_SYNC)
        .open(device)
        .expect("opened")
}

fn write(device: &Device, byte: u8) {
    let file = open(&device.path());
    file.write_all_at(&vec![byte; LENGTH], PLACE)
        .expect("written");
    file.sync_all().expect("on the disk");
}

fn read(device: &Device, byte: u8) {
    std::fs::write("/proc/sys/vm/drop_caches", "3").expect("dropped");
    let mut found = vec![0; LENGTH];
    open(&device.path())
        .read_exact_at(&mut found, PLACE)
        .expect("read");
    assert!(found.iter().all(|found| *found == byte), "something else");
}

fn output(words: &[&str]) -> String {
    let output = Process::new(words[0])
        .args(&words[1..])
        .output()
        .expect("it runs");
    assert!(output.status.success(), "{words:?}: {output:?}");
    String::from_utf8(output.stdout).expect("text")
}

fn change(bench: &Bench<'_>, how: &str) {
    output(&[
        "lvchange",
        "--activate",
        how,
        &format!("{}/{}", bench.vg, lv(71)),
    ]);
}

fn activate(bench: &Bench<'_>) {
    change(bench, "y");
}

fn deactivate(bench: &Bench<'_>) {
    change(bench, "n");
}

/// Overwrites the same bytes of the first leg, on the disk below.
fn corrupt(bench: &Bench<'_>) {
    let name = format!(
        "{}-{}_rimage_0_iorig",
        bench.vg.as_str().replace('-', "--"),
        lv(71)
    );
    let table = output(&["dmsetup", "table", &name]);
    // 0 131072 linear 8:16 10240
    let words: Vec<&str> = table.split_whitespace().collect();
    let start: u64 = words[4].parse().expect("a sector");
    let disk = std::path::PathBuf::from(format!("/dev/block/{}", words[3]));
    deactivate(bench);
    let file = open(&disk);
    file.write_all_at(&vec![9; LENGTH], start * 512 + PLACE)
        .expect("written");
    file.sync_all().expect("on the disk");
}

/// A volume of which an earlier attempt left something is made.
pub fn left_over(bench: &Bench<'_>) {
    if bench.physical {
        let left = format!("{}_rimage_1_imeta", lv(72));
        // As a power cut leaves it. People cannot use such a name, but they can give it in two steps.
        let vg = bench.vg.as_str();
        output(&["lvcreate", "--yes", "--size", "8m", "--name", "left", vg]);
        let backup = "/tmp/ingot-suite-group";
        output(&["vgcfgbackup", "--file", backup, vg]);
        output(&["lvchange", "--activate", "n", &format!("{vg}/left")]);
        output(&["sed", "-i", &format!("s/\\bleft {{/{left} {{/"), backup]);
        output(&["vgcfgrestore", "--yes", "--force", "--file", backup, vg]);
    }
    let before = bench.group().free();
    bench.done(bench.new_lv(72, SMALL, mirror()));
    bench.done(bench.remove(lv(72)));
    let gained = if bench.physical {
        Bytes::mib(8)
    } else {
        Bytes::ZERO
    };
    assert_eq!(bench.group().free(), before.saturating_add(gained));
}
