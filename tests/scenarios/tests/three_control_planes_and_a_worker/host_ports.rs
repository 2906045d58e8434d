//! A `hostPort` leads to its pod, and does not open the loopback of the node to pods.

use std::process::Command;
use std::time::Duration;

use ingot_harness::Host;
use ingot_scenarios::cluster::Cluster;
use ingot_scenarios::{Kubectl, wait, workload};
use serde_json::json;

const POD: &str = "host-port";
const HOST_PORT: u16 = 8088;
const SOON: Duration = Duration::from_secs(30);

/// From the site, from every node and from a pod; on the node itself also by its loopback.
pub fn host_ports_lead_to_the_pod(
    cluster: &Cluster<'_>,
    kubectl: &Kubectl,
    image: &str,
    pod: &str,
) {
    let worker = cluster.host("worker-1");
    let mut spec = workload::pod_spec(image);
    spec["nodeName"] = json!(worker.name());
    spec["containers"][0]["ports"][0]["hostPort"] = json!(HOST_PORT);
    kubectl.apply(&json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": { "name": POD, "namespace": "kube-system", "labels": { "app": POD } },
        "spec": spec,
    }));
    kubectl.pods_are_ready(&format!("app={POD}"), 1);

    let ask = |address: &str| format!("timeout 3 bash -c 'cat </dev/tcp/{address}/{HOST_PORT}'");
    let address = worker.address().to_string();
    let mut outside = Command::new("sh");
    outside.args(["-c", &ask(&address)]);
    cluster.lab.enter(&mut outside).expect("the lab");
    leads_to_the_pod(&mut outside, "the site");
    for host in cluster.hosts() {
        let mut inside = host.command("sh").expect("a running host");
        inside.args(["-c", &ask(&address)]);
        leads_to_the_pod(&mut inside, host.name());
    }
    let mut inside = worker.command("sh").expect("a running host");
    inside.args(["-c", &ask("127.0.0.1")]);
    leads_to_the_pod(&mut inside, "the loopback of the node");
    let script = format!("/usr/bin/cat </dev/tcp/{address}/{HOST_PORT}");
    let said = kubectl.shell(pod, &script).expect("the pod's shell");
    assert_eq!(said.trim(), worker.name());

    pods_do_not_reach_the_loopback(&worker, kubectl);

    kubectl.ok(&["-n", "kube-system", "delete", "pod", POD]);
    wait::until("nothing answers on the port", SOON, || {
        let output = outside.output().map_err(|error| error.to_string())?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        said.is_empty().then_some(()).ok_or(said)
    });
}

fn leads_to_the_pod(command: &mut Command, from: &str) {
    let name = format!("the host's port leads to the pod, from {from}");
    wait::until(&name, SOON, || {
        let output = command.output().map_err(|error| error.to_string())?;
        let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        let problem = String::from_utf8_lossy(&output.stderr).into_owned();
        (said == "worker-1").then_some(()).ok_or(said + &problem)
    });
}

/// The pod makes packets to the kubelet's health port, which listens on the loopback of the node only.
fn pods_do_not_reach_the_loopback(worker: &Host, kubectl: &Kubectl) {
    let pod = kubectl
        .json(&["-n", "kube-system", "get", "pod", POD])
        .expect("the pod");
    let address = pod["status"]["podIP"].as_str().expect("an address");
    let inside = format!(
        "for p in $(pgrep -f 'LocalPort => 8080'); do \
           nsenter -t $p -n ip -4 -o address show dev eth0 | grep -q ' {address}/' && at=$p; \
         done; nsenter -t $at -n"
    );
    // Its own loopback is in the way: packets to 127.0.0.1 are to leave it, and answers from there to come in.
    worker_does(
        worker,
        &format!(
            "{inside} sh -c 'ip address flush dev lo; echo 1 >/proc/sys/net/ipv4/conf/eth0/route_localnet; \
             ip route add 127.0.0.1 via $(ip route show default | cut -d \" \" -f 3)'"
        ),
    )
    .expect("a prepared pod");
    let reaches = || {
        let connect = "timeout 2 bash -c '</dev/tcp/127.0.0.1/10248'";
        worker_does(worker, &format!("{inside} {connect}")).is_ok()
    };
    assert!(!reaches(), "a pod reaches the loopback of its node");
    // What shows that the rule does it, and comes back where somebody deletes it.
    worker_does(
        worker,
        "/var/lib/ingot/releases/*/commands/nft delete table ip ingot",
    )
    .expect("nft");
    assert!(reaches(), "this test cannot reach anything");
    worker_does(worker, "systemctl start ingot-firewall.service").expect("the service");
    assert!(!reaches(), "the rule is not back");
}

fn worker_does(worker: &Host, script: &str) -> Result<(), String> {
    let output = worker.exec(&["sh", "-c", script]).expect("a shell");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    output.status.success().then_some(()).ok_or(said)
}
