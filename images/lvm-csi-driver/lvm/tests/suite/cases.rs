//! The cases, in the order in which they build on each other.

use ingot_lvm::command::Key;
use ingot_lvm::{
    Backend, Command, Device, Filesystem, Found, Group, Kind, Layout, LvmError, Mount, MountKind,
    NewCopy, NewLv, Reply, Space, TagChange, Tags, ThinGuard,
};
use ingot_volume_brain::{Bytes, FilesystemTag, LvName, LvState, NameHash, VgName, VolumeUid};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

/// A back end, and where it works.
pub struct Bench<'a> {
    backend: &'a dyn Backend,
    vg: VgName,
    folder: PathBuf,
    /// Whether its devices can be opened.
    physical: bool,
}

type Case = fn(&Bench<'_>);

/// All of them.
pub const ALL: [(&str, Case); 16] = [
    (
        "a group that is not there is missing, not empty",
        missing_group,
    ),
    ("a group is made once, with its tag", create_group),
    ("a thin pool tells its fill", create_pool),
    ("the metadata of a thin pool grows", grow_metadata),
    ("a volume has its tags from its first moment", thin_volume),
    ("tags change in one commit", retag),
    (
        "a filesystem is made, mounted, grown and unmounted",
        filesystem,
    ),
    (
        "a raw device to be read only takes no writes",
        read_only_raw,
    ),
    (
        "copies show what was there, snapshots cannot be written",
        copies,
    ),
    ("copies of several volumes are of one instant", together),
    ("what a dead agent left suspended goes on", resumed),
    ("thick layouts take what the arithmetic says", thick),
    ("what was erased cannot be read", erase),
    ("what does not fit is refused as such", no_space),
    ("encrypted volumes open with their key only", encrypted),
    ("what is removed is gone, and what is in use stays", remove),
];

impl<'a> Bench<'a> {
    pub fn new(backend: &'a dyn Backend, vg: VgName, folder: &Path, physical: bool) -> Self {
        Self {
            backend,
            physical,
            vg,
            folder: folder.to_owned(),
        }
    }

    fn run(&self, command: Command) -> Result<Reply, LvmError> {
        self.backend.run(&command)
    }

    fn done(&self, command: Command) {
        let name = command.name();
        match self.run(command) {
            Ok(Reply::Done) => {}
            other => panic!("{name}: {other:?}"),
        }
    }

    fn group(&self) -> Group {
        match self.run(Command::Scan(self.vg.clone())) {
            Ok(Reply::Group(group)) => *group,
            other => panic!("scan: {other:?}"),
        }
    }

    fn probe(&self, device: &Device) -> Found {
        match self.run(Command::Probe(device.clone())) {
            Ok(Reply::Found(found)) => found,
            other => panic!("probe: {other:?}"),
        }
    }

    fn mounts(&self) -> Vec<Mount> {
        match self.run(Command::Mounts) {
            Ok(Reply::Mounts(mut mounts)) => {
                mounts.retain(|mount| mount.device.vg == self.vg);
                mounts
            }
            other => panic!("mounts: {other:?}"),
        }
    }

    fn size(&self, target: &Path) -> Bytes {
        let target = target.to_owned();
        match self.run(Command::Usage { target }) {
            Ok(Reply::Usage(usage)) => usage.total,
            other => panic!("usage: {other:?}"),
        }
    }

    fn device(&self, uid: u128) -> Device {
        Device::lv(&self.vg, &LvName::volume(VolumeUid(uid)))
    }

    fn new_lv(&self, uid: u128, size: Bytes, layout: Layout) -> Command {
        Command::Create(NewLv {
            vg: self.vg.clone(),
            lv: LvName::volume(VolumeUid(uid)),
            size,
            layout,
            tags: tags(uid, Kind::Volume),
        })
    }

    fn mount(&self, device: &Device, place: &str, copied: bool, read_only: bool) -> Command {
        Command::Mount {
            device: device.clone(),
            target: self.folder.join(place),
            filesystem: Filesystem::Ext4,
            copied,
            read_only,
            options: vec!["noatime".into()],
        }
    }

    fn unmount(&self, place: &str) {
        let target = self.folder.join(place);
        self.done(Command::Unmount {
            target: target.clone(),
        });
        assert!(!target.exists(), "{} is left", target.display());
    }

    fn remove(&self, lv: LvName) -> Command {
        Command::Remove {
            vg: self.vg.clone(),
            lv,
        }
    }
}

fn pool() -> LvName {
    LvName::new("pool").expect("a name")
}

fn thin() -> Layout {
    Layout::Thin { pool: pool() }
}

fn tags(uid: u128, kind: Kind) -> Tags {
    Tags {
        uid: VolumeUid(uid),
        name: NameHash(uid),
        kind,
        state: LvState::New,
        filesystem: FilesystemTag::Unformatted,
        copied: false,
        encrypted: false,
        parent: None,
    }
}

const SMALL: Bytes = Bytes::mib(64);

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
    let again = bench.run(grow(Bytes::mib(12)));
    assert!(again.is_err(), "the same size again: {again:?}");
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

fn read_only_raw(bench: &Bench<'_>) {
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

fn together(bench: &Bench<'_>) {
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
        assert!(
            first > 0 && (first == second || first == second + 1),
            "{first} and {second} are of two instants"
        );
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

fn resumed(bench: &Bench<'_>) {
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

fn erase(bench: &Bench<'_>) {
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
