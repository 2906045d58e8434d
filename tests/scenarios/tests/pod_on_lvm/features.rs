//! What a claim may ask for besides space: encryption, limits of its writes, a life as long as its
//! pod's, and a snapshot together with others.

use std::time::Duration;

use ingot_harness::guest::Guest;
use ingot_scenarios::cluster::Cluster;
use ingot_scenarios::volume::{NAMESPACE, Volumes};
use ingot_scenarios::wait;
use serde_json::{Value, json};

const DRIVER: &str = "lvm.csi.ingot.dev";

/// A claim of a class with encryption: its disk tells nothing, its pod reads what it wrote. Then its
/// writes are limited while they go on.
pub fn an_encrypted_volume_with_limits(
    cluster: &Cluster<'_>,
    volumes: &Volumes<'_>,
    worker: &Guest,
) {
    let kubectl = cluster.kubectl();
    kubectl.apply(&json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": { "name": "vault-key", "namespace": NAMESPACE },
        "stringData": { "key": "correct horse battery staple" },
    }));
    let mut parameters = json!({ "encrypted": "true" });
    for step in ["node-stage", "node-expand"] {
        let of = |what: &str| format!("csi.storage.k8s.io/{step}-secret-{what}");
        parameters[of("name")] = json!("vault-key");
        parameters[of("namespace")] = json!(NAMESPACE);
    }
    kubectl.apply(&json!({
        "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": { "name": "vault" },
        "provisioner": DRIVER, "volumeBindingMode": "WaitForFirstConsumer", "parameters": parameters,
    }));
    volumes.claim("gold", "1Gi", &json!({ "storageClassName": "vault" }));
    volumes.run("keeper", "gold");
    volumes.shell(
        "keeper",
        "echo bullion-of-the-vault > /data/gold && /usr/bin/sync",
    );
    volumes.delete("pod", "keeper");
    volumes.run("keeper", "gold");
    let read = volumes.shell("keeper", "/usr/bin/cat /data/gold");
    assert_eq!(read, "bullion-of-the-vault\n");
    let encrypted = "for d in /dev/mapper/ingot--data-v*; do \
                     [ \"$(head -c 4 $d)\" = LUKS ] || continue; echo LUKS; \
                     grep -q bullion-of-the-vault $d || echo sealed; done";
    let said = on(worker, encrypted);
    assert_eq!(said, "LUKS\nsealed\n");

    kubectl.apply(&json!({
        "apiVersion": "storage.k8s.io/v1", "kind": "VolumeAttributesClass", "metadata": { "name": "slow" },
        "driverName": DRIVER,
        "parameters": { "writeBytesPerSecond": "10MiB", "readOperationsPerSecond": "200" },
    }));
    volumes.change(
        "pvc",
        "gold",
        &json!({ "volumeAttributesClassName": "slow" }),
    );
    volumes.until("pvc", "gold", "is slow", |claim| {
        claim["status"]["currentVolumeAttributesClassName"] == "slow"
    });
    wait::until("the kernel limits the pod", Duration::from_secs(60), || {
        let limits = on(worker, "grep -rh --include=io.max rbps= /sys/fs/cgroup");
        let told = limits.contains("wbps=10485760") && limits.contains("riops=200");
        told.then_some(()).ok_or(limits)
    });
    volumes.delete("pod", "keeper");
    volumes.delete("pvc", "gold");
    kubectl.ok(&["delete", "storageclass/vault", "volumeattributesclass/slow"]);
    kubectl.ok(&["-n", NAMESPACE, "delete", "secret/vault-key"]);
}

/// A volume that comes and goes with its pod.
pub fn a_volume_for_the_life_of_a_pod(volumes: &Volumes<'_>) {
    volumes.run_with(
        "visitor",
        &json!({ "ephemeral": { "volumeClaimTemplate": { "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": { "requests": { "storage": "256Mi" } },
        } } } }),
    );
    volumes.shell("visitor", "echo hello > /data/greeting && /usr/bin/sync");
    volumes.delete("pod", "visitor");
    volumes.gone("pvc", "visitor-data");
}

/// Two claims in one snapshot, and both restored from it.
pub fn a_snapshot_of_two_claims_at_once(cluster: &Cluster<'_>, volumes: &Volumes<'_>) {
    let kubectl = cluster.kubectl();
    for claim in ["data", "again"] {
        kubectl.ok(&["-n", NAMESPACE, "label", "pvc", claim, "of=smithy"]);
    }
    kubectl.apply(&json!({
        "apiVersion": "groupsnapshot.storage.k8s.io/v1", "kind": "VolumeGroupSnapshot",
        "metadata": { "name": "both", "namespace": NAMESPACE },
        "spec": { "source": { "selector": { "matchLabels": { "of": "smithy" } } } },
    }));
    volumes.until("volumegroupsnapshot", "both", "is ready", |group| {
        group["status"]["readyToUse"] == true
    });
    let all = kubectl.json(&["-n", NAMESPACE, "get", "volumesnapshots"]);
    let all = all.expect("the snapshots");
    let of_both = |snapshot: &&Value| {
        let owners = snapshot["metadata"]["ownerReferences"].as_array();
        owners.is_some_and(|owners| owners.iter().any(|owner| owner["name"] == "both"))
            || snapshot["status"]["volumeGroupSnapshotName"] == "both"
    };
    let members = all["items"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(of_both);
    let mut read: Vec<String> = members
        .filter_map(|member| member["metadata"]["name"].as_str())
        .map(|snapshot| {
            volumes.claim("third", "2Gi", &Volumes::from_snapshot(snapshot));
            volumes.run("journeyman", "third");
            let read = volumes.shell("journeyman", "/usr/bin/cat /data/iron");
            volumes.delete("pod", "journeyman");
            volumes.delete("pvc", "third");
            read
        })
        .collect();
    read.sort();
    assert_eq!(read, ["cold\n", "molten\n"], "{all:#}");
    volumes.delete("volumegroupsnapshot", "both");
}

/// A pod that may only read a raw volume has a device of its own, which takes no writes.
pub fn a_raw_volume_that_is_only_read(volumes: &Volumes<'_>, worker: &Guest) {
    let raw = json!({ "volumeMode": "Block", "accessModes": ["ReadWriteOnce"] });
    volumes.claim("ingot", "256Mi", &raw);
    volumes.run_reader_of_raw("assayer", "ingot");
    let views = "for view in /dev/mapper/ingot-ro-*; do blockdev --getro $view; done";
    assert_eq!(on(worker, views), "1\n");
    volumes.delete("pod", "assayer");
    volumes.delete("pvc", "ingot");
    assert_eq!(on(worker, "ls /dev/mapper | sed -n /ingot-ro-/p"), "");
}

/// The agent answers on its node, and nobody else's network is told.
pub fn the_agent_tells_of_itself(worker: &Guest) {
    let said = asked(worker, "/healthz");
    assert!(said.starts_with("HTTP/1.1 200"), "{said}");
    let said = asked(worker, "/metrics");
    assert!(said.contains("ingot_storage_volumes{"), "{said}");
    let listening = on(worker, "ss -Htln 'sport = :9809'");
    assert!(
        listening.contains("127.0.0.1:9809") && listening.lines().count() == 1,
        "{listening}"
    );
}

/// Whatever was asked for, nothing that the agent did for it has failed: what it needs is in its image.
pub fn no_command_has_failed(worker: &Guest) {
    let said = asked(worker, "/metrics");
    let failed: Vec<&str> = said
        .lines()
        .filter(|line| line.starts_with("ingot_storage_command_failures_total"))
        .filter(|line| !line.trim_end().ends_with(" 0"))
        .collect();
    assert!(failed.is_empty(), "{failed:#?}");
    assert!(
        said.contains("ingot_storage_lvm_commands_total"),
        "of the agent's metrics: {said}"
    );
}

fn asked(worker: &Guest, path: &str) -> String {
    let script = format!(
        "exec 3<>/dev/tcp/127.0.0.1/9809; printf 'GET {path} HTTP/1.1\\r\\nHost: node\\r\\n\\r\\n' >&3; cat <&3"
    );
    on(worker, &format!("timeout 20 bash -c \"{script}\""))
}

/// A shell script on the node.
pub fn on(worker: &Guest, script: &str) -> String {
    let output = worker.run(&["sh", "-c", script]).expect("the node answers");
    let mut said = String::from_utf8_lossy(&output.stdout).into_owned();
    said.push_str(&String::from_utf8_lossy(&output.stderr));
    said
}
