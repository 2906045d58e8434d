//! A change of a cluster that runs: one control plane after the other, while programs go on using the API. A bad
//! one stops at the first node, which is put back by itself.
//!
//! Boots hosts of its own and destroys nothing else; runs only in `make change-test`.

use std::time::Duration;

use ingot_harness::Host;
use ingot_scenarios::cluster::{Cluster, FOUR};
use ingot_scenarios::probe::Probe;
use ingot_scenarios::{Kubectl, Run, Stage};

const NODES: [&str; 4] = ["cp-1", "cp-2", "cp-3", "worker-1"];

fn shell(host: &Host, script: &str) -> String {
    let output = host.exec(&["sh", "-c", script]).expect("a shell");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// What decides how a node runs: the digests of its manifests and of the kubelet's configuration.
fn configuration(cluster: &Cluster<'_>) -> Vec<String> {
    let script = "cd /etc/kubernetes && find manifests kubelet -type f | sort | xargs sha256sum";
    cluster
        .hosts()
        .iter()
        .map(|host| shell(host, script))
        .collect()
}

/// Applies while requests go through the balancer of the worker; none may fail.
fn under_requests(cluster: &Cluster<'_>, words: &[&str]) -> Run {
    let worker = cluster.host("worker-1");
    let balanced = Probe::begin(&worker, "https://127.0.0.1:7443");
    let direct: Vec<(String, Probe)> = cluster
        .control_planes()
        .iter()
        .map(|host| {
            (
                host.name().to_owned(),
                Probe::begin(&worker, &format!("https://{}:6443", host.address())),
            )
        })
        .collect();
    let run = cluster.ingot(words);
    let (sent, failed) = balanced.end();
    println!(
        "  through the balancer: {sent} requests, {} failed",
        failed.len()
    );
    for (name, probe) in direct {
        let (sent, failed) = probe.end();
        println!(
            "  directly to {name}: {sent} requests, {} failed",
            failed.len()
        );
    }
    assert!(
        failed.is_empty(),
        "requests failed:\n{}\n{}",
        failed.join("\n"),
        run.transcript()
    );
    run
}

/// A change with which a program does not start: the run ends with these words, all nodes are as before, and no
/// request failed.
fn stops_at_the_first_and_is_put_back(
    cluster: &Cluster<'_>,
    kubectl: &Kubectl,
    before: &[String],
    change: &str,
    words: &[&str],
) {
    cluster.with(change);
    let run = under_requests(cluster, &["apply", "--ignore-check", "settings"]).ended_with(3);
    let told = run.transcript();
    for words in words.iter().chain(&["put back"]) {
        assert!(told.contains(words), "`{words}` is missing: {told}");
    }
    assert_eq!(
        configuration(cluster),
        before,
        "not everything is as before"
    );
    kubectl.nodes_are_ready(&NODES, Duration::from_secs(30));
}

#[test]
fn a_bad_change_is_put_back_and_a_good_one_is_done_everywhere() {
    let Some(stage) = Stage::take_for_changes() else {
        return;
    };
    let cluster = Cluster::bare(&stage, "waves", FOUR);
    cluster.ingot(&["bootstrap"]).succeeded();
    let kubectl = cluster.kubectl();
    let before = configuration(&cluster);

    // A feature gate that the API server does not know.
    stops_at_the_first_and_is_put_back(
        &cluster,
        &kubectl,
        &before,
        "apiServer: { extraArgs: { feature-gates: \"NoSuchGate=true\" } }",
        &[
            "cp-1: ",
            "unrecognized feature gate: NoSuchGate",
            "not touched: cp-2, cp-3",
        ],
    );
    // A text for a number: the kubelet ends again and again.
    stops_at_the_first_and_is_put_back(
        &cluster,
        &kubectl,
        &before,
        "kubelet: { config: { maxPods: \"250\" } }",
        &[
            "cp-1: kubelet: it ended",
            "maxPods",
            "not touched: cp-2, cp-3, worker-1",
        ],
    );

    // A good change of both.
    cluster.with(
        "apiServer: { extraArgs: { event-ttl: \"2h\" } }\nkubelet: { config: { maxPods: 250 } }",
    );
    under_requests(&cluster, &["apply"]).succeeded();
    for host in cluster.control_planes() {
        let started = shell(
            &host,
            "tr '\\0' '\\n' < /proc/$(pgrep -o kube-apiserver)/cmdline | grep event-ttl",
        );
        assert_eq!(
            started,
            "--event-ttl=2h",
            "{}: the API server that runs",
            host.name()
        );
    }
    for node in NODES {
        let pods = kubectl.ok(&[
            "get",
            "node",
            node,
            "-o",
            "jsonpath={.status.capacity.pods}",
        ]);
        assert_eq!(pods, "250", "{node}");
    }
    cluster.applying_again_changes_nothing();
}
