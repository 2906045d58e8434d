//! Guests do what machines with disks do, and leave nothing behind.
//!
//! Needs root and QEMU, and boots emulated machines, so it runs only with INGOT_GUEST_TESTS=1. It
//! destroys nothing but guests it made itself. Prints how long each step took.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use ingot_harness::guest::{Access, DiskSpec, Fault, Guest, GuestError, GuestSpec};
use ingot_harness::{HostSpec, Lab, LabSpec, Lifetime, RootVariant};

/// Says what a child process of these tests shall do.
const CHILD: &str = "INGOT_GUEST_TEST_CHILD";

const STATE: &str = "/var/lib/ingot-lab";

/// For what an emulated machine does within seconds when it is alone.
const SOON: Duration = Duration::from_secs(120);

/// Whether to run; says so loudly if not. Not with `eprintln!`, which the test runner swallows.
fn asked_for() -> bool {
    let asked = std::env::var_os("INGOT_GUEST_TESTS").is_some();
    if !asked {
        say("not run: it boots virtual machines; set INGOT_GUEST_TESTS=1 and run it as root");
    }
    asked
}

fn say(text: &str) {
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    let _ = writeln!(std::io::stderr(), "{test}: {text}");
}

fn timed<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = work();
    say(&format!("{what}: {:.1} s", start.elapsed().as_secs_f64()));
    result
}

fn unique(word: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("t{}-{count}-{word}", std::process::id())
}

fn boot(spec: GuestSpec) -> Guest {
    timed("boot", || Guest::create(spec, &|_| {}).unwrap())
}

fn out(guest: &Guest, script: &str) -> String {
    let output = guest.run(&["bash", "-euc", script]).unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn succeeds(guest: &Guest, script: &str) -> bool {
    guest
        .exec(&["bash", "-c", script])
        .unwrap()
        .status
        .success()
}

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
    fs::remove_dir_all(&dir).unwrap();
}

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

#[test]
fn a_guest_of_a_lab_is_a_neighbour_of_its_hosts() {
    if !asked_for() {
        return;
    }
    let name = unique("lab");
    let spec = LabSpec {
        name: name.clone(),
        lifetime: Lifetime::Process,
        bridges: 2,
    };
    let lab = Lab::create(spec, &|_| {}).unwrap();
    let host = |name: &str| HostSpec {
        name: name.into(),
        variant: RootVariant::Minimal,
        cpus: None,
        memory: None,
    };
    let first = lab.add_host(host("cp-1")).unwrap();
    let guest = timed("boot in a lab", || {
        lab.add_guest(GuestSpec::new("worker-1"), &|_| {}).unwrap()
    });
    let second = lab.add_host(host("cp-2")).unwrap();
    assert_eq!(guest.ssh_address().unwrap().to_string(), "10.77.0.12:22");
    assert_eq!(second.address().to_string(), "10.77.0.13");
    for (bridge, card) in ["eth0", "eth1"].iter().enumerate() {
        let shown = out(
            &guest,
            &format!("ip -br addr show {card}; cat /sys/class/net/{card}/address"),
        );
        assert!(shown.contains(&format!("10.77.{bridge}.12/24")), "{shown}");
        assert!(
            shown.ends_with(&format!("02:49:4e:47:0{bridge}:02")),
            "{shown}"
        );
        let neighbour = first.addresses()[bridge];
        assert!(succeeds(
            &guest,
            &format!("timeout 9 bash -c '</dev/tcp/{neighbour}/22'")
        ));
        let back = format!("timeout 9 bash -c '</dev/tcp/10.77.{bridge}.12/22'");
        assert!(first.exec(&["bash", "-c", &back]).unwrap().status.success());
    }

    // Whoever drives the lab reaches the guest as it reaches hosts.
    let driver = lab.driver_dir();
    let known = format!(
        "UserKnownHostsFile={}",
        driver.join("known_hosts").display()
    );
    let mut ssh = Command::new("ssh");
    ssh.args([
        "-F/dev/null",
        "-o",
        "BatchMode=yes",
        "-o",
        "StrictHostKeyChecking=yes",
        "-o",
        &known,
    ]);
    ssh.arg("-i")
        .arg(driver.join("id_ed25519"))
        .args(["root@10.77.0.12", "hostname"]);
    lab.enter(&mut ssh).unwrap();
    let output = ssh.stdin(Stdio::null()).output().unwrap();
    assert_eq!(output.stdout, b"worker-1\n", "{output:?}");

    guest.unplug().unwrap();
    assert!(
        !first
            .exec(&["timeout", "5", "bash", "-c", "</dev/tcp/10.77.0.12/22"])
            .unwrap()
            .status
            .success()
    );
    guest.plug().unwrap();
    guest.wait_ssh(SOON).unwrap();

    let same = lab
        .add_guest(GuestSpec::new("worker-1"), &|_| {})
        .unwrap_err();
    assert!(matches!(same, GuestError::Exists(_)), "{same}");
    let known = fs::read_to_string(driver.join("known_hosts")).unwrap();
    assert!(
        known.contains("10.77.0.12,10.77.1.12 ssh-ed25519 "),
        "{known}"
    );
    drop(guest);
    nothing_remains(&format!("{name}/guests"));
    let known = fs::read_to_string(driver.join("known_hosts")).unwrap();
    assert!(
        !known.contains("10.77.0.12") && known.contains("10.77.0.13"),
        "{known}"
    );

    // The other way round: the lab goes first.
    let orphan = lab.add_guest(GuestSpec::new("worker-2"), &|_| {}).unwrap();
    lab.delete().unwrap();
    assert!(!orphan.is_running());
    assert!(!Path::new(STATE).join(&name).exists());
    drop(orphan);
    nothing_remains(&name);
}

#[test]
fn a_killed_creator_leaves_nothing() {
    if !asked_for() {
        return;
    }
    let name = unique("killed");
    let mut child = child(&name);
    wait_for_line(&mut child, "booting");
    let all_there = |remains: &[String]| {
        let has = |word: &str| remains.iter().any(|r| r.contains(word));
        has("directory") && has("-kernel")
    };
    let deadline = Instant::now() + SOON;
    while !all_there(&remains(&name)) {
        assert!(Instant::now() < deadline, "{:?}", remains(&name));
        std::thread::sleep(Duration::from_millis(20));
    }
    // One in use is nobody's to tidy up.
    let removed = Guest::remove_orphans().unwrap();
    assert!(
        removed.iter().all(|path| !path.ends_with(&name)),
        "{removed:?}"
    );
    // SIGKILL: no code of the creator runs any more.
    child.kill().unwrap();
    child.wait().unwrap();
    nothing_remains(&name);
}

/// Not a test: what the child of the test above does.
#[test]
fn child_process() {
    let Ok(name) = std::env::var(CHILD) else {
        return;
    };
    let guest = Guest::create(GuestSpec::new(name).with_disks(1, 1 << 30), &|step| {
        println!("{step}")
    });
    drop(guest.unwrap());
}

fn child(name: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_process", "--nocapture"])
        .env(CHILD, name)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Reads until the child says something that contains `wanted`, and goes on reading.
fn wait_for_line(child: &mut Child, wanted: &str) {
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut seen = Vec::new();
    for line in lines.by_ref() {
        let line = line.unwrap();
        if line.contains(wanted) {
            std::thread::spawn(move || lines.for_each(drop));
            return;
        }
        seen.push(line);
    }
    panic!("the child ended before it said {wanted:?}: {seen:?}");
}

/// Waits for guards to end, which they do after the last of what they guard is gone.
fn nothing_remains(place: &str) {
    let deadline = Instant::now() + SOON;
    while !remains(place).is_empty() {
        assert!(Instant::now() < deadline, "{:?}", remains(place));
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Everything on the machine that belongs to a guest of this name or place: directory, processes.
fn remains(place: &str) -> Vec<String> {
    let mut remains = Vec::new();
    for dir in [
        format!("{STATE}/.guests/{place}"),
        format!("{STATE}/{place}"),
    ] {
        // The directory that holds a lab's guests stays with the lab.
        if fs::read_dir(&dir).is_ok_and(|mut entries| entries.next().is_some()) {
            remains.push(format!("directory {dir}"));
        }
    }
    if Path::new(STATE).join(format!(".lock-{place}")).exists() {
        remains.push(format!("lock of {place}"));
    }
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        let ours = ["ingot-guest ", "ingot-lab "]
            .iter()
            .any(|name| line.starts_with(name));
        if ours && line.contains(place) {
            remains.push(format!("process {} {line}", entry.file_name().display()));
        }
    }
    remains
}
