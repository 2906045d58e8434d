//! What somebody finds who opens a device itself.

use crate::bench::{Bench, SMALL, thin};
use ingot_lvm::{Command, Layout, LvmError, MountKind};
use ingot_volume_brain::Bytes;
use std::os::unix::fs::FileExt;

pub fn read_only(bench: &Bench<'_>) {
    bench.done(bench.new_lv(41, SMALL, thin()));
    let device = bench.device(41);
    let target = bench.folder.join("raw");
    let show = Command::ShowReadOnly {
        device: device.clone(),
    };
    let bind = Command::Bind {
        device: device.clone(),
        source: bench.folder.clone(),
        target: target.clone(),
        kind: MountKind::Node,
        read_only: true,
    };
    let early = bench.run(bind.clone());
    assert!(early.is_err(), "without a view: {early:?}");
    // The place is left over from the attempt.
    bench.unmount("raw");
    bench.done(show.clone());
    bench.done(bind);
    let mounts = bench.mounts();
    let found = mounts.iter().find(|mount| mount.target == target);
    let found = found.expect("listed");
    assert_eq!(
        (&found.device, found.kind, found.read_only),
        (&device, MountKind::Node, true)
    );
    if bench.physical {
        // To the kernel it is no file that root may always write to.
        let written = std::fs::OpenOptions::new()
            .write(true)
            .open(&target)
            .and_then(|file| {
                file.write_all_at(&[7; 512], 0)
                    .and_then(|()| file.sync_all())
            });
        assert!(written.is_err(), "a read-only device was written to");
        let mut sector = [7; 512];
        let file = std::fs::File::open(&target).expect("opened");
        file.read_exact_at(&mut sector, 0).expect("read");
        assert_eq!(sector, [0; 512]);
    }
    let size = Bytes::mib(128);
    bench.done(Command::Extend {
        vg: bench.vg.clone(),
        lv: device.lv.clone(),
        size,
    });
    bench.done(show);
    if bench.physical {
        let mut file = std::fs::File::open(&target).expect("opened");
        let end = std::io::Seek::seek(&mut file, std::io::SeekFrom::End(0));
        assert_eq!(end.expect("its size"), size.0, "the view did not grow");
    }
    let withdraw = Command::Withdraw {
        device: device.clone(),
    };
    let busy = bench.run(withdraw.clone()).expect_err("bound");
    assert!(matches!(busy, LvmError::InUse { .. }), "{busy}");
    bench.unmount("raw");
    let busy = bench.run(bench.remove(device.lv.clone()));
    assert!(matches!(busy, Err(LvmError::InUse { .. })), "{busy:?}");
    bench.done(withdraw.clone());
    let twice = bench.run(withdraw).expect_err("gone");
    assert!(matches!(twice, LvmError::NotFound { .. }), "{twice}");
    bench.done(bench.remove(device.lv));
}

pub fn erase(bench: &Bench<'_>) {
    bench.done(bench.new_lv(40, SMALL, Layout::Linear));
    let device = bench.device(40);
    let places = [0, 1 << 20, 33 << 20, (64 << 20) - 512];
    let open = || {
        let mut options = std::fs::OpenOptions::new();
        options.read(true).write(true);
        options.open(device.path()).expect("opened")
    };
    if bench.physical {
        for place in places {
            open().write_all_at(&[7; 512], place).expect("written");
        }
        open().sync_all().expect("on the disk");
    }
    for from in [Bytes::ZERO, Bytes::mib(32)] {
        bench.done(Command::Erase {
            device: device.clone(),
            from,
            length: Bytes::mib(32),
        });
    }
    if bench.physical {
        for place in places {
            let mut sector = [7; 512];
            open().read_exact_at(&mut sector, place).expect("read");
            assert_eq!(sector, [0; 512], "at {place}");
        }
    }
    bench.done(bench.remove(device.lv));
}
