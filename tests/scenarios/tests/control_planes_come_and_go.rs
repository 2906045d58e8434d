//! Control planes are taken out of a cluster that runs and come back as healthy members, one after the other; the
//! last majority is never given up.
//!
//! Boots hosts of its own and destroys nothing else; runs only in `make change-test`.

use std::time::Duration;

use ingot_harness::Host;
use ingot_scenarios::cluster::{Cluster, FOUR};
use ingot_scenarios::leftovers::HostState;
use ingot_scenarios::probe::{self, Probe};
use ingot_scenarios::{Kubectl, Stage, wait};

const NODES: [&str; 4] = ["cp-1", "cp-2", "cp-3", "worker-1"];

/// The voting members of etcd, as the member on a host tells them.
fn voters(host: &Host) -> Vec<String> {
    let pki = [
        "etcd/ca.crt",
        "apiserver-etcd-client.crt",
        "apiserver-etcd-client.key",
    ];
    let url = "https://127.0.0.1:2379/v3/cluster/member/list";
    let (body, _) = probe::get(host, pki, &["--data", "{}", url]).expect("the members of etcd");
    let answer: serde_json::Value = serde_json::from_str(&body).unwrap_or_default();
    let mut names: Vec<String> = answer["members"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|member| member["isLearner"] != true)
        .map(|member| member["name"].as_str().unwrap_or_default().to_owned())
        .collect();
    names.sort();
    names
}

/// A control plane through which kubectl can be asked while `host` is away.
fn another(cluster: &Cluster<'_>, host: &Host) -> Host {
    let all = cluster.control_planes();
    all.into_iter()
        .find(|other| other.name() != host.name())
        .expect("another control plane")
}

fn come_back(cluster: &Cluster<'_>, kubectl: &Kubectl, host: &Host, bare: &HostState) {
    let worker = cluster.host("worker-1");
    let probe = Probe::begin(&worker, "https://127.0.0.1:7443");
    cluster.a_reset_leaves_nothing(host, bare);
    let other = another(cluster, host);
    assert_eq!(voters(&other).len(), 2, "{} is still a member", host.name());
    let through = kubectl.through(&other);
    let nodes = through.ok(&["get", "nodes", "-o", "name"]);
    assert!(
        !nodes.contains(host.name()),
        "its Node is still there: {nodes}"
    );

    cluster.ingot(&["apply"]).succeeded();
    assert_eq!(voters(host), ["cp-1", "cp-2", "cp-3"]);
    through.nodes_are_ready(&NODES, Duration::from_secs(5));
    let (sent, failed) = probe.end();
    println!(
        "  {} taken out and back: {sent} requests, {} failed",
        host.name(),
        failed.len()
    );
    assert!(failed.is_empty(), "requests failed:\n{}", failed.join("\n"));
}

#[test]
fn each_control_plane_in_turn_is_reset_and_applied_again() {
    let Some(stage) = Stage::take_for_changes() else {
        return;
    };
    let cluster = Cluster::bare(&stage, "turns", FOUR);
    let worker = cluster.host("worker-1");
    let bare_worker = HostState::of(&worker);
    let bare: Vec<HostState> = cluster.control_planes().iter().map(HostState::of).collect();
    cluster.ingot(&["bootstrap"]).succeeded();
    let kubectl = cluster.kubectl();
    kubectl.ok(&[
        "-n",
        "default",
        "create",
        "configmap",
        "kept",
        "--from-literal=data=kept",
    ]);

    for (host, bare) in cluster.control_planes().iter().zip(&bare) {
        come_back(&cluster, &kubectl, host, bare);
    }
    cluster.applying_again_changes_nothing();

    // Beside a lost one, another must not go.
    let lost = cluster.host("cp-3");
    lost.power_cut().expect("a power cut");
    let told = cluster
        .ingot(&["node", "reset", "cp-2", "--yes"])
        .ended_with(3)
        .transcript();
    for words in [
        "without cp-2, etcd would have 1 of 2 members",
        "cp-3",
        "Nothing was touched",
    ] {
        assert!(told.contains(words), "`{words}` is missing: {told}");
    }
    one_whose_etcd_is_stopped_beside_a_lost_one_must_not_go(&cluster);
    let through = kubectl.through(&cluster.host("cp-1"));
    wait::until("etcd serves again", Duration::from_secs(150), || {
        through.run(&["--request-timeout=5s", "get", "nodes"])
    });
    let data = through.ok(&[
        "-n",
        "default",
        "get",
        "configmap",
        "kept",
        "-o",
        "jsonpath={.data.data}",
    ]);
    assert_eq!(data, "kept");
    lost.power_on().expect("power");
    through.nodes_are_ready(&NODES, Duration::from_secs(150));
    cluster.applying_again_changes_nothing();

    a_worker_is_reset_while_no_control_plane_answers(&cluster, &kubectl, &worker, &bare_worker);
}

/// Nobody answers then, and what is on its disk is half of what is left of the cluster.
fn one_whose_etcd_is_stopped_beside_a_lost_one_must_not_go(cluster: &Cluster<'_>) {
    let stopped = cluster.host("cp-2");
    let shell = |script: &str| {
        let output = stopped.exec(&["sh", "-c", script]).expect("a shell");
        match output.status.success() {
            true => Ok(()),
            false => Err(format!("`{script}` failed")),
        }
    };
    shell("mv /etc/kubernetes/manifests/etcd.yaml /root/etcd.yaml").expect("the manifest");
    wait::until("etcd is stopped", Duration::from_secs(90), || {
        shell("! grep -qsx etcd /proc/[0-9]*/comm")
    });
    let told = cluster
        .ingot(&["node", "reset", "cp-2", "--yes"])
        .ended_with(3)
        .transcript();
    for words in [
        "etcd has data on this host and does not answer",
        "Nothing was touched",
        "ingot node reset cp-1 cp-2 cp-3",
    ] {
        assert!(told.contains(words), "`{words}` is missing: {told}");
    }
    shell("test -d /var/lib/etcd/member && systemctl is-active kubelet.service")
        .expect("its data and its kubelet");
    shell("mv /root/etcd.yaml /etc/kubernetes/manifests/etcd.yaml").expect("the manifest");
}

/// Its Node is left, and whoever reset it is told how to remove it.
fn a_worker_is_reset_while_no_control_plane_answers(
    cluster: &Cluster<'_>,
    kubectl: &Kubectl,
    worker: &Host,
    bare: &HostState,
) {
    for host in cluster.control_planes() {
        host.power_cut().expect("a power cut");
    }
    let told = cluster
        .ingot(&["node", "reset", worker.name(), "--yes"])
        .succeeded()
        .transcript();
    let command = "kubectl delete node worker-1";
    assert!(told.contains(command), "`{command}` is missing: {told}");
    Cluster::nothing_is_left(worker, bare);

    for host in cluster.control_planes() {
        host.power_on().expect("power");
    }
    let through = kubectl.through(&cluster.host("cp-1"));
    wait::until("the Node is deleted", Duration::from_secs(150), || {
        through.run(&["--request-timeout=5s", "delete", "node", worker.name()])
    });
    through.nodes_are_ready(&NODES[..3], Duration::from_secs(150));
}
