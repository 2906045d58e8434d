//! Real hosts do what real machines do, and leave nothing behind.
//!
//! Needs root and the machine's kernel, so it runs only with INGOT_HOST_TESTS=1. It destroys nothing
//! but labs it made itself.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use ingot_harness::{
    ADMIN_PASSWORD, Host, HostError, HostSpec, Lab, LabError, LabSpec, Lifetime, RootVariant,
};

/// Says what a child process of these tests shall do.
const CHILD: &str = "INGOT_HARNESS_TEST_CHILD";

/// Whether to run; says so loudly if not. Not with `eprintln!`, which the test runner swallows.
fn asked_for() -> bool {
    let asked = std::env::var_os("INGOT_HOST_TESTS").is_some();
    if !asked {
        let test = std::thread::current().name().unwrap_or("a test").to_owned();
        let _ = writeln!(
            std::io::stderr(),
            "not run: {test} boots hosts; set INGOT_HOST_TESTS=1 and run it as root"
        );
    }
    asked
}

fn unique(word: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!(
        "t{}-{}-{word}",
        std::process::id(),
        COUNT.fetch_add(1, Ordering::Relaxed)
    )
}

fn lab(word: &str, bridges: u8) -> Lab {
    let spec = LabSpec {
        name: unique(word),
        lifetime: Lifetime::Process,
        bridges,
    };
    Lab::create(spec, &|_| {}).unwrap()
}

fn spec(name: &str) -> HostSpec {
    HostSpec {
        name: name.into(),
        variant: RootVariant::Minimal,
        cpus: None,
        memory: None,
    }
}

fn out(host: &Host, script: &str) -> String {
    let output = host.exec(&["sh", "-c", script]).unwrap();
    assert!(output.status.success(), "{script}: {output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn succeeds(host: &Host, script: &str) -> bool {
    host.exec(&["bash", "-c", script]).unwrap().status.success()
}

/// The ssh of the machine, with the lab's key and its known_hosts enforced.
fn ssh(lab: &Lab, user: &str, host: &Host, script: &str, input: &str) -> Output {
    let driver = lab.driver_dir();
    let mut command = Command::new("ssh");
    command
        .arg("-F/dev/null")
        .arg("-i")
        .arg(driver.join("id_ed25519"))
        .arg("-o")
        .arg(format!(
            "UserKnownHostsFile={}",
            driver.join("known_hosts").display()
        ))
        .args([
            "-o",
            "StrictHostKeyChecking=yes",
            "-o",
            "BatchMode=yes",
            "-o",
            "ConnectTimeout=20",
        ])
        .args(["-p", &host.ssh_port().to_string()])
        .arg(format!("{user}@{}", host.address()))
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    lab.enter(&mut command).unwrap();
    let mut child = command.spawn().unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    child.wait_with_output().unwrap()
}

/// Whether `from` opens a TCP connection to the SSH port of `to`.
fn reaches(from: &Host, to: &Host) -> bool {
    let script = format!("timeout 3 bash -c '</dev/tcp/{}/22'", to.address());
    succeeds(from, &script)
}

#[test]
fn a_host_boots_and_answers_ssh_under_its_name() {
    if !asked_for() {
        return;
    }
    let lab = lab("ssh", 1);
    let host = lab.add_host(spec("cp-1")).unwrap();
    assert_eq!(host.address().to_string(), "10.77.0.11");
    let output = ssh(
        &lab,
        "root",
        &host,
        "hostname; id -un; cat /proc/1/comm",
        "",
    );
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "cp-1\nroot\nsystemd\n",
        "{output:?}"
    );
    assert_eq!(out(&host, "systemctl --failed --no-legend"), "");
    assert!(
        host.journal()
            .unwrap()
            .contains("Server listening on 0.0.0.0 port 22")
    );
}

#[test]
fn a_bare_host_has_the_promised_minimum_and_no_way_out() {
    if !asked_for() {
        return;
    }
    let lab = lab("bare", 1);
    let host = lab.add_host(spec("bare")).unwrap();
    for absent in [
        "python3",
        "curl",
        "sudo",
        "iptables",
        "nft",
        "modprobe",
        "socat",
        "dbus-daemon",
    ] {
        assert!(
            !succeeds(&host, &format!("command -v {absent}")),
            "{absent} is installed"
        );
    }
    assert_eq!(out(&host, "ip route show default"), "");
    assert_eq!(out(&host, "cat /etc/resolv.conf"), "");
    assert_eq!(
        out(
            &host,
            "grep -rs '^[^#]' /etc/apt/sources.list /etc/apt/sources.list.d || true"
        ),
        ""
    );
    assert!(!succeeds(
        &host,
        "timeout 3 bash -c '</dev/tcp/192.0.2.1/80'"
    ));
    // Nor is the machine itself reachable: the lab's side of the bridge has no listener.
    assert!(!succeeds(
        &host,
        "timeout 3 bash -c '</dev/tcp/10.77.0.1/22'"
    ));
}

#[test]
fn two_hosts_are_two_machines_that_reach_each_other_on_every_bridge() {
    if !asked_for() {
        return;
    }
    let lab = lab("two", 2);
    let hosts = lab.add_hosts(vec![spec("a"), spec("b")], &|_| {}).unwrap();
    let [a, b] = hosts.as_slice() else {
        panic!("two hosts")
    };
    for to in b.addresses() {
        assert!(
            succeeds(a, &format!("timeout 3 bash -c '</dev/tcp/{to}/22'")),
            "{to}"
        );
    }
    assert_ne!(out(a, "cat /etc/machine-id"), out(b, "cat /etc/machine-id"));
    assert_ne!(a.host_key().unwrap(), b.host_key().unwrap());
    let known = fs::read_to_string(lab.driver_dir().join("known_hosts")).unwrap();
    for host in [a, b] {
        let names: Vec<String> = host.addresses().iter().map(ToString::to_string).collect();
        assert!(known.contains(&format!(
            "{} {}\n",
            names.join(","),
            host.host_key().unwrap()
        )));
    }
    let names: Vec<String> = lab
        .hosts()
        .unwrap()
        .iter()
        .map(|h| h.name().to_owned())
        .collect();
    assert_eq!(names, ["a", "b"]);
}

#[test]
fn sudo_users_log_in_with_the_key_and_sudo_asks_whom_it_should() {
    if !asked_for() {
        return;
    }
    let lab = lab("sudo", 1);
    let host = lab
        .add_host(HostSpec {
            variant: RootVariant::Sudo,
            ..spec("s")
        })
        .unwrap();
    let free = ssh(&lab, "deploy", &host, "sudo -n id -u", "");
    assert_eq!(free.stdout, b"0\n", "{free:?}");
    let refused = ssh(&lab, "admin", &host, "sudo -n id -u", "");
    assert!(!refused.status.success(), "{refused:?}");
    let asked = ssh(
        &lab,
        "admin",
        &host,
        "sudo -S -p '' id -u",
        &format!("{ADMIN_PASSWORD}\n"),
    );
    assert_eq!(asked.stdout, b"0\n", "{asked:?}");
    let wrong = ssh(&lab, "admin", &host, "sudo -k -S -p '' id -u", "wrong\n");
    assert!(!wrong.status.success(), "{wrong:?}");
}

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

#[test]
fn a_second_lab_or_host_of_a_name_is_refused() {
    if !asked_for() {
        return;
    }
    let lab = lab("twice", 1);
    let same = LabSpec {
        name: lab.name().into(),
        lifetime: Lifetime::Process,
        bridges: 1,
    };
    assert!(matches!(
        Lab::create(same, &|_| {}),
        Err(LabError::Exists(_))
    ));
    lab.add_host(spec("h")).unwrap();
    assert!(matches!(
        lab.add_host(spec("h")),
        Err(LabError::HostExists { .. })
    ));
    assert!(matches!(lab.add_host(spec("../h")), Err(LabError::Name(_))));
    assert!(matches!(
        lab.host("other"),
        Err(LabError::UnknownHost { .. })
    ));
    let none = LabSpec {
        name: unique("none"),
        lifetime: Lifetime::Process,
        bridges: 0,
    };
    assert!(matches!(
        Lab::create(none, &|_| {}),
        Err(LabError::Bridges(0))
    ));
    assert!(matches!(
        Lab::open("no-such-lab"),
        Err(LabError::Unknown(_))
    ));
}

#[test]
fn a_dropped_or_deleted_lab_leaves_nothing() {
    if !asked_for() {
        return;
    }
    let first = lab("dropped", 1);
    let name = first.name().to_owned();
    let host = first.add_host(spec("h")).unwrap();
    drop(first);
    assert!(matches!(host.power_on(), Err(HostError::Gone(_))));
    assert!(matches!(host.wipe(), Err(HostError::Gone(_))));
    assert!(matches!(host.exec(&["true"]), Err(HostError::Off { .. })));
    assert_eq!(remains(&name, "/var/lib/ingot-lab"), Vec::<String>::new());

    // The name is free again, and the first lab's reaper does not take the second one.
    let spec_again = LabSpec {
        name: name.clone(),
        lifetime: Lifetime::Process,
        bridges: 1,
    };
    let second = Lab::create(spec_again, &|_| {}).unwrap();
    second.add_host(spec("h")).unwrap().power_off().unwrap();
    let opened = Lab::open(&name).unwrap();
    second.delete().unwrap();
    assert_eq!(remains(&name, "/var/lib/ingot-lab"), Vec::<String>::new());

    // Nor does a value that stands for a lab of the past delete the third one.
    let spec_again = LabSpec {
        name: name.clone(),
        lifetime: Lifetime::Process,
        bridges: 1,
    };
    let third = Lab::create(spec_again, &|_| {}).unwrap();
    opened.delete().unwrap();
    assert!(third.add_host(spec("h")).unwrap().is_running());
}

#[test]
fn a_killed_creator_leaves_nothing() {
    if !asked_for() {
        return;
    }
    let name = unique("killed");
    let mut child = child("lab-then-wait", &name, "/var/lib/ingot-lab");
    wait_for_line(&mut child, "ready");
    assert!(!remains(&name, "/var/lib/ingot-lab").is_empty());
    // SIGKILL: no code of the creator runs any more.
    child.kill().unwrap();
    child.wait().unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    while !remains(&name, "/var/lib/ingot-lab").is_empty() {
        assert!(
            Instant::now() < deadline,
            "{:?}",
            remains(&name, "/var/lib/ingot-lab")
        );
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_kept_lab_outlives_its_creator_and_delete_all_mends_a_broken_one() {
    if !asked_for() {
        return;
    }
    // A state directory of its own: `delete_all` must not meet labs of others.
    let state = format!("/var/lib/ingot-lab-{}", unique("state"));
    let (name, broken) = (unique("kept"), unique("broken"));
    for name in [&name, &broken] {
        let mut child = child("kept-lab", name, &state);
        wait_for_line(&mut child, "ready");
        assert!(child.wait().unwrap().success());
    }
    // One that lost its records, its host still running, and one whose directory is gone as well.
    fs::remove_file(format!("{state}/{broken}/lab.json")).unwrap();
    fs::remove_file(format!("{state}/{broken}/hosts/h/run.json")).unwrap();
    assert!(!remains(&broken, &state).is_empty());
    for _ in 0..2 {
        let mut child = child("delete-all", "", &state);
        wait_for_line(&mut child, "ready");
        assert!(child.wait().unwrap().success());
        for name in [&name, &broken] {
            assert_eq!(remains(name, &state), Vec::<String>::new());
        }
    }
    fs::remove_dir(&state).unwrap();
}

/// Not a test: what the children of the tests above do.
#[test]
fn child_process() {
    let Ok(task) = std::env::var(CHILD) else {
        return;
    };
    let (task, name) = task.split_once(' ').unwrap();
    let make = |lifetime| {
        let spec = LabSpec {
            name: name.into(),
            lifetime,
            bridges: 1,
        };
        Lab::create(spec, &|_| {}).unwrap()
    };
    match task {
        "lab-then-wait" => {
            let lab = make(Lifetime::Process);
            lab.add_hosts(vec![spec("a"), spec("b")], &|_| {}).unwrap();
            println!("ready");
            std::thread::sleep(Duration::from_secs(600));
        }
        "kept-lab" => {
            make(Lifetime::Kept).add_host(spec("h")).unwrap();
            assert!(Lab::open(name).unwrap().host("h").unwrap().is_running());
            assert!(
                Lab::list()
                    .unwrap()
                    .iter()
                    .any(|lab| lab.name == name && !lab.orphaned)
            );
            println!("ready");
        }
        "delete-all" => {
            Lab::delete_all().unwrap();
            assert_eq!(Lab::list().unwrap(), Vec::new());
            println!("ready");
        }
        other => panic!("{other}"),
    }
}

fn child(task: &str, name: &str, state: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_process", "--nocapture"])
        .env(CHILD, format!("{task} {name}"))
        .env("INGOT_LAB_DIR", state)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Reads until the child says `wanted`, and goes on reading: it may have more to say when it ends.
fn wait_for_line(child: &mut Child, wanted: &str) {
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut seen = Vec::new();
    for line in lines.by_ref() {
        let line = line.unwrap();
        if line.ends_with(wanted) {
            std::thread::spawn(move || lines.for_each(drop));
            return;
        }
        seen.push(line);
    }
    panic!("the child ended before it said {wanted:?}: {seen:?}");
}

/// Everything on the machine that belongs to the lab: directories, mounts, cgroups, processes.
fn remains(lab: &str, state: &str) -> Vec<String> {
    let mut remains = cgroups(lab);
    if Path::new(state).join(lab).exists() {
        remains.push(format!("directory {state}/{lab}"));
    }
    if Path::new(state).join(format!(".lock-{lab}")).exists() {
        remains.push(format!("lock of {lab}"));
    }
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    remains.extend(
        mounts
            .lines()
            .filter(|l| l.contains(lab))
            .map(|l| format!("mount {l}")),
    );
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let groups = fs::read_to_string(entry.path().join("cgroup")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        let ours = line.starts_with("ingot-lab ") && line.contains(&format!(" {lab} "));
        // No words: it has ended, and only PID 1 of the machine has not collected it yet.
        if ours || (groups.contains(lab) && !line.is_empty()) {
            remains.push(format!("process {} {line}", entry.file_name().display()));
        }
    }
    remains
}

fn cgroups(lab: &str) -> Vec<String> {
    let output = Command::new("find")
        .args([
            "/sys/fs/cgroup",
            "-maxdepth",
            "6",
            "-type",
            "d",
            "-name",
            &format!("*.{lab}.*"),
        ])
        .output()
        .unwrap();
    String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|l| format!("cgroup {l}"))
        .collect()
}
