//! What survives a power cut.

use ingot_harness::guest::{DiskSpec, GuestSpec};

use crate::guest::{asked_for, boot, out, succeeds, timed, unique};

#[test]
fn a_power_cut_keeps_what_was_flushed_and_loses_what_was_not() {
    if !asked_for() {
        return;
    }
    let guest = boot(GuestSpec::new(unique("cut")).with_disks(1, 1 << 30));
    let disk = DiskSpec::empty("disk-1", 1 << 30).path();
    // The root disk: one file with fsync, one that is in the page cache only.
    out(
        &guest,
        "echo kept >/srv/kept; sync /srv/kept /srv; echo lost >/srv/lost",
    );
    // A raw disk: written by the kernel with and without a flush, to places never written before.
    let write = |mib: u32, how: &str| {
        format!(
            "tr '\\0' x </dev/zero | dd of={disk} bs=1M count=1 seek={mib} iflag=fullblock {how}"
        )
    };
    out(&guest, &write(100, "conv=fsync"));
    out(&guest, &write(200, "oflag=direct"));
    let read = |mib: u32| {
        format!("dd if={disk} bs=1M count=1 skip={mib} status=none | tr -d '\\0' | wc -c")
    };
    assert_eq!(out(&guest, &read(200)), "1048576");
    guest.power_cut().unwrap();
    assert!(!guest.is_running());
    timed("boot after a power cut", || guest.power_on().unwrap());
    assert_eq!(out(&guest, "cat /srv/kept"), "kept");
    assert!(!succeeds(&guest, "grep -q lost /srv/lost"));
    assert_eq!(out(&guest, &read(100)), "1048576");
    assert_eq!(out(&guest, &read(200)), "0");
    // It is still the same machine.
    assert!(out(&guest, "hostname").ends_with("-cut"));
}
