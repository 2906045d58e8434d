//! Disks: what can be built on them, and what can go wrong with them.

use std::fs;

use ingot_harness::guest::{Access, DiskSpec, Fault, GuestError, GuestSpec};

use crate::guest::{SOON, asked_for, boot, out, succeeds, timed, unique};

#[test]
fn lvm_with_thin_volumes_snapshots_growth_and_encryption_works() {
    if !asked_for() {
        return;
    }
    let guest = boot(GuestSpec::new(unique("lvm")).with_disks(2, 2 << 30));
    timed("LVM sequence", || {
        out(
            &guest,
            "
            export LVM_SUPPRESS_FD_WARNINGS=1
            d=/dev/disk/by-id/scsi-0QEMU_QEMU_HARDDISK_disk
            vgcreate -q data $d-1 $d-2
            lvcreate -q -y --type thin-pool -L 1G -n pool data
            lvcreate -q -y -V 500M --thinpool pool -n one data
            mkfs.xfs -q /dev/data/one
            mount /dev/data/one /mnt
            echo before >/mnt/file
            lvextend -q -L 800M data/one
            xfs_growfs /mnt >/dev/null
            test $(df --output=size -m /mnt | tail -1) -gt 700
            lvcreate -q -y -s -kn -n snap data/one
            echo after >/mnt/file
            mkdir /snap
            mount -o ro,nouuid,norecovery /dev/data/snap /snap
            grep -qx before /snap/file
            umount /snap /mnt
            lvcreate -q -y --type raid1 -m 1 -L 64M -n mirror data
            test $(lvs --noheadings -o lv_layout data/mirror) = raid,raid1
            lvcreate -q -y -L 64M -n secret data
            echo -n word | cryptsetup -q luksFormat --type luks2 --pbkdf pbkdf2 \
              --pbkdf-force-iterations 1000 /dev/data/secret -
            echo -n word | cryptsetup open --key-file - /dev/data/secret plain
            mkfs.ext4 -q /dev/mapper/plain
            mount /dev/mapper/plain /mnt
            echo hidden >/mnt/file
            umount /mnt
            cryptsetup close plain
            if grep -q hidden /dev/data/secret; then echo plain text >&2; exit 9; fi
            vgremove -q -y data
        ",
        );
    });
}

#[test]
fn disks_vanish_come_back_break_and_heal() {
    if !asked_for() {
        return;
    }
    let content = std::env::temp_dir().join(unique("content"));
    let mut bytes = b"from the machine".to_vec();
    bytes.resize(1 << 20, 0);
    fs::write(&content, &bytes).unwrap();
    let guest = boot(GuestSpec::new(unique("disks")).with_disks(2, 1 << 30));
    let path = DiskSpec::empty("disk-1", 1 << 30).path();
    let write = format!("echo mark | dd of={path} bs=512 conv=sync,fsync status=none");
    let read = format!("dd if={path} bs=512 count=1 iflag=direct status=none | head -c4");
    out(&guest, &write);

    // A file on the disk is open when the disk is torn out.
    out(
        &guest,
        &format!("mkfs.ext4 -qF {path} && mount {path} /mnt && echo x >/mnt/file && sync"),
    );
    guest.detach("disk-1").unwrap();
    guest
        .wait_until("lose its disk", &["test", "!", "-e", &path], SOON)
        .unwrap();
    assert!(!succeeds(&guest, "echo y >/mnt/other && sync /mnt/other"));
    assert!(matches!(
        guest.detach("disk-1"),
        Err(GuestError::Disk { .. })
    ));
    out(&guest, "umount -l /mnt");

    guest.attach("disk-1", Access::ReadOnly).unwrap();
    guest
        .wait_until("find its disk", &["test", "-e", &path], SOON)
        .unwrap();
    assert_eq!(out(&guest, &format!("blockdev --getro {path}")), "1");
    assert!(!succeeds(&guest, &write));
    out(
        &guest,
        &format!("mount -o ro,noload {path} /mnt; grep -qx x /mnt/file; umount /mnt"),
    );
    guest.detach("disk-1").unwrap();
    guest
        .wait_until("lose its disk", &["test", "!", "-e", &path], SOON)
        .unwrap();
    guest.attach("disk-1", Access::ReadWrite).unwrap();
    guest
        .wait_until("find its disk", &["test", "-e", &path], SOON)
        .unwrap();
    out(&guest, &write);
    assert_eq!(out(&guest, &read), "mark");

    guest.set_fault("disk-1", Some(Fault::Reads)).unwrap();
    assert!(!succeeds(&guest, &format!("set -o pipefail; {read}")));
    guest.set_fault("disk-1", Some(Fault::Writes)).unwrap();
    assert_eq!(out(&guest, &read), "mark");
    assert!(!succeeds(&guest, &format!("set -o pipefail; {write}")));
    // Also with writes that failed and were never flushed.
    guest.set_fault("disk-1", Some(Fault::All)).unwrap();
    assert!(!succeeds(&guest, &format!("set -o pipefail; {write}")));
    guest.set_fault("disk-1", None).unwrap();
    out(&guest, &write);
    let unknown = guest.set_fault("disk-9", None).unwrap_err().to_string();
    assert!(
        unknown.contains("disk-1 (attached), disk-2 (attached)"),
        "{unknown}"
    );

    let added = DiskSpec {
        content: Some(content.clone()),
        ..DiskSpec::empty("added", 1 << 20)
    };
    guest.add_disk(added.clone()).unwrap();
    guest
        .wait_until("find its disk", &["test", "-e", &added.path()], SOON)
        .unwrap();
    assert_eq!(
        out(&guest, &format!("head -c16 {}", added.path())),
        "from the machine"
    );
    out(
        &guest,
        &format!(
            "echo changed | dd of={} conv=notrunc,fsync status=none",
            added.path()
        ),
    );
    assert!(matches!(
        guest.add_disk(added),
        Err(GuestError::Spec { .. })
    ));
    assert_eq!(fs::read(&content).unwrap(), bytes);
    fs::remove_file(&content).unwrap();
}
