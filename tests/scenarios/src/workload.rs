//! Workloads without a registry: an image of the bundle, with the programs of the host.
//!
//! The images of the bundle hold one program each and no shell. A pod of the smallest one gets the
//! host's /usr read-only, and so bash, getent and Perl, which every Debian has.

use serde_json::{Value, json};

use crate::kubectl::Kubectl;

/// The port echo pods and their Service listen on.
pub const PORT: u16 = 8080;

/// Answers each connection with the name of its node and closes it.
const SERVER: &str = "use IO::Socket::INET; \
    my $s = IO::Socket::INET->new(LocalPort => 8080, Listen => 64, ReuseAddr => 1) or die $!; \
    $| = 1; print \"listening on $ENV{NODE}\\n\"; \
    while (my $c = $s->accept) { print $c \"$ENV{NODE}\\n\"; close $c }";

/// The reference of the smallest image of the bundle, as the platform itself names it.
///
/// # Panics
/// When the bundle has none.
pub fn image(bundle: &Value) -> String {
    let components = bundle["components"].as_array();
    let pause = components
        .into_iter()
        .flatten()
        .find(|c| c["name"] == "pause")
        .expect("pause");
    let digest = pause["manifest"]["digest"].as_str().expect("a digest");
    format!("registry.ingot.local/pause@{digest}")
}

/// The specification of a pod that answers connections with the name of its node.
pub fn pod_spec(image: &str) -> Value {
    let mounts = [
        ("usr", "/usr", "/usr"),
        ("lib", "/usr/lib", "/lib"),
        ("lib64", "/usr/lib64", "/lib64"),
    ];
    let mounted =
        mounts.map(|(name, _, path)| json!({ "name": name, "mountPath": path, "readOnly": true }));
    let volumes =
        mounts.map(|(name, path, _)| json!({ "name": name, "hostPath": { "path": path } }));
    json!({
        "terminationGracePeriodSeconds": 1,
        "tolerations": [{ "operator": "Exists" }],
        "containers": [{
            "name": "main",
            "image": image,
            "command": ["/usr/bin/perl", "-e", SERVER],
            "env": [{ "name": "NODE", "valueFrom": { "fieldRef": { "fieldPath": "spec.nodeName" } } }],
            "ports": [{ "containerPort": PORT }],
            "readinessProbe": { "tcpSocket": { "port": PORT }, "periodSeconds": 1 },
            "volumeMounts": mounted,
        }],
        "volumes": volumes,
    })
}

/// Runs a Deployment with an echo pod on every node and the Service `echo` before them; waits until all are Ready.
/// Returns the pods with their nodes. They carry the label `app=echo`.
pub fn echo_on_every_node(kubectl: &Kubectl, image: &str, nodes: usize) -> Vec<(String, String)> {
    let labels = json!({ "app": "echo" });
    let mut spec = pod_spec(image);
    spec["affinity"] = json!({ "podAntiAffinity": {
        "requiredDuringSchedulingIgnoredDuringExecution": [{
            "labelSelector": { "matchLabels": labels },
            "topologyKey": "kubernetes.io/hostname",
        }],
    } });
    kubectl.apply(&json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": { "name": "echo", "namespace": "kube-system" },
        "spec": {
            "replicas": nodes,
            "selector": { "matchLabels": labels },
            "template": { "metadata": { "labels": labels }, "spec": spec },
        },
    }));
    kubectl.apply(&json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": { "name": "echo", "namespace": "kube-system" },
        "spec": { "selector": labels, "ports": [{ "port": 80, "targetPort": PORT }] },
    }));
    kubectl.pods_are_ready("app=echo", nodes)
}

/// The nodes whose echo pods answer through the Service, by its name, seen from `pod`: sorted, as far
/// as `tries` connections meet them.
pub fn answers(kubectl: &Kubectl, pod: &str, tries: usize) -> Result<Vec<String>, String> {
    let script = format!(
        "for i in $(/usr/bin/seq {tries}); do exec 3<>/dev/tcp/echo.kube-system.svc.cluster.local/80 || exit 1; \
         /usr/bin/cat <&3; exec 3>&-; done"
    );
    let mut seen: Vec<String> = kubectl
        .shell(pod, &script)?
        .lines()
        .map(Into::into)
        .collect();
    seen.sort();
    seen.dedup();
    Ok(seen)
}
