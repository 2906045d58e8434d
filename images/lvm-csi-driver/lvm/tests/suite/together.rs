//! Copies that are taken in one go, and what an agent that died in their midst leaves.

use crate::bench::{Bench, SMALL, tags, thin};
use ingot_lvm::{Command, Device, Filesystem, Kind, NewCopy, Reply};
use ingot_volume_brain::{LvName, VolumeUid};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

/// Writes the same growing number to one file after the other, in place, until told to stop.
fn count(files: &[PathBuf; 2], stop: &AtomicBool) {
    let open = |file: &PathBuf| std::fs::OpenOptions::new().write(true).open(file);
    let files = files.each_ref().map(|file| open(file).expect("opened"));
    let mut number = 0_u64;
    while !stop.load(Ordering::Relaxed) {
        number += 1;
        for file in &files {
            let text = format!("{number:020}");
            file.write_all_at(text.as_bytes(), 0).expect("written");
            file.sync_all().expect("on the disk");
        }
    }
}

pub fn copies(bench: &Bench<'_>) {
    let filesystem = Filesystem::Ext4;
    for uid in [50, 51] {
        bench.done(bench.new_lv(uid, SMALL, thin()));
        let device = bench.device(uid);
        bench.done(Command::MakeFilesystem {
            device: device.clone(),
            filesystem,
        });
        bench.done(bench.mount(&device, &format!("m{uid}"), false, false));
    }
    let files = [50, 51].map(|uid| bench.folder.join(format!("m{uid}")).join("number"));
    let snapshot = |uid: u128| LvName::snapshot(VolumeUid(uid));
    let new = |source: u128, uid: u128| NewCopy {
        source: LvName::volume(VolumeUid(source)),
        lv: snapshot(uid),
        tags: tags(uid, Kind::Snapshot),
    };
    let copy = |copies| Command::CopyTogether {
        vg: bench.vg.clone(),
        copies,
    };
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        if bench.physical {
            let zero = format!("{:020}", 0);
            for file in &files {
                std::fs::write(file, &zero).expect("written");
            }
            scope.spawn(|| count(&files, &stop));
            while std::fs::read_to_string(&files[1]).is_ok_and(|text| text == zero) {
                std::thread::yield_now();
            }
        }
        let made = bench.run(copy(vec![new(50, 52), new(51, 53)]));
        stop.store(true, Ordering::Relaxed);
        assert_eq!(made, Ok(Reply::Done));
    });
    let group = bench.group();
    for uid in [52, 53] {
        let found = group.lv(&snapshot(uid)).expect("the copy");
        assert_eq!(found.tags, Some(tags(uid, Kind::Snapshot)));
    }
    if bench.physical {
        let read = |uid: u128| {
            let device = Device::lv(&bench.vg, &snapshot(uid));
            bench.done(Command::Activate {
                vg: bench.vg.clone(),
                lv: snapshot(uid),
            });
            let place = format!("m{uid}");
            bench.done(bench.mount(&device, &place, true, true));
            let file = bench.folder.join(&place).join("number");
            let text = std::fs::read_to_string(file).expect("read");
            bench.unmount(&place);
            text.parse::<u64>().expect("a number")
        };
        let (first, second) = (read(52), read(53));
        println!("  copied at {first} and {second}");
        // LVM takes one after the other: the second shows what came meanwhile, never less.
        assert!(first > 0 && second + 1 >= first, "{first} and {second}");
    }
    // One that cannot be copied: none is.
    let none = bench.run(copy(vec![new(50, 54), new(99, 55)]));
    assert!(none.is_err(), "{none:?}");
    assert!(bench.group().lv(&snapshot(54)).is_none(), "half of a group");
    for uid in [50, 51] {
        let place = bench.folder.join(format!("m{uid}"));
        // It must have gone on.
        std::fs::write(place.join("after"), "after").expect("written");
        let _ = std::fs::remove_file(place.join("after"));
        let _ = std::fs::remove_file(place.join("number"));
        bench.unmount(&format!("m{uid}"));
        bench.done(bench.remove(LvName::volume(VolumeUid(uid))));
        bench.done(bench.remove(snapshot(uid + 2)));
    }
}

pub fn resumed(bench: &Bench<'_>) {
    bench.done(bench.new_lv(56, SMALL, thin()));
    let device = bench.device(56);
    let path = device.path();
    if bench.physical {
        let suspend = std::process::Command::new("dmsetup")
            .arg("suspend")
            .arg(&path)
            .status();
        assert!(suspend.expect("dmsetup runs").success());
    }
    bench.done(Command::Resume(bench.vg.clone()));
    if bench.physical {
        let file = std::fs::OpenOptions::new().write(true).open(&path);
        let file = file.expect("opened");
        file.write_all_at(&[7; 512], 0).expect("written");
        file.sync_all().expect("it goes on");
    }
    bench.done(Command::Resume(bench.vg.clone()));
    bench.done(bench.remove(device.lv));
}
