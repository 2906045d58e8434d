//! A host whose agent dies or whose power fails while it is installed is completed by the next run.
//!
//! Boots hosts of its own and destroys nothing else; runs only with INGOT_HOST_TESTS=1.

use ingot_harness::Host;
use ingot_scenarios::cluster::{ALONE, Cluster};
use ingot_scenarios::outcome::Outcome;
use ingot_scenarios::phases::{BOOTSTRAP, place};
use ingot_scenarios::{Run, Stage};

/// Seconds of silence after which a host counts as lost; the default is for people's networks.
const SILENCE: &str = "5";

/// The agent is killed in mid-work, then the host loses its power in each phase in turn: each time
/// the run says so with exit code 3, and the next run goes on.
#[test]
fn the_agent_is_killed_and_the_host_loses_power() {
    let Some(stage) = Stage::take() else {
        return;
    };
    let cluster = Cluster::bare(&stage, "power", ALONE);
    let host = cluster.host("alone");
    cluster.ingot(&["bootstrap"]).succeeded();
    let expected = Outcome::of(&host);
    host.wipe().expect("a bare host");
    host.power_on().expect("power");

    for phase in ["prepare", "node"] {
        let mut run = cluster.start_in_step(&["bootstrap"]);
        assert!(
            run.read_until(|event| event.is("node-progress", phase)),
            "{phase}: {:?}",
            run.finish()
        );
        kill_agent(&host);
        failed_in(run.finish(), phase);
    }
    for phase in BOOTSTRAP {
        let mut run = cluster.start_in_step(&["bootstrap", "--silence-timeout", SILENCE]);
        assert!(
            run.read_until(|event| event.is("phase-started", phase)),
            "{phase}: {:?}",
            run.finish()
        );
        host.power_cut().expect("a power cut");
        let run = run.finish();
        // The work of the last phase takes a moment and may be done before the power is gone.
        if !(phase == "record" && run.code == Some(0)) {
            failed_in(run, phase);
        }
        host.power_on().expect("power");
    }
    cluster.ingot(&["bootstrap"]).succeeded();
    expected.is_reached(&cluster, &host);
}

/// Kills the agent of the installer on the host; the registry is another process of the program.
fn kill_agent(host: &Host) {
    let script = "for p in /proc/[0-9]*; do \
        case \"$(tr '\\0' ' ' < $p/cmdline 2>/dev/null)\" in \
        /var/lib/ingot/bin/ingot-*' agent ') kill -9 ${p#/proc/} && echo ${p#/proc/};; esac; \
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
    for event in run.events.iter().filter(|e| e.kind() == "phase-finished") {
        if event.0["milliseconds"].as_u64() > Some(5000) {
            println!("    {}: {} ms", event.phase(), event.0["milliseconds"]);
        }
    }
}
