//! One of four hosts is off: the others finish, the report names it, the same command completes it.
//!
//! Boots hosts of its own and destroys nothing else; runs only with INGOT_HOST_TESTS=1.

use std::time::Duration;

use ingot_scenarios::Stage;
use ingot_scenarios::cluster::{Cluster, FOUR};

#[test]
fn one_dead_host_among_four() {
    let Some(stage) = Stage::take() else { return };
    let cluster = Cluster::bare(&stage, "dead", FOUR);
    let dead = cluster.host("worker-1");
    dead.power_cut().expect("a power cut");

    let run = cluster.ingot(&["bootstrap"]).ended_with(3);
    let end = run.end();
    assert_eq!(end["done"], serde_json::json!(["cp-1", "cp-2", "cp-3"]));
    let failed: Vec<&String> = end["failed"]
        .as_object()
        .expect("failures")
        .keys()
        .collect();
    assert_eq!(failed, ["worker-1"]);
    let failure = &end["failed"]["worker-1"];
    assert_eq!(failure["phase"], "connect");
    assert_eq!(failure["kind"], "machine");
    let message = failure["message"].as_str().expect("a message");
    assert!(message.contains(&dead.address().to_string()), "{message}");
    let next = end["continueWith"].as_str().expect("a command");
    assert!(
        next.starts_with("ingot bootstrap -c ") && next.contains("cluster.yaml"),
        "{next}"
    );
    let kubectl = cluster.kubectl();
    kubectl.nodes_are_ready(&["cp-1", "cp-2", "cp-3"], Duration::from_secs(1));

    dead.power_on().expect("power");
    cluster.ingot(&["bootstrap"]).succeeded();
    kubectl.nodes_are_ready(
        &["cp-1", "cp-2", "cp-3", "worker-1"],
        Duration::from_secs(1),
    );
    cluster.applying_again_changes_nothing();
}
