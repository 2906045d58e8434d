//! A bootstrap that is interrupted at any point is completed by running it again.
//!
//! Boots hosts of its own and destroys nothing else; runs only with INGOT_HOST_TESTS=1. With
//! INGOT_SOAK=1 the last stories take hours.

use std::collections::BTreeSet;
use std::time::Duration;

use ingot_harness::Host;
use ingot_scenarios::cluster::{ALONE, Cluster};
use ingot_scenarios::leftovers::HostState;
use ingot_scenarios::{Event, Run, Stage};
use nix::sys::signal::Signal;

/// The phases of a bootstrap, in order; a run tells them all.
const PHASES: [&str; 13] = [
    "connect",
    "lease",
    "facts",
    "preflight",
    "distribute",
    "prepare",
    "certificates",
    "runtime",
    "node",
    "control-plane",
    "objects",
    "ready",
    "record",
];

/// Whether an event stands at the boundary of a step.
fn is_boundary(event: &Event) -> bool {
    matches!(
        event.kind(),
        "phase-started" | "node-finished" | "phase-finished"
    )
}

/// The boundary an event stands at.
fn boundary(event: &Event) -> (String, String) {
    (event.kind().to_owned(), event.phase().to_owned())
}

/// What a bootstrap makes of a host, apart from what is random or tells the time.
fn result(host: &Host) -> HostState {
    const RANDOM: [&str; 8] = [
        // Keys, and what is signed with them.
        "/etc/kubernetes/pki/",
        // A record of what was done in which order.
        "/var/lib/ingot/journal",
        "/var/lib/ingot/lease",
        // Databases and logs of the programs that run.
        "/var/lib/etcd/",
        "/var/lib/containerd/",
        "/var/lib/kubelet/",
        "/var/log/",
        "/var/lib/cni/",
    ];
    HostState::of(host)
        .files_below(&["/etc", "/usr", "/var"])
        .without(|thing| {
            RANDOM
                .iter()
                .any(|path| thing.starts_with(&format!("file {path}")))
        })
}

fn pki(host: &Host) -> BTreeSet<String> {
    let output = host
        .exec(&["find", "/etc/kubernetes/pki", "-printf", "%M %p\n"])
        .expect("find");
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(Into::into)
        .collect()
}

/// One bootstrap, killed at each boundary in turn, ends with what an uninterrupted one makes.
#[test]
fn the_installer_is_killed_at_every_boundary() {
    let Some(stage) = Stage::take_for_soak() else {
        return;
    };
    let cluster = Cluster::bare(&stage, "killed", ALONE);
    let host = cluster.host("alone");
    let whole = cluster.ingot(&["bootstrap"]).succeeded();
    let phases: Vec<&str> = whole
        .events
        .iter()
        .filter(|e| e.kind() == "phase-finished")
        .map(Event::phase)
        .collect();
    assert_eq!(phases, PHASES);
    let (expected, expected_pki) = (result(&host), pki(&host));
    let bare = {
        cluster
            .ingot(&["node", "reset", "alone", "--yes"])
            .succeeded();
        HostState::of(&host)
    };

    let mut met: BTreeSet<(String, String)> = BTreeSet::new();
    let mut kills = 0;
    let last = loop {
        let mut run = cluster.start(&["bootstrap"]);
        let new = |event: &Event| is_boundary(event) && !met.contains(&boundary(event));
        if !run.read_until(new) {
            break run.finish();
        }
        run.signal(Signal::SIGKILL);
        let run = run.finish();
        // Events that came in the pipe after the one it was killed at count as met, too: the
        // program had passed them.
        let passed: Vec<_> = run
            .events
            .iter()
            .filter(|e| is_boundary(e))
            .map(boundary)
            .collect();
        if run.code.is_some() {
            // It had ended before the signal came.
            break run;
        }
        met.extend(passed);
        kills += 1;
        println!(
            "  killed after {:?} ({:.1} s)",
            run.events.last().map(boundary),
            run.took.as_secs_f64()
        );
    };
    let last = if last.code == Some(0) {
        last
    } else {
        last.succeeded()
    };
    assert!(kills >= 20, "only {kills} boundaries were met");
    println!(
        "  {kills} kills, then {:.1} s to the end",
        last.took.as_secs_f64()
    );
    is_whole(&cluster, &host, &expected, &expected_pki);

    cluster
        .ingot(&["node", "reset", "alone", "--yes"])
        .succeeded();
    let left = bare.differences(&HostState::of(&host));
    assert!(
        left.is_empty(),
        "left behind by the reset:\n  {}",
        left.join("\n  ")
    );
}

/// The host is as after an uninterrupted bootstrap, and the cluster works.
fn is_whole(
    cluster: &Cluster<'_>,
    host: &Host,
    expected: &HostState,
    expected_pki: &BTreeSet<String>,
) {
    let different = expected.differences(&result(host));
    assert!(
        different.is_empty(),
        "not as without interruption:\n  {}",
        different.join("\n  ")
    );
    assert_eq!(&pki(host), expected_pki);
    cluster
        .kubectl()
        .nodes_are_ready(&["alone"], Duration::from_secs(1));
    cluster.applying_again_changes_nothing();
}

/// The agent is killed in mid-apply, the host loses its power in several phases: each time the run
/// says so with exit code 3, and the next run goes on.
#[test]
fn the_agent_is_killed_and_the_host_loses_power() {
    let Some(stage) = Stage::take_for_soak() else {
        return;
    };
    let cluster = Cluster::bare(&stage, "power", ALONE);
    let host = cluster.host("alone");
    for phase in ["prepare", "node"] {
        let mut run = cluster.start(&["bootstrap"]);
        assert!(
            run.read_until(|event| event.is("node-progress", phase)),
            "{phase}: {:?}",
            run.finish()
        );
        kill_agent(&host);
        failed_in(run.finish(), phase);
    }
    for phase in [
        "distribute",
        "prepare",
        "runtime",
        "node",
        "control-plane",
        "ready",
    ] {
        let mut run = cluster.start(&["bootstrap"]);
        assert!(
            run.read_until(|event| event.is("phase-started", phase)),
            "{phase}: {:?}",
            run.finish()
        );
        host.power_cut().expect("a power cut");
        failed_in(run.finish(), phase);
        host.power_on().expect("power");
    }
    cluster.ingot(&["bootstrap"]).succeeded();
    cluster
        .kubectl()
        .nodes_are_ready(&["alone"], Duration::from_secs(1));
    cluster.applying_again_changes_nothing();
}

/// Kills the agent of the installer on the host; the registry is another process of the program.
fn kill_agent(host: &Host) {
    let script = "for p in /proc/[0-9]*; do \
        [ \"$(tr '\\0' ' ' < $p/cmdline 2>/dev/null)\" = '/var/lib/ingot/bin/ingot agent ' ] && kill -9 ${p#/proc/} && echo ${p#/proc/}; \
        done; true";
    let output = host
        .exec(&["sh", "-c", script])
        .expect("a command on the host");
    assert!(!output.stdout.is_empty(), "no agent runs: {output:?}");
}

/// The run named the host and the phase it failed in, or the one after if that had begun.
#[track_caller]
fn failed_in(run: Run, phase: &str) {
    let run = run.ended_with(3);
    let failure = &run.end()["failed"]["alone"];
    let failed = failure["phase"].as_str().unwrap_or_default();
    let place = |name: &str| PHASES.iter().position(|p| *p == name);
    assert!(
        place(failed) >= place(phase),
        "{phase}: {}",
        run.transcript()
    );
    assert!(!run.end()["continueWith"].is_null(), "{}", run.transcript());
    println!(
        "  {phase}: {:.1} s, {}",
        run.took.as_secs_f64(),
        failure["message"]
    );
}

/// Ctrl-C ends the run with exit code 130 and the command that continues.
#[test]
fn an_interruption_says_how_to_continue() {
    let Some(stage) = Stage::take() else {
        return;
    };
    let cluster = Cluster::bare(&stage, "sigint", ALONE);
    let mut run = cluster.start(&["bootstrap"]);
    assert!(run.read_until(|event| event.is("node-progress", "prepare")));
    run.signal(Signal::SIGINT);
    let run = run.finish().ended_with(130);
    let next = run.end()["continueWith"]
        .as_str()
        .expect("a command")
        .to_owned();
    assert_eq!(run.end()["event"], "interrupted");
    assert!(next.starts_with("ingot bootstrap -c "), "{next}");
    cluster.ingot(&["bootstrap"]).succeeded();
    cluster.applying_again_changes_nothing();
}

/// Each boundary from bare hosts, and random instants. For `make soak`.
#[test]
fn soak_every_boundary_from_bare_hosts() {
    if std::env::var_os("INGOT_SOAK").is_none() {
        return;
    }
    let Some(stage) = Stage::take() else { return };
    let cluster = Cluster::bare(&stage, "soak", ALONE);
    let host = cluster.host("alone");
    let whole = cluster.ingot(&["bootstrap"]).succeeded();
    let (expected, expected_pki) = (result(&host), pki(&host));
    let boundaries = whole
        .events
        .iter()
        .filter(|event| is_boundary(event))
        .count();
    let fresh = |cluster: &Cluster<'_>| {
        host.wipe().expect("a bare host");
        host.power_on().expect("power");
        cluster.start(&["bootstrap"])
    };
    let complete = |what: &str| {
        println!("  {what}");
        cluster.ingot(&["bootstrap"]).succeeded();
        is_whole(&cluster, &host, &expected, &expected_pki);
    };
    for number in 1..=boundaries {
        let mut run = fresh(&cluster);
        let mut met = 0;
        run.read_until(|event| {
            met += usize::from(is_boundary(event));
            met == number
        });
        run.signal(Signal::SIGKILL);
        run.finish();
        complete(&format!("killed at boundary {number} of {boundaries}"));
    }
    // Evenly spread over a run is as good as random, and can be repeated.
    for step in 1..=30 {
        let run = fresh(&cluster);
        std::thread::sleep(whole.took * step / 31);
        run.signal(Signal::SIGKILL);
        run.finish();
        complete(&format!("killed after {step}/31 of the time"));
    }
}
