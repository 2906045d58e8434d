//! A bootstrap of bare hosts is killed at each boundary and at instants spread over its whole time.
//!
//! Takes half an hour; runs only with INGOT_HOST_TESTS=1 and INGOT_SOAK=1, as `make soak` sets them.

use ingot_scenarios::cluster::{ALONE, Cluster};
use ingot_scenarios::outcome::Outcome;
use ingot_scenarios::phases::is_boundary;
use ingot_scenarios::{Running, Stage};
use nix::sys::signal::Signal;

/// Instants at which it is killed beside the boundaries.
const INSTANTS: u32 = 15;

#[test]
fn every_boundary_from_bare_hosts() {
    let Some(stage) = Stage::take_for_soak() else {
        return;
    };
    let cluster = Cluster::bare(&stage, "soak", ALONE);
    let host = cluster.host("alone");
    let whole = cluster.ingot(&["bootstrap"]).succeeded();
    let expected = Outcome::of(&host);
    let count = whole.events.iter().filter(|e| is_boundary(e)).count();
    let killed = |run: Running, what: String| {
        run.signal(Signal::SIGKILL);
        run.finish();
        println!("  {what}");
        cluster.ingot(&["bootstrap"]).succeeded();
        expected.is_reached(&cluster, &host);
    };
    let bare = || {
        host.wipe().expect("a bare host");
        host.power_on().expect("power");
    };
    for number in 1..=count {
        bare();
        let mut run = cluster.start_in_step(&["bootstrap"]);
        let mut met = 0;
        run.read_until(|event| {
            met += usize::from(is_boundary(event));
            met == number
        });
        killed(run, format!("killed at boundary {number} of {count}"));
    }
    // Evenly spread over a run is as good as random, and can be repeated.
    for step in 1..=INSTANTS {
        bare();
        let run = cluster.start(&["bootstrap"]);
        std::thread::sleep(whole.took * step / (INSTANTS + 1));
        killed(
            run,
            format!("killed after {step}/{} of the time", INSTANTS + 1),
        );
    }
}
