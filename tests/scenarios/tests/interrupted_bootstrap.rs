//! A bootstrap whose installer is interrupted at any point is completed by running it again.
//!
//! Boots hosts of its own and destroys nothing else; runs only with INGOT_HOST_TESTS=1.

use std::collections::BTreeSet;

use ingot_scenarios::cluster::{ALONE, Cluster};
use ingot_scenarios::leftovers::HostState;
use ingot_scenarios::outcome::Outcome;
use ingot_scenarios::phases::{self, is_boundary};
use ingot_scenarios::{Event, Run, Stage};
use nix::sys::signal::Signal;

/// The boundary an event stands at.
fn boundary(event: &Event) -> (String, String) {
    (event.kind().to_owned(), event.phase().to_owned())
}

/// One bootstrap, killed at each boundary in turn, ends with what an uninterrupted one makes.
#[test]
fn the_installer_is_killed_at_every_boundary() {
    let Some(stage) = Stage::take() else {
        return;
    };
    let cluster = Cluster::bare(&stage, "killed", ALONE);
    let host = cluster.host("alone");
    let bare = HostState::of(&host);
    let whole = cluster.ingot(&["bootstrap"]).succeeded();
    assert_eq!(phases::finished(&whole), phases::BOOTSTRAP);
    let expected = Outcome::of(&host);
    let boundaries: BTreeSet<_> = whole
        .events
        .iter()
        .filter(|event| is_boundary(event))
        .map(boundary)
        .collect();
    cluster
        .ingot(&["node", "reset", "alone", "--yes"])
        .succeeded();

    let mut met = BTreeSet::new();
    let last = loop {
        match killed_at_the_next(&cluster, &mut met) {
            Some(run) => break run,
            None => continue,
        }
    };
    let last = last.succeeded();
    assert_eq!(met, boundaries, "boundaries at which it was not killed");
    assert!(met.len() >= 20, "only {} boundaries", met.len());
    println!(
        "  killed {} times, then {:.1} s to the end",
        met.len(),
        last.took.as_secs_f64()
    );
    expected.is_reached(&cluster, &host);

    cluster.a_reset_leaves_nothing(&host, &bare);
}

/// Runs the bootstrap and kills it at the first boundary not in `met`, which is added to it; the
/// whole run when it came to its end without meeting one.
fn killed_at_the_next(cluster: &Cluster<'_>, met: &mut BTreeSet<(String, String)>) -> Option<Run> {
    let mut run = cluster.start_in_step(&["bootstrap"]);
    if !run.read_until(|event| is_boundary(event) && !met.contains(&boundary(event))) {
        return Some(run.finish());
    }
    run.signal(Signal::SIGKILL);
    let here = run.read().last().map(boundary).expect("an event was read");
    let run = run.finish();
    println!(
        "  killed at {} of {} ({:.1} s)",
        here.0,
        here.1,
        run.took.as_secs_f64()
    );
    assert_eq!(
        run.code, None,
        "it had ended before the signal came; it should have waited for its events to be read"
    );
    met.insert(here);
    None
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
