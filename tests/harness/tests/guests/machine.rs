//! A guest is a machine of its own, and files and programs get into it.

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;

use ingot_harness::guest::{DiskSpec, Guest, GuestError, GuestSpec};

use crate::guest::{asked_for, boot, out, succeeds, timed, unique};

#[test]
fn a_guest_is_a_machine_with_a_kernel_of_its_own() {
    if !asked_for() {
        return;
    }
    let name = unique("own");
    let guest = boot(GuestSpec::new(&name).with_disks(3, 1 << 30));
    assert_eq!(
        out(&guest, "hostname; id -un; cat /proc/1/comm"),
        format!("{name}\nroot\nsystemd")
    );
    assert!(out(&guest, "uname -r").ends_with("-cloud-amd64"));
    assert_eq!(out(&guest, "systemctl --failed --no-legend"), "");
    assert_eq!(
        out(&guest, "stat -c '%a %u' / /root /root/.ssh"),
        "755 0\n700 0\n700 0"
    );
    let modules = "dm-thin-pool dm-snapshot dm-raid raid1 raid456 dm-crypt dm-flakey xfs overlay \
                   br_netfilter vxlan nf_tables";
    out(&guest, &format!("modprobe -a {modules}"));
    let controllers = out(&guest, "cat /sys/fs/cgroup/cgroup.controllers");
    for controller in ["cpuset", "cpu", "io", "memory", "pids"] {
        assert!(
            controllers.split(' ').any(|c| c == controller),
            "{controllers}"
        );
    }

    // Disks are found by their serial numbers, and have the size they should have.
    for disk in ["disk-1", "disk-2", "disk-3"] {
        let path = DiskSpec::empty(disk, 1 << 30).path();
        assert_eq!(
            out(&guest, &format!("blockdev --getsize64 {path}")),
            (1 << 30).to_string()
        );
        assert_eq!(out(&guest, &format!("lsblk -dno SERIAL {path}")), disk);
    }

    // Nothing leads out.
    assert_eq!(out(&guest, "ip route show default"), "");
    assert!(!succeeds(
        &guest,
        "timeout 3 bash -c '</dev/tcp/10.0.2.2/22'"
    ));

    // Words, exit statuses and output arrive as they are.
    let output = guest.exec(&[
        "sh",
        "-c",
        "echo \"$1\"; echo no >&2; exit 3",
        "sh",
        "it's $HOME",
    ]);
    let output = output.unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert_eq!(
        (&output.stdout[..], &output.stderr[..]),
        (&b"it's $HOME\n"[..], &b"no\n"[..])
    );
    let refused = guest
        .run(&["sh", "-c", "echo no disk >&2; exit 3"])
        .unwrap_err();
    assert!(refused.to_string().ends_with("no disk"), "{refused}");

    files_and_programs(&guest);
    sockets(&guest);

    let before = guest.boot_id().unwrap();
    timed("reboot", || guest.reboot().unwrap());
    assert_ne!(guest.boot_id().unwrap(), before);
    assert_eq!(out(&guest, "cat /srv/in/deep/name"), "content");
    timed("power off", || guest.power_off().unwrap());
    assert!(!guest.is_running());
    assert!(matches!(guest.exec(&["true"]), Err(GuestError::Off { .. })));
    let console = fs::read_to_string(guest.console_log()).unwrap();
    assert!(
        console.contains("Reached target") && console.contains("Power down"),
        "{console}"
    );
}

/// Copies of files, directories and programs, in and out.
/// A service of the guest is asked from the machine, through its socket.
fn sockets(guest: &Guest) {
    let here = std::env::temp_dir().join(unique("socket"));
    out(guest, "ssh-agent -a /run/keys.sock >/dev/null");
    guest.forward("/run/keys.sock", &here).unwrap();
    let mut ask = Command::new("ssh-add");
    let answer = ask.arg("-l").env("SSH_AUTH_SOCK", &here).output().unwrap();
    fs::remove_file(&here).unwrap();
    let answer = String::from_utf8_lossy(&answer.stdout).into_owned();
    assert_eq!(answer.trim(), "The agent has no identities.");
}

fn files_and_programs(guest: &Guest) {
    let dir = std::env::temp_dir().join(unique("files"));
    fs::create_dir_all(dir.join("tree/deep")).unwrap();
    fs::write(dir.join("tree/deep/name"), "content").unwrap();
    fs::write(
        dir.join("tree/script"),
        "#!/bin/sh\necho \"$WORD $1\"\nexit 7\n",
    )
    .unwrap();
    Command::new("chmod")
        .arg("755")
        .arg(dir.join("tree/script"))
        .status()
        .unwrap();
    let big: Vec<u8> = (0..20_000_000_u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    fs::write(dir.join("big"), &big).unwrap();

    guest.copy_in(&dir.join("tree"), "/srv/in").unwrap();
    guest.copy_in(&dir.join("tree"), "/srv/in").unwrap();
    assert_eq!(
        out(
            guest,
            "cd /srv/in; find . -type f -printf '%p %m %U\n' | sort"
        ),
        "./deep/name 644 0\n./script 755 0"
    );
    timed("copy 20 MB in", || {
        guest.copy_in(&dir.join("big"), "/srv/big").unwrap()
    });
    let digest = Command::new("sha256sum")
        .arg(dir.join("big"))
        .output()
        .unwrap()
        .stdout;
    let digest = String::from_utf8(digest).unwrap();
    assert_eq!(
        out(guest, "sha256sum </srv/big").split(' ').next(),
        digest.split(' ').next()
    );
    let missing = guest
        .copy_in(&dir.join("no-such-file"), "/srv/x")
        .unwrap_err();
    assert!(matches!(missing, GuestError::State { .. }), "{missing}");
    assert_eq!(out(guest, "ls /dev/disk/by-id | grep -c copy || true"), "0");

    guest.copy_out("/srv/in", &dir.join("out")).unwrap();
    assert_eq!(
        fs::read_to_string(dir.join("out/deep/name")).unwrap(),
        "content"
    );
    assert!(guest.copy_out("/srv/in", &dir.join("out")).is_err());

    let status = guest.run_program(&dir.join("tree/script"), &["two words"], &[("WORD", "say")]);
    assert_eq!(status.unwrap().code(), Some(7));
    // This very test program: a dynamic executable that the guest has never seen.
    let own = std::env::current_exe().unwrap();
    let path = timed("install this program", || {
        guest.install_program(&own).unwrap()
    });
    let log = dir.join("log");
    let words = [path.as_str(), "--list"];
    let status = guest
        .stream_to(&words, File::create(&log).unwrap())
        .unwrap();
    let log = fs::read_to_string(log).unwrap();
    assert!(
        status.success() && log.contains("a_killed_creator_leaves_nothing: test"),
        "{log}"
    );
    // And one with libraries that the guest lacks.
    assert!(!succeeds(guest, "command -v qemu-img"));
    let path = timed("install qemu-img", || {
        guest
            .install_program(Path::new("/usr/bin/qemu-img"))
            .unwrap()
    });
    assert!(out(guest, &format!("{path} --version")).starts_with("qemu-img version"));
    ingot_deletion::delete_tree(&dir).complete().unwrap();
}
