//! Reboots, power and cables.

use std::fs;
use std::time::{Duration, Instant};

use ingot_harness::HostError;

use crate::lab::{asked_for, lab, out, reaches, spec, ssh, succeeds};
use crate::lifetime::cgroups;

#[test]
fn a_reboot_is_a_new_boot_with_the_old_disk() {
    if !asked_for() {
        return;
    }
    let lab = lab("reboot", 1);
    let host = lab.add_host(spec("r")).unwrap();
    let before = out(&host, "cat /proc/sys/kernel/random/boot_id");
    out(
        &host,
        "echo kept >/root/file; echo kept >/var/lib/file; echo gone >/run/file",
    );
    out(&host, "echo 7 >/proc/sys/vm/swappiness");
    assert_eq!(out(&host, "cat /proc/sys/vm/swappiness"), "7");
    host.reboot().unwrap();
    assert_eq!(host.boots().unwrap(), 2);
    assert_ne!(out(&host, "cat /proc/sys/kernel/random/boot_id"), before);
    assert_eq!(out(&host, "cat /root/file /var/lib/file"), "kept\nkept");
    assert!(!succeeds(&host, "test -e /run/file"));
    let machine = fs::read_to_string("/proc/sys/vm/swappiness").unwrap();
    assert_eq!(out(&host, "cat /proc/sys/vm/swappiness"), machine.trim());
}

#[test]
fn a_reboot_asked_for_over_ssh_works_as_well() {
    if !asked_for() {
        return;
    }
    let lab = lab("ssh-reboot", 1);
    let host = lab.add_host(spec("r")).unwrap();
    ssh(&lab, "root", &host, "systemctl reboot", "");
    let deadline = Instant::now() + Duration::from_secs(120);
    while host.boots().unwrap() < 2 {
        assert!(Instant::now() < deadline, "no second boot");
        std::thread::sleep(Duration::from_millis(50));
    }
    host.wait_ssh(Duration::from_secs(120)).unwrap();
    assert_eq!(ssh(&lab, "root", &host, "echo back", "").stdout, b"back\n");
}

#[test]
fn synced_data_survives_a_power_cut_and_nothing_runs_meanwhile() {
    if !asked_for() {
        return;
    }
    let lab = lab("power", 1);
    let hosts = lab.add_hosts(vec![spec("a"), spec("b")], &|_| {}).unwrap();
    let [a, b] = hosts.as_slice() else {
        panic!("two hosts")
    };
    out(
        a,
        "echo data >/var/lib/file; sync /var/lib/file; echo gone >/run/file",
    );
    a.power_cut().unwrap();
    a.power_cut().unwrap();
    assert!(!a.is_running());
    assert!(!reaches(b, a));
    assert!(matches!(a.exec(&["true"]), Err(HostError::Off { .. })));
    assert!(matches!(
        a.wait_ssh(Duration::from_secs(60)),
        Err(HostError::Off { .. })
    ));
    assert_eq!(
        fs::read_to_string(a.var_lib_dir().join("file")).unwrap(),
        "data\n"
    );
    a.power_on().unwrap();
    a.power_on().unwrap();
    assert!(reaches(b, a));
    assert_eq!(out(a, "cat /var/lib/file"), "data");
    assert!(!succeeds(a, "test -e /run/file"));
}

#[test]
fn a_host_that_powers_off_stays_off_and_keeps_no_cgroups() {
    if !asked_for() {
        return;
    }
    let lab = lab("off", 1);
    let host = lab.add_host(spec("o")).unwrap();
    assert!(!cgroups(lab.name()).is_empty());
    host.power_off().unwrap();
    assert!(!host.is_running());
    assert_eq!(cgroups(lab.name()), Vec::<String>::new());
    assert!(
        host.journal()
            .unwrap()
            .contains("Server listening on 0.0.0.0 port 22")
    );
    host.power_on().unwrap();
    assert_eq!(host.boots().unwrap(), 2);
}

#[test]
fn a_pulled_cable_cuts_a_host_off_until_it_is_plugged_in() {
    if !asked_for() {
        return;
    }
    let lab = lab("cable", 1);
    let hosts = lab.add_hosts(vec![spec("a"), spec("b")], &|_| {}).unwrap();
    let [a, b] = hosts.as_slice() else {
        panic!("two hosts")
    };
    a.unplug().unwrap();
    assert!(a.is_running());
    assert!(!reaches(b, a));
    assert_eq!(out(a, "cat /sys/class/net/eth0/carrier"), "0");
    a.plug().unwrap();
    assert_eq!(out(a, "cat /sys/class/net/eth0/carrier"), "1");
    let deadline = Instant::now() + Duration::from_secs(30);
    while !reaches(b, a) {
        assert!(
            Instant::now() < deadline,
            "the cable is plugged in but nothing passes"
        );
    }
    // A cable that was pulled while the host was off is still pulled when it is on.
    a.power_cut().unwrap();
    a.unplug().unwrap();
    assert!(a.power_on_without_network(Duration::from_secs(60)).is_ok());
    assert!(!reaches(b, a));
}
