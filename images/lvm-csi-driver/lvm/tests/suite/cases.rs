//! The cases, in the order in which they build on each other.

use crate::bench::{Bench, SMALL, pool, tags, thin};
use crate::{integrity, raw, together};
use ingot_lvm::command::Key;
use ingot_lvm::{
    Command, Device, Filesystem, Found, Group, Kind, Layout, LvmError, MountKind, Reply, Space,
    TagChange, Tags, ThinGuard,
};
use ingot_volume_brain::{Bytes, FilesystemTag, LvName, LvState, VolumeUid};

type Case = fn(&Bench<'_>);

/// All of them.
pub const ALL: [(&str, Case); 20] = [
    (
        "a group that is not there is missing, not empty",
        missing_group,
    ),
    ("a group is made once, with its tag", create_group),
    ("a thin pool tells its fill", create_pool),
    (
        "the kernel tells of the fill what LVM tells",
        fill_without_lvm,
    ),
    ("the metadata of a thin pool grows", grow_metadata),
    ("a volume has its tags from its first moment", thin_volume),
    ("tags change in one commit", retag),
    (
        "a filesystem is made, mounted, grown and unmounted",
        filesystem,
    ),
    (
        "a raw device to be read only takes no writes",
        raw::read_only,
    ),
    (
        "copies show what was there, snapshots cannot be written",
        copies,
    ),
    (
        "copies of several volumes are of one instant",
        together::copies,
    ),
    (
        "what a dead agent left suspended goes on",
        together::resumed,
    ),
    ("thick layouts take what the arithmetic says", thick),
    (
        "checksums of a RAID take what the arithmetic says",
        integrity::arithmetic,
    ),
    (
        "what a disk gives that was not written is read from its copy",
        integrity::rot,
    ),
    (
        "what a broken attempt left of checksums is in nobody's way",
        integrity::left_over,
    ),
    ("what was erased cannot be read", raw::erase),
    ("what does not fit is refused as such", no_space),
    ("encrypted volumes open with their key only", encrypted),
    ("what is removed is gone, and what is in use stays", remove),
];

fn missing_group(bench: &Bench<'_>) {
    let scan = bench.run(Command::Scan(bench.vg.clone()));
    assert!(
        matches!(scan, Err(LvmError::GroupMissing { .. })),
        "{scan:?}"
    );
}

fn create_group(bench: &Bench<'_>) {
    let create = Command::CreateGroup {
        vg: bench.vg.clone(),
        tag: "ingot1.pool=suite".into(),
    };
    bench.done(create.clone());
    let group = bench.group();
    assert_eq!(group.tags, ["ingot1.pool=suite"]);
    assert!(group.pvs.len() >= 2 && group.lvs.is_empty() && group.extent == Bytes::mib(4));
    let again = bench.run(create).expect_err("twice");
    assert!(
        matches!(again, LvmError::Exists { .. } | LvmError::Invalid { .. }),
        "{again}"
    );
}

fn create_pool(bench: &Bench<'_>) {
    bench.done(Command::CreatePool {
        vg: bench.vg.clone(),
        pool: pool(),
        size: Bytes::mib(512),
        metadata: Bytes::mib(8),
        chunk: Bytes(64 << 10),
    });
    let group = bench.group();
    let lv = group.lv(&pool()).expect("the pool");
    let usage = lv.thin.expect("its fill");
    assert_eq!((lv.size, usage.chunk), (Bytes::mib(512), Bytes(64 << 10)));
    assert!(usage.data < 0.01 && usage.metadata < 0.5, "{usage:?}");
    assert_eq!(lv.tags, None, "the pool is nobody's volume");
}

fn fill_without_lvm(bench: &Bench<'_>) {
    let look = |pool: LvName| Command::ThinFill {
        vg: bench.vg.clone(),
        pool,
    };
    let told = bench.run(look(pool()));
    let Ok(Reply::Fill(fill)) = told else {
        panic!("{told:?}")
    };
    let usage = bench.group().lv(&pool()).and_then(|lv| lv.thin);
    let usage = usage.expect("its fill");
    let near = |a: f64, b: f64| (a - b).abs() < 0.01;
    assert!(
        fill.well && near(fill.data, usage.data) && near(fill.metadata, usage.metadata),
        "{fill:?}, by LVM {usage:?}"
    );
    let none = bench.run(look(LvName::new("other").expect("a name")));
    assert!(none.is_err(), "{none:?}");
    // With a volume in it the pool has another device.
    bench.done(bench.new_lv(9, SMALL, thin()));
    assert!(matches!(bench.run(look(pool())), Ok(Reply::Fill(fill)) if fill.well));
    bench.done(bench.remove(LvName::volume(VolumeUid(9))));
    assert!(matches!(bench.run(look(pool())), Ok(Reply::Fill(fill)) if fill.well));
}

fn grow_metadata(bench: &Bench<'_>) {
    let grow = |size| Command::ExtendMetadata {
        vg: bench.vg.clone(),
        pool: pool(),
        size,
    };
    bench.done(grow(Bytes::mib(12)));
    let group = bench.group();
    let lv = group.lv(&pool()).expect("the pool");
    let usage = lv.thin.expect("its fill");
    assert_eq!(
        (lv.size, usage.metadata_size),
        (Bytes::mib(512), Bytes::mib(12))
    );
    // LVM has nothing against it, and does nothing.
    let _ = bench.run(grow(Bytes::mib(12)));
    let usage = bench.group().lv(&pool()).and_then(|lv| lv.thin);
    assert_eq!(usage.expect("its fill").metadata_size, Bytes::mib(12));
    let much = bench.run(grow(Bytes::gib(15)));
    assert!(matches!(much, Err(LvmError::NoSpace { .. })), "{much:?}");
}

fn thin_volume(bench: &Bench<'_>) {
    bench.done(bench.new_lv(1, SMALL, thin()));
    let group = bench.group();
    let lv = group.lv(&LvName::volume(VolumeUid(1))).expect("the volume");
    assert_eq!((lv.size, lv.active), (SMALL, true));
    assert_eq!(lv.tags, Some(tags(1, Kind::Volume)));
    assert_eq!(lv.pool, Some(pool()));
    assert_eq!(group.promised(&pool()), SMALL);
    let again = bench
        .run(bench.new_lv(1, SMALL, thin()))
        .expect_err("twice");
    assert!(matches!(again, LvmError::Exists { .. }), "{again}");
}

fn retag(bench: &Bench<'_>) {
    let from = tags(1, Kind::Volume);
    let to = Tags {
        state: LvState::Ready,
        filesystem: FilesystemTag::Formatting,
        ..from.clone()
    };
    bench.done(Command::Tag(TagChange {
        vg: bench.vg.clone(),
        lv: LvName::volume(VolumeUid(1)),
        from,
        to: to.clone(),
    }));
    let group = bench.group();
    assert_eq!(
        group.lv(&LvName::volume(VolumeUid(1))).expect("it").tags,
        Some(to)
    );
}

fn filesystem(bench: &Bench<'_>) {
    let device = bench.device(1);
    assert_eq!(bench.probe(&device), Found::Blank);
    let filesystem = Filesystem::Ext4;
    bench.done(Command::MakeFilesystem {
        device: device.clone(),
        filesystem,
    });
    let whole = Found::Filesystem {
        filesystem,
        whole: true,
    };
    assert_eq!(bench.probe(&device), whole);
    bench.done(bench.mount(&device, "staging", false, false));
    let again = bench
        .run(bench.mount(&device, "staging", false, false))
        .expect_err("twice");
    assert!(matches!(again, LvmError::Exists { .. }), "{again}");
    for (target, kind, read_only) in [
        ("target", MountKind::Filesystem, false),
        ("read-only", MountKind::Filesystem, true),
        ("node", MountKind::Node, false),
    ] {
        bench.done(Command::Bind {
            device: device.clone(),
            source: bench.folder.join("staging"),
            target: bench.folder.join(target),
            kind,
            read_only,
        });
        let found = bench
            .mounts()
            .into_iter()
            .find(|m| m.target == bench.folder.join(target));
        let found = found.expect("listed");
        assert_eq!(
            (found.kind, found.read_only, found.device),
            (kind, read_only, device.clone())
        );
    }
    let before = bench.size(&bench.folder.join("staging"));
    bench.done(Command::Extend {
        vg: bench.vg.clone(),
        lv: device.lv.clone(),
        size: Bytes::mib(128),
    });
    assert_eq!(
        bench.size(&bench.folder.join("staging")),
        before,
        "only the device grew"
    );
    bench.done(Command::GrowFilesystem {
        device: device.clone(),
        target: bench.folder.join("staging"),
        filesystem,
    });
    assert!(bench.size(&bench.folder.join("staging")).0 > before.0 + before.0 / 2);
    let busy = bench
        .run(bench.remove(device.lv.clone()))
        .expect_err("mounted");
    assert!(matches!(busy, LvmError::InUse { .. }), "{busy}");
    for target in ["node", "read-only", "target", "staging"] {
        bench.unmount(target);
    }
    assert!(bench.mounts().is_empty());
    bench.unmount("never-there");
}

fn copies(bench: &Bench<'_>) {
    let source = LvName::volume(VolumeUid(1));
    let copy = |uid: u128, lv: LvName, read_only: bool, kind: Kind| Command::Copy {
        vg: bench.vg.clone(),
        source: source.clone(),
        lv,
        read_only,
        tags: tags(uid, kind),
    };
    bench.done(copy(
        2,
        LvName::snapshot(VolumeUid(2)),
        true,
        Kind::Snapshot,
    ));
    bench.done(copy(3, LvName::volume(VolumeUid(3)), false, Kind::Volume));
    let group = bench.group();
    let snapshot = group
        .lv(&LvName::snapshot(VolumeUid(2)))
        .expect("the snapshot");
    assert_eq!((snapshot.active, snapshot.size), (false, Bytes::mib(128)));
    let clone = bench.device(3);
    assert!(matches!(
        bench.probe(&clone),
        Found::Filesystem { whole: true, .. }
    ));
    bench.done(bench.mount(&clone, "clone", true, false));
    bench.unmount("clone");
    bench.done(Command::Activate {
        vg: bench.vg.clone(),
        lv: LvName::snapshot(VolumeUid(2)),
    });
    let device = Device::lv(&bench.vg, &LvName::snapshot(VolumeUid(2)));
    let written = bench.run(bench.mount(&device, "snapshot", true, false));
    assert!(written.is_err(), "a snapshot was mounted for writing");
    let _ = bench.run(Command::Unmount {
        target: bench.folder.join("snapshot"),
    });
    bench.done(bench.mount(&device, "snapshot", true, true));
    bench.unmount("snapshot");
}

fn thick(bench: &Bench<'_>) {
    let layouts = [
        Layout::Linear,
        Layout::striped(2).expect("two"),
        Layout::raid1(2).expect("two"),
    ];
    for (uid, layout) in (10..).zip(layouts) {
        let room = |group: &Group| Space::of(group, None).largest(&layout, ThinGuard::default());
        let before = room(&bench.group());
        let size = layout.round_up(Bytes::mib(30), Bytes::mib(4));
        bench.done(bench.new_lv(uid, size, layout.clone()));
        let group = bench.group();
        let lv = group.lv(&LvName::volume(VolumeUid(uid))).expect("it");
        assert_eq!((lv.size, &lv.health), (size, &None), "{layout}");
        assert!(room(&group) < before, "{layout} takes room");
        bench.done(bench.remove(lv.lv.clone()));
        assert_eq!(room(&bench.group()), before, "{layout} gives it back");
    }
}

fn no_space(bench: &Bench<'_>) {
    let layout = Layout::Linear;
    let room = Space::of(&bench.group(), None).largest(&layout, ThinGuard::default());
    let error = bench.run(bench.new_lv(20, room.saturating_add(Bytes::mib(4)), layout.clone()));
    assert!(matches!(error, Err(LvmError::NoSpace { .. })), "{error:?}");
    bench.done(bench.new_lv(20, room, layout));
    bench.done(bench.remove(LvName::volume(VolumeUid(20))));
    let none = Layout::raid1(10).expect("ten");
    let error = bench.run(bench.new_lv(21, SMALL, none));
    assert!(matches!(error, Err(LvmError::NoSpace { .. })), "{error:?}");
}

fn encrypted(bench: &Bench<'_>) {
    bench.done(bench.new_lv(30, SMALL, thin()));
    let device = bench.device(30);
    let key = |text: &str| Key::new(text.as_bytes().to_vec());
    let open = |text: &str| Command::Open {
        device: device.clone(),
        key: key(text),
    };
    bench.done(Command::Encrypt {
        device: device.clone(),
        key: key("correct horse"),
    });
    assert_eq!(bench.probe(&device), Found::Luks);
    let wrong = bench.run(open("wrong battery")).expect_err("a wrong key");
    assert!(matches!(wrong, LvmError::WrongKey { .. }), "{wrong}");
    bench.done(open("correct horse"));
    assert_eq!(bench.probe(&device.decrypted()), Found::Blank);
    let twice = bench.run(open("correct horse")).expect_err("open already");
    assert!(matches!(twice, LvmError::Exists { .. }), "{twice}");
    let close = Command::Close {
        device: device.clone(),
    };
    bench.done(close.clone());
    let twice = bench.run(close).expect_err("closed already");
    assert!(matches!(twice, LvmError::NotFound { .. }), "{twice}");
}

fn remove(bench: &Bench<'_>) {
    let group = bench.group();
    for lv in group.lvs.iter().filter(|lv| lv.tags.is_some()) {
        bench.done(bench.remove(lv.lv.clone()));
    }
    let gone = bench
        .run(bench.remove(LvName::volume(VolumeUid(1))))
        .expect_err("gone");
    assert!(matches!(gone, LvmError::NotFound { .. }), "{gone}");
    let group = bench.group();
    assert_eq!(group.lvs.len(), 1, "only the pool is left");
    assert_eq!(group.promised(&pool()), Bytes::ZERO);
}
