//! While one installer works, another is refused and told who the first one is.
//!
//! Boots hosts of its own and destroys nothing else; runs only with INGOT_HOST_TESTS=1.

use ingot_scenarios::Stage;
use ingot_scenarios::cluster::{ALONE, Cluster};
use nix::sys::signal::Signal;

#[test]
fn second_installer() {
    let Some(stage) = Stage::take() else { return };
    let cluster = Cluster::bare(&stage, "second", ALONE);
    let mut first = cluster.start(&["bootstrap"]);
    assert!(first.read_until(|event| event.is("phase-finished", "lease")));
    // It is made to wait, so that it cannot end before the second one gives up.
    first.signal(Signal::SIGSTOP);
    let second = cluster.ingot(&["bootstrap"]);
    first.signal(Signal::SIGCONT);
    let second = second.ended_with(3);
    let failure = &second.end()["failed"]["alone"];
    assert_eq!(failure["phase"], "lease");
    let message = failure["message"].as_str().expect("a message");
    let user = std::env::var("SUDO_USER").or_else(|_| std::env::var("USER"));
    let user = user.unwrap_or_else(|_| "root".into());
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").expect("a name");
    assert_eq!(
        message,
        format!(
            "another installer works on this host: {user}@{}, process {}; wait for it to end, or stop it",
            name.trim(),
            first.id()
        )
    );
    let started: Vec<_> = second
        .events
        .iter()
        .filter(|e| e.kind() == "phase-started")
        .collect();
    assert_eq!(
        started.last().map(|event| event.phase()),
        Some("lease"),
        "it went on"
    );

    first.finish().succeeded();
    cluster.applying_again_changes_nothing();
}
