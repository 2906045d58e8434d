use super::*;
use crate::tags::{Kind, Tags};
use ingot_volume_brain::{FilesystemTag, LvState, NameHash, VolumeUid};

fn shown(command: &Command) -> String {
    arguments(command).expect("a command of LVM").join(" ")
}

fn new(layout: Layout) -> Command {
    Command::Create(NewLv {
        vg: VgName::new("vg").expect("a name"),
        lv: LvName::volume(VolumeUid(1)),
        size: Bytes::mib(8),
        layout,
        tags: Tags {
            uid: VolumeUid(1),
            name: NameHash(2),
            kind: Kind::Volume,
            state: LvState::Ready,
            filesystem: FilesystemTag::Unformatted,
            copied: false,
            encrypted: false,
            parent: None,
        },
    })
}

#[test]
fn a_thin_volume_takes_no_space_and_has_its_tags_from_the_first_moment() {
    let pool = LvName::new("pool").expect("a name");
    assert_eq!(
        shown(&new(Layout::Thin { pool })),
        "lvcreate --type thin --thinpool pool --virtualsize 8388608b \
         --name v00000000000000000000000000000001 \
         --addtag ingot1.fs=none --addtag ingot1.kind=volume \
         --addtag ingot1.name=00000000000000000000000000000002 --addtag ingot1.state=ready \
         --addtag ingot1.uid=00000000000000000000000000000001 vg"
    );
}

#[test]
fn layouts_are_typed_and_thick_ones_begin_clean() {
    let linear = shown(&new(Layout::Linear));
    assert!(linear.starts_with(
        "lvcreate --type linear --yes --wipesignatures y --zero y --size 8388608b --name v"
    ));
    let raid10 = shown(&new(Layout::raid10(2).expect("two")));
    assert!(raid10.starts_with("lvcreate --type raid10 --stripes 2 --mirrors 1 --yes"));
    let raid1 = shown(&new(Layout::raid1(3).expect("three")));
    assert!(raid1.starts_with("lvcreate --type raid1 --mirrors 2 --yes"));
}

#[test]
fn integrity_is_kept_true_by_a_journal() {
    let raid5 = Layout::raid5(2).expect("two").with_integrity();
    let raid5 = shown(&new(raid5.expect("redundant")));
    assert!(raid5.starts_with(
        "lvcreate --type raid5 --stripes 2 --raidintegrity y --raidintegritymode journal --yes"
    ));
}

#[test]
fn a_group_is_made_without_wiping_anything() {
    let create = Command::CreateGroup {
        vg: VgName::new("vg").expect("a name"),
        tag: "ingot1.pool=a".into(),
    };
    assert_eq!(
        shown(&create),
        "vgcreate --metadatasize 64m --addtag ingot1.pool=a vg"
    );
}

#[test]
fn a_disk_joins_without_wiping_anything() {
    let vg = VgName::new("vg").expect("a name");
    let disk = "/dev/disk/by-id/a".into();
    assert_eq!(
        shown(&Command::ExtendGroup { vg, disk }),
        "vgextend --metadatasize 64m vg /dev/disk/by-id/a"
    );
}

#[test]
fn what_is_kept_apart_lies_on_one_disk_and_shrinks_without_a_question() {
    let vg = || VgName::new("vg").expect("a name");
    let lv = || LvName::new("erase-a").expect("a name");
    let device = "/dev/sdb".to_owned();
    assert_eq!(
        shown(&Command::Reserve {
            vg: vg(),
            lv: lv(),
            device: device.clone(),
            size: Bytes::mib(8)
        }),
        "lvcreate --type linear --yes --wipesignatures y --zero y --size 8388608b --name erase-a vg /dev/sdb"
    );
    assert_eq!(
        shown(&Command::Shrink {
            vg: vg(),
            lv: lv(),
            size: Bytes::mib(4)
        }),
        "lvreduce --yes --size 4194304b vg/erase-a"
    );
    let mark = |free| Command::MarkDisk {
        vg: vg(),
        device: device.clone(),
        free,
    };
    let words = shown(&mark(FreeSpace::Erased));
    assert_eq!(words, "pvchange --addtag ingot1.erased /dev/sdb");
    let words = shown(&mark(FreeSpace::Unknown));
    assert_eq!(words, "pvchange --deltag ingot1.erased /dev/sdb");
}
