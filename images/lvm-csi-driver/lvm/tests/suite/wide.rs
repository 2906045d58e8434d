//! Layouts over four disks whose free space is in pieces, with images larger than a GiB.

use crate::bench::{Bench, SMALL};
use ingot_lvm::{Command, Layout, LvmError, Space, ThinGuard};
use ingot_volume_brain::{Bytes, LvName, VolumeUid};

fn lv(uid: u128) -> LvName {
    LvName::volume(VolumeUid(uid))
}

/// Leaves a hole between any two volumes that stay, on each disk.
fn cut(bench: &Bench<'_>, stay: &[u128], go: &[u128]) {
    let layout = Layout::raid10(2).expect("two");
    for (stays, goes) in stay.iter().zip(go) {
        bench.done(bench.new_lv(*goes, SMALL, layout.clone()));
        bench.done(bench.new_lv(*stays, SMALL, layout.clone()));
    }
    for goes in go {
        bench.done(bench.remove(lv(*goes)));
    }
}

/// The largest that is said to fit does.
pub fn run(bench: &Bench<'_>) {
    println!("what is said to fit over four disks does, in pieces and with checksums");
    let stay = [80, 81, 82, 83];
    cut(bench, &stay, &[84, 85, 86, 87]);
    let layouts = [
        Layout::raid10(2).expect("two"),
        Layout::raid5(3).expect("three"),
        Layout::raid1(4).expect("four"),
        Layout::raid1(2).expect("two"),
    ];
    for plain in layouts {
        for layout in [plain.clone(), plain.with_integrity().expect("redundant")] {
            fits(bench, &layout);
        }
    }
    for stays in stay {
        bench.done(bench.remove(lv(stays)));
    }
}

fn fits(bench: &Bench<'_>, layout: &Layout) {
    let before = bench.group();
    let most = Space::of(&before, None).largest(layout, ThinGuard::default());
    let image = most.0 / u64::from(layout.data_stripes());
    println!("  {layout}: {most}");
    assert!(image > Bytes::gib(1).0, "{layout}: {most}");
    let more = Bytes(most.0 + before.extent.0 * u64::from(layout.data_stripes()));
    // What is said is the least that LVM has room for, where checksums have to lie in one piece, or where an
    // image could be continued on a further disk.
    if !layout.integrity() && layout.disks() as usize == before.pvs.len() {
        let refused = bench.run(bench.new_lv(90, more, layout.clone()));
        let no_space = matches!(refused, Err(LvmError::NoSpace { .. }));
        assert!(no_space, "{layout}: {refused:?}");
        assert_eq!(bench.group().free(), before.free(), "{layout}: a refusal");
    }
    bench.done(bench.new_lv(90, most, layout.clone()));
    let group = bench.group();
    let found = group.lv(&lv(90)).expect("it");
    assert_eq!((found.size, &found.health), (most, &None), "{layout}");
    assert_eq!(found.integrity.is_some(), layout.integrity(), "{layout}");
    bench.done(Command::Remove {
        vg: bench.vg.clone(),
        lv: lv(90),
    });
    assert_eq!(bench.group().free(), before.free(), "{layout}: removal");
}
