//! Three control planes and a worker: everything reaches everything, and any one control plane may
//! lose its power without anyone noticing for longer than ten seconds. A worker that is reset is gone from the cluster.
//!
//! Boots hosts of its own and destroys nothing else; runs only with INGOT_HOST_TESTS=1.

mod host_ports;
mod promises;

use std::time::{Duration, Instant};

use ingot_harness::Host;
use ingot_scenarios::cluster::{Cluster, FOUR};
use ingot_scenarios::leftovers::HostState;
use ingot_scenarios::{Kubectl, Stage, air_gap, wait, workload};

const NODES: [&str; 4] = ["cp-1", "cp-2", "cp-3", "worker-1"];
/// How long the loss of a control plane may be noticed.
const FAILOVER: Duration = Duration::from_secs(10);

#[test]
fn three_control_planes_and_a_worker() {
    let Some(stage) = Stage::take() else { return };
    let cluster = Cluster::bare(&stage, "four", FOUR);
    let worker = cluster.host("worker-1");
    let bare = HostState::of(&worker);
    cluster.ingot(&["bootstrap"]).succeeded();
    let kubectl = cluster.kubectl();
    kubectl.nodes_are_ready(&NODES, Duration::from_secs(1));

    for host in cluster.hosts() {
        air_gap::no_way_out(&host);
    }
    let image = workload::image(&air_gap::bundle(&stage));
    let pods = workload::echo_on_every_node(&kubectl, &image, NODES.len());
    air_gap::images_come_from_the_bundle(&cluster, &kubectl);
    for (pod, node) in &pods {
        let name = format!("the pod on {node} reaches the Service's pods on all nodes");
        wait::until(&name, Duration::from_secs(30), || {
            let seen = workload::answers(&kubectl, pod, 40)?;
            if seen == NODES {
                Ok(())
            } else {
                Err(format!("it reaches {seen:?}"))
            }
        });
    }
    cluster.applying_again_changes_nothing();

    promises::dns_pods_are_apart(&kubectl);
    promises::node_ports_lead_to_the_service(&cluster, &kubectl);
    host_ports::host_ports_lead_to_the_pod(&cluster, &kubectl, &image, &pods[0].0);
    promises::nodes_and_pods_are_measured(&kubectl);
    promises::images_are_pulled_while_a_registry_is_off(&cluster, &kubectl);
    promises::outside_names_are_forwarded_as_long_as_wanted(&cluster, &kubectl, &pods[0].0);
    cluster.applying_again_changes_nothing();

    // From here on nothing of the installer's machine is used: kubectl runs at the hosts.
    for host in cluster.control_planes() {
        lose_power(&cluster, &kubectl, &host);
    }
    cluster.applying_again_changes_nothing();

    // The worker may not delete its own Node.
    cluster.a_reset_leaves_nothing(&worker, &bare);
    let nodes = kubectl
        .through(&cluster.host("cp-1"))
        .ok(&["get", "nodes", "-o", "name"]);
    let left: Vec<&str> = nodes.lines().collect();
    assert_eq!(left, ["node/cp-1", "node/cp-2", "node/cp-3"]);
}

/// Cuts the power of a control plane; the others go on at once; it comes back by itself.
fn lose_power(cluster: &Cluster<'_>, kubectl: &Kubectl, lost: &Host) {
    let others: Vec<Host> = cluster
        .hosts()
        .into_iter()
        .filter(|host| host.name() != lost.name())
        .collect();
    let cut = Instant::now();
    lost.power_cut().expect("a power cut");
    std::thread::scope(|scope| {
        for host in &others {
            scope.spawn(move || writes_succeed(&kubectl.through(host), lost, host, cut));
        }
    });
    lost.power_on().expect("power");
    let through = kubectl.through(lost);
    let took = through.nodes_are_ready(&NODES, Duration::from_secs(150));
    println!(
        "  {} is back {:.1} s after sshd",
        lost.name(),
        took.as_secs_f64()
    );
    // Its etcd member and API server serve again, so that the next may go.
    wait::until(
        "the returned API server is ready",
        Duration::from_secs(120),
        || {
            let server = format!("--server=https://{}:6443", lost.address());
            through.run(&[&server, "--request-timeout=5s", "get", "--raw", "/readyz"])
        },
    );
}

fn writes_succeed(kubectl: &Kubectl, lost: &Host, host: &Host, cut: Instant) {
    let name = format!(
        "a write through the load balancer of {} without {}",
        host.name(),
        lost.name()
    );
    let object = format!("from-{}-without-{}", host.name(), lost.name());
    let left = FAILOVER.saturating_sub(cut.elapsed());
    wait::until(&name, left, || {
        let written = kubectl
            .run(&[
                "--request-timeout=3s",
                "-n",
                "default",
                "create",
                "configmap",
                &object,
            ])
            .or_else(|reason| {
                if reason.contains("AlreadyExists") {
                    Ok(reason)
                } else {
                    Err(reason)
                }
            });
        // A balancer that still sends some requests to the lost one has not noticed the loss.
        let words = ["--request-timeout=3s", "-n", "default", "get", "configmap"];
        written.and_then(|_| kubectl.run(&[&words[..], &[&object]].concat()))
    });
    let took = cut.elapsed();
    println!("  {name}: {:.1} s after the cut", took.as_secs_f64());
    // A last attempt may begin in time and end too late.
    assert!(took <= FAILOVER, "{name}: {took:?}");
}
