//! What the documentation promises of every cluster: names, Services of type NodePort, measurements, pulls.

use std::collections::BTreeSet;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use ingot_harness::Host;
use ingot_scenarios::cluster::Cluster;
use ingot_scenarios::{Kubectl, air_gap, wait};
use serde_json::{Value, json};

use crate::NODES;

/// For what takes seconds where nothing is wrong.
const SOON: Duration = Duration::from_secs(60);
/// A port of the range of NodePorts.
const NODE_PORT: u16 = 30080;

/// A name server of the site that knows one name: it answers with an A record to whatever begins with that name.
const NAME_SERVER: &str = r#"
    use IO::Socket::INET;
    my $s = IO::Socket::INET->new(LocalAddr => $ARGV[0], LocalPort => 53, Proto => 'udp') or die "bind: $!";
    while ($s->recv(my $q, 512)) {
        my ($id, $question) = (substr($q, 0, 2), substr($q, 12));
        my $end = index($question, "\0") + 5;
        $question = substr($question, 0, $end);
        my $ours = $question =~ /^\x04mill\x07foundry\x04test\0/ && substr($question, -4, 2) eq "\0\1";
        my $answer = $ours ? "\xc0\x0c\0\1\0\1\0\0\0\5\0\4" . pack('C4', 192, 0, 2, 7) : '';
        $s->send($id . "\x81\x80\0\1" . ($ours ? "\0\1" : "\0\0") . "\0\0\0\0" . $question . $answer);
    }
"#;

/// The name server on a host; it ends when it is dropped.
struct NameServer {
    host: Host,
    process: Child,
}

impl NameServer {
    fn begin(host: &Host) -> NameServer {
        let mut command = host.command("perl").expect("a running host");
        command
            .args(["-e", NAME_SERVER, &host.address().to_string()])
            .stdin(Stdio::null());
        NameServer {
            host: host.clone(),
            process: command.spawn().expect("a name server"),
        }
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        // What was spawned here only waits for the program, which is in the host's own process namespace.
        let _ = self.host.exec(&["pkill", "-f", "LocalPort => 53"]);
        let _ = self.process.wait();
    }
}

/// The two DNS pods are on different nodes.
pub fn dns_pods_are_apart(kubectl: &Kubectl) {
    let pods = kubectl.pods_are_ready("app.kubernetes.io/name=coredns", 2);
    let nodes: BTreeSet<&String> = pods.iter().map(|(_, node)| node).collect();
    assert_eq!(nodes.len(), 2, "{pods:?}");
}

/// A port of every node leads to a Service, from the nodes themselves and from outside of the cluster.
pub fn node_ports_lead_to_the_service(cluster: &Cluster<'_>, kubectl: &Kubectl) {
    let patch = json!({ "spec": { "type": "NodePort", "ports": [
        { "port": 80, "targetPort": ingot_scenarios::workload::PORT, "nodePort": NODE_PORT },
    ] } });
    let patch = patch.to_string();
    kubectl.ok(&[
        "-n",
        "kube-system",
        "patch",
        "service",
        "echo",
        "-p",
        &patch,
    ]);
    for host in cluster.hosts() {
        let address = host.address();
        let ask = format!("timeout 3 bash -c 'cat </dev/tcp/{address}/{NODE_PORT}'");
        let mut outside = Command::new("sh");
        outside.args(["-c", &ask]);
        cluster.lab.enter(&mut outside).expect("the lab");
        let from_the_site = wait_for_a_node(&mut outside, host.name());
        for other in cluster.hosts() {
            let mut inside = other.command("sh").expect("a running host");
            inside.args(["-c", &ask]);
            wait_for_a_node(&mut inside, host.name());
        }
        println!(
            "  port {NODE_PORT} of {} led to {from_the_site}",
            host.name()
        );
    }
}

fn wait_for_a_node(command: &mut Command, at: &str) -> String {
    let name = format!("port {NODE_PORT} of {at} leads to the Service");
    let (node, _) = wait::until(&name, SOON, || {
        let output = command.output().map_err(|error| error.to_string())?;
        let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        match NODES.contains(&said.as_str()) {
            true => Ok(said),
            false => Err(format!("{said}{}", String::from_utf8_lossy(&output.stderr))),
        }
    });
    node
}

/// The resource metrics API has figures of every node and of pods.
pub fn nodes_and_pods_are_measured(kubectl: &Kubectl) {
    wait::until("every node is measured", Duration::from_secs(120), || {
        let figures = kubectl.run(&["get", "--raw", "/apis/metrics.k8s.io/v1beta1/nodes"])?;
        let figures: Value = serde_json::from_str(&figures).map_err(|error| error.to_string())?;
        let mut measured: Vec<&str> = figures["items"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|node| node["usage"]["memory"] != "0" && node["usage"]["cpu"].is_string())
            .filter_map(|node| node["metadata"]["name"].as_str())
            .collect();
        measured.sort_unstable();
        let all = measured == NODES;
        all.then_some(())
            .ok_or(format!("measured are {measured:?}"))
    });
    // Of a pod two measurements are needed, of which one may still be to come.
    wait::until("every pod is measured", Duration::from_secs(120), || {
        let pods = kubectl.run(&["-n", "kube-system", "top", "pods", "-l", "app=echo"])?;
        let all = pods.lines().count() == 1 + NODES.len();
        all.then_some(()).ok_or(pods)
    });
}

/// A node pulls an image while any one of the registries is off.
pub fn images_are_pulled_while_a_registry_is_off(cluster: &Cluster<'_>, kubectl: &Kubectl) {
    let worker = cluster.host("worker-1");
    let bundle = air_gap::bundle(cluster.stage);
    let etcd = bundle["components"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|component| component["name"] == "etcd")
        .and_then(|component| component["manifest"]["digest"].as_str())
        .expect("etcd");
    // No worker runs it, so that no worker has it.
    let image = format!("registry.ingot.local/etcd@{etcd}");
    for off in cluster.control_planes() {
        shell(&off, "systemctl stop ingot-registry.service");
        let pod = format!("pulls-without-{}", off.name());
        kubectl.apply(&json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": { "name": pod, "namespace": "kube-system" },
            "spec": {
                "nodeName": worker.name(), "restartPolicy": "Never",
                "containers": [{
                    "name": "main", "image": image, "imagePullPolicy": "IfNotPresent", "args": ["--version"],
                }],
            },
        }));
        let name = format!(
            "{} pulls without the registry of {}",
            worker.name(),
            off.name()
        );
        let (_, took) = wait::until(&name, SOON, || {
            let pod = kubectl.json(&["-n", "kube-system", "get", "pod", &pod])?;
            let done = pod["status"]["phase"] == "Succeeded";
            done.then_some(()).ok_or(pod["status"].to_string())
        });
        println!("  {name}: {:.1} s", took.as_secs_f64());
        kubectl.ok(&["-n", "kube-system", "delete", "pod", &pod]);
        shell(&off, "systemctl start ingot-registry.service");
        let ctr = "ctr=$(echo /var/lib/ingot/releases/*/containerd/ctr)";
        shell(
            &worker,
            &format!(
                "{ctr}; for i in $($ctr -n k8s.io images ls -q | grep {etcd}); do $ctr -n k8s.io images rm --sync $i; done"
            ),
        );
    }
}

/// Names outside of the cluster are asked of the servers that cluster.yaml names, and of nobody when it says so.
pub fn outside_names_are_forwarded_as_long_as_wanted(
    cluster: &Cluster<'_>,
    kubectl: &Kubectl,
    pod: &str,
) {
    let worker = cluster.host("worker-1");
    let address = worker.address().to_string();
    let _server = NameServer::begin(&worker);
    let asked = || {
        kubectl.shell(
            pod,
            "/usr/bin/getent ahostsv4 mill.foundry.test | /usr/bin/head -1",
        )
    };
    let known = |said: &str| said.contains("192.0.2.7");

    // Hosts of a lab have no name server: nothing is forwarded unless cluster.yaml names somebody.
    assert!(!asked().is_ok_and(|said| known(&said)));
    cluster.with(&format!("network: {{ nameServers: [{address}] }}"));
    cluster.ingot(&["apply"]).succeeded();
    wait::until("a name of the site is known", SOON, || {
        let said = asked()?;
        known(&said).then_some(()).ok_or(said)
    });
    dns_pods_are_apart(kubectl);

    cluster.with("network: { nameServers: [] }");
    cluster.ingot(&["apply"]).succeeded();
    wait::until("a name of the site is not known", SOON, || match asked() {
        Ok(said) if known(&said) => Err(said),
        _ => Ok(()),
    });
    let ours = kubectl.shell(
        pod,
        "/usr/bin/getent hosts kubernetes.default.svc.cluster.local",
    );
    assert!(ours.is_ok(), "{ours:?}");
    dns_pods_are_apart(kubectl);
    cluster.describe("");
    cluster.ingot(&["apply"]).succeeded();
}

#[track_caller]
fn shell(host: &Host, script: &str) {
    let output = host.exec(&["sh", "-c", script]).expect("a shell");
    assert!(
        output.status.success(),
        "{}: {script}: {}{}",
        host.name(),
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
