//! Labs end with their creator unless they are kept, and leave nothing.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use ingot_harness::{HostError, Lab, LabError, LabSpec, Lifetime};

use crate::lab::{asked_for, lab, spec, unique};

/// Says what a child process of these tests shall do.
const CHILD: &str = "INGOT_HARNESS_TEST_CHILD";

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
        .args(["--exact", "lifetime::child_process", "--nocapture"])
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

pub fn cgroups(lab: &str) -> Vec<String> {
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
