//! Guests end with their creator.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use ingot_harness::guest::{Guest, GuestSpec};

use crate::guest::{SOON, asked_for, unique};
use crate::remains::{nothing_remains, remains};

/// Says what a child process of these tests shall do.
const CHILD: &str = "INGOT_GUEST_TEST_CHILD";

#[test]
fn a_killed_creator_leaves_nothing() {
    if !asked_for() {
        return;
    }
    let (name, mut child) = started("killed");
    // SIGKILL: no code of the creator runs any more.
    child.kill().unwrap();
    child.wait().unwrap();
    nothing_remains(&name);
}

#[test]
fn what_a_killed_guard_leaves_is_removed_on_request() {
    if !asked_for() {
        return;
    }
    let (name, mut child) = started("orphan");
    // One in use is nobody's to tidy up.
    let removed = Guest::remove_orphans().unwrap();
    assert!(
        removed.iter().all(|path| !path.ends_with(&name)),
        "{removed:?}"
    );
    let guard = remains(&name)
        .into_iter()
        .find(|r| r.contains(" guard-guest "));
    let guard = guard.unwrap().split(' ').nth(1).unwrap().to_owned();
    assert!(
        Command::new("kill")
            .args(["-KILL", &guard])
            .status()
            .unwrap()
            .success()
    );
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(
        remains(&name).iter().any(|r| r.contains("-kernel")),
        "{:?}",
        remains(&name)
    );
    let removed = Guest::remove_orphans().unwrap();
    assert!(
        removed.iter().any(|path| path.ends_with(&name)),
        "{removed:?}"
    );
    nothing_remains(&name);
}

/// Not a test: what the child of the tests above does.
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

/// A process with a guest that has just begun to boot, and the guest's name.
fn started(word: &str) -> (String, Child) {
    let name = unique(word);
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
    (name, child)
}

fn child(name: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "lifetime::child_process", "--nocapture"])
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
