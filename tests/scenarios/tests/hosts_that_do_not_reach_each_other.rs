//! A firewall between two hosts is found before anything is changed, with the port that is closed.
//!
//! Boots hosts of its own and destroys nothing else; runs only with INGOT_HOST_TESTS=1.

use std::process::{Command, Stdio};
use std::time::Duration;

use ingot_harness::Host;
use ingot_scenarios::Stage;
use ingot_scenarios::cluster::{Cluster, Member};

const TWO: &[Member] = &[
    Member {
        name: "cp-1",
        roles: "control-plane",
    },
    Member {
        name: "worker-1",
        roles: "worker",
    },
];

/// With the machine's nft, since a bare host has none; in the network of the host.
fn nft(host: &Host, rules: &str) {
    let process = host.root_dir().expect("a running host");
    let process = process.parent().expect("a process");
    let mut nft = Command::new("nsenter")
        .arg(format!("--net={}", process.join("ns/net").display()))
        .args(["--", "nft", "-f", "-"])
        .stdin(Stdio::piped())
        .spawn()
        .expect("nft");
    let mut input = nft.stdin.take().expect("an input");
    std::io::Write::write_all(&mut input, rules.as_bytes()).expect("rules");
    drop(input);
    assert!(nft.wait().expect("nft").success(), "nft refuses the rules");
}

fn refusing(rule: &str) -> String {
    format!(
        "add table inet site
add chain inet site in {{ type filter hook input priority 0; }}
add rule inet site in {rule}
"
    )
}

#[test]
fn hosts_that_do_not_reach_each_other() {
    let Some(stage) = Stage::take() else { return };
    let cluster = Cluster::bare(&stage, "firewall", TWO);
    let (plane, worker) = (cluster.host("cp-1"), cluster.host("worker-1"));
    nft(&worker, &refusing("tcp dport 10250 drop"));
    nft(&plane, &refusing("tcp dport 6443 reject with tcp reset"));
    nft(&plane, "add rule inet site in udp dport 8472 drop\n");
    let run = cluster.ingot(&["bootstrap"]).ended_with(3);
    let end = run.end();
    assert_eq!(
        end["failure"]["message"].as_str().expect("a message"),
        format!(
            "3 problems on the hosts, nothing was changed:\n  cp-1: [reachability] cannot reach {0} on TCP port 10250 (no answer within 3 s); open the port between the nodes (see the list of ports in the guide)\n  worker-1: [reachability] cannot reach {1} on TCP port 6443 (Connection refused (os error 111)); open the port between the nodes (see the list of ports in the guide)\n  worker-1: [reachability] cannot reach {1} on UDP port 8472 (no answer within 3 s); open the port between the nodes (see the list of ports in the guide)",
            worker.address(),
            plane.address()
        )
    );

    for host in [&plane, &worker] {
        nft(host, "delete table inet site\n");
    }
    cluster.ingot(&["plan"]).ended_with(0);
}

/// The firewall of a cluster does not know a host that is to join it: that is found as well before the host
/// is touched, by trying what runs there.
#[test]
fn a_host_that_joins_does_not_reach_the_cluster() {
    let Some(stage) = Stage::take() else { return };
    let cluster = Cluster::bare(&stage, "joins", TWO);
    let (plane, worker) = (cluster.host("cp-1"), cluster.host("worker-1"));
    let whole = std::fs::read_to_string(cluster.config()).expect("cluster.yaml");
    let at = whole.find("    - name: worker-1").expect("the worker");
    std::fs::write(cluster.config(), &whole[..at]).expect("cluster.yaml");
    cluster.ingot(&["bootstrap"]).succeeded();

    std::fs::write(cluster.config(), &whole).expect("cluster.yaml");
    let stranger = format!("ip saddr {} tcp dport 6443 drop", worker.address());
    nft(&plane, &refusing(&stranger));
    let run = cluster.ingot(&["apply"]).ended_with(3);
    assert_eq!(
        run.end()["failure"]["message"].as_str().expect("a message"),
        format!(
            "1 problem on the hosts, nothing was changed:\n  worker-1: [reachability] cannot reach {} on TCP port 6443 (no answer within 3 s); open the port between the nodes (see the list of ports in the guide)",
            plane.address()
        )
    );

    nft(&plane, "delete table inet site\n");
    cluster.ingot(&["apply"]).succeeded();
    let nodes = ["cp-1", "worker-1"];
    let kubectl = cluster.kubectl();
    kubectl.nodes_are_ready(&nodes, Duration::from_secs(5));
    cluster.applying_again_changes_nothing();
}
