//! The air gap: hosts have no way out and no names, and everything that runs came in the bundle.

use std::collections::BTreeSet;
use std::process::Command;

use ingot_harness::Host;
use serde_json::Value;

use crate::cluster::Cluster;
use crate::kubectl::Kubectl;
use crate::stage::Stage;

/// What the bundle says it holds.
///
/// # Panics
/// When it cannot be read.
pub fn bundle(stage: &Stage) -> Value {
    let mut command = Command::new(&stage.program);
    command
        .args(["bundle", "inspect", "-o", "json", "-b"])
        .arg(&stage.bundle)
        .arg("-k")
        .arg(&stage.key);
    let output = command.output().expect("ingot bundle inspect");
    assert!(output.status.success(), "ingot bundle inspect: {output:?}");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// Requires that no host has a way out or a name server.
///
/// # Panics
/// With what it has.
#[track_caller]
pub fn no_way_out(host: &Host) {
    let out = |script: &str| {
        let output = host
            .exec(&["sh", "-c", script])
            .expect("a command on the host");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    assert_eq!(
        out("ip route show default; ip -6 route show default"),
        "",
        "{}",
        host.name()
    );
    assert_eq!(
        out("grep -s ^nameserver /etc/resolv.conf"),
        "",
        "{}",
        host.name()
    );
}

/// Requires that every container of the cluster runs an image of the bundle, named by its digest.
///
/// # Panics
/// With the first that does not.
#[track_caller]
pub fn images_come_from_the_bundle(cluster: &Cluster<'_>, kubectl: &Kubectl) {
    let bundle = bundle(cluster.stage);
    let ours: BTreeSet<String> = bundle["components"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|component| component["kind"] == "image")
        .filter_map(|c| {
            Some(format!(
                "{}@{}",
                c["name"].as_str()?,
                c["manifest"]["digest"].as_str()?
            ))
        })
        .collect();
    let pods = kubectl.json(&["get", "pods", "-A"]).expect("pods");
    let mut seen = 0;
    for pod in pods["items"].as_array().into_iter().flatten() {
        let spec = &pod["spec"];
        let containers = [&spec["containers"], &spec["initContainers"]];
        for container in containers.into_iter().filter_map(Value::as_array).flatten() {
            let image = container["image"].as_str().unwrap_or_default();
            let name = image
                .strip_prefix("registry.ingot.local/")
                .unwrap_or_default();
            assert!(
                ours.contains(name),
                "{}: {image} is not of the bundle",
                pod["metadata"]["name"]
            );
            seen += 1;
        }
    }
    assert!(seen > 0, "no container runs");
    // What the runtime has pulled, the sandboxes of pods included.
    for host in cluster.hosts() {
        let release = "/var/lib/ingot/releases/*/containerd/ctr";
        let script = format!("{release} -n k8s.io images ls -q");
        let output = host.exec(&["sh", "-c", &script]).expect("ctr");
        assert!(output.status.success(), "{script}: {output:?}");
        for image in String::from_utf8_lossy(&output.stdout).lines() {
            let known = image
                .strip_prefix("registry.ingot.local/")
                .is_some_and(|n| ours.contains(n));
            // Beside its reference, containerd names each image by its configuration.
            assert!(
                known || image.starts_with("sha256:"),
                "{}: {image} is not of the bundle",
                host.name()
            );
        }
    }
}
