//! A new host is somebody new, and no host reaches the machine below.

use std::fs;
use std::path::Path;

use ingot_harness::HostSpec;

use crate::lab::{asked_for, lab, out, spec, ssh, succeeds};

#[test]
fn a_wiped_host_is_bare_and_somebody_new() {
    if !asked_for() {
        return;
    }
    let lab = lab("wipe", 1);
    let host = lab.add_host(spec("w")).unwrap();
    out(&host, "echo x >/root/file; echo x >/var/lib/file");
    let (key, id) = (host.host_key().unwrap(), out(&host, "cat /etc/machine-id"));
    host.wipe().unwrap();
    assert!(!host.is_running());
    host.power_on().unwrap();
    assert!(!succeeds(
        &host,
        "test -e /root/file || test -e /var/lib/file"
    ));
    assert_ne!(host.host_key().unwrap(), key);
    assert_ne!(out(&host, "cat /etc/machine-id"), id);
    assert_eq!(ssh(&lab, "root", &host, "echo in", "").stdout, b"in\n");

    let key = host.host_key().unwrap();
    host.wipe_keep_key().unwrap();
    host.power_on().unwrap();
    assert_eq!(host.host_key().unwrap(), key);
    assert_eq!(ssh(&lab, "root", &host, "echo in", "").stdout, b"in\n");
}

#[test]
fn limits_hold_and_the_machines_settings_are_out_of_reach() {
    if !asked_for() {
        return;
    }
    let lab = lab("limits", 1);
    let memory = 256 << 20;
    let host = lab
        .add_host(HostSpec {
            cpus: Some(1),
            memory: Some(memory),
            ..spec("l")
        })
        .unwrap();
    let seen = out(
        &host,
        "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null || true",
    );
    // On v2 the root of the namespace shows no limit files; there the machine's view is checked.
    if !seen.is_empty() {
        assert_eq!(seen, memory.to_string());
    }
    let machine = fs::read_to_string("/proc/sys/kernel/panic").unwrap();
    out(&host, "echo 77 >/proc/sys/kernel/panic");
    assert_eq!(out(&host, "cat /proc/sys/kernel/panic"), "77");
    assert_eq!(
        fs::read_to_string("/proc/sys/kernel/panic").unwrap(),
        machine
    );
    assert!(!succeeds(&host, "echo 1 >/proc/sys/kernel/ctrl-alt-del"));
    // What belongs to the host's network is its own.
    out(&host, "echo 1 >/proc/sys/net/ipv4/ip_forward");
    assert_eq!(
        out(
            &host,
            "ls /dev | grep -c -e ^vd -e ^sd -e ^nvme -e ^loop || true"
        ),
        "0"
    );
}

#[test]
fn container_runtimes_find_what_they_need() {
    if !asked_for() {
        return;
    }
    let lab = lab("runtime", 1);
    let host = lab.add_host(spec("n")).unwrap();
    // Mounts of pods reach the host, an overlay can lie in /var/lib, cgroups can be made.
    assert_eq!(out(&host, "findmnt -no PROPAGATION /"), "shared");
    out(
        &host,
        "cd /var/lib && mkdir -p l u w m && mount -t overlay o -o lowerdir=l,upperdir=u,workdir=w m",
    );
    let v1 = Path::new("/sys/fs/cgroup/memory").is_dir();
    let pods = if v1 {
        "/sys/fs/cgroup/memory/kubepods"
    } else {
        "/sys/fs/cgroup/kubepods"
    };
    out(&host, &format!("mkdir {pods} && rmdir {pods}"));
    // A pod with a user namespace may mount proc and sysfs only if the host shows them whole.
    out(&host, "unshare -Urnpf --mount-proc true");
    out(&host, "unshare -Urnm sh -c 'mount -t sysfs s /mnt'");
    for device in ["kmsg", "fuse", "net/tun"] {
        out(&host, &format!("test -c /dev/{device}"));
    }
}
