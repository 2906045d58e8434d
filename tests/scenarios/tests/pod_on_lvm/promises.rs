//! What the documentation promises of volumes and of the rights of those who make them.

use std::time::Duration;

use ingot_scenarios::volume::{NAMESPACE, Volumes};
use ingot_scenarios::{Kubectl, wait};
use serde_json::json;

const DRIVER: &str = "lvm.csi.ingot.dev";
const SOON: Duration = Duration::from_secs(120);

fn class(kubectl: &Kubectl, name: &str, reclaim: &str) {
    kubectl.apply(&json!({
        "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": { "name": name },
        "provisioner": DRIVER, "volumeBindingMode": "WaitForFirstConsumer", "reclaimPolicy": reclaim,
    }));
}

/// A class with Retain keeps the volume when its claim is deleted; another claim gets it with its data.
pub fn a_retained_volume_serves_another_claim(kubectl: &Kubectl, volumes: &Volumes<'_>) {
    class(kubectl, "kept", "Retain");
    volumes.claim("ledger", "1Gi", &json!({ "storageClassName": "kept" }));
    volumes.run("clerk", "ledger");
    volumes.shell("clerk", "echo paid > /data/book && /usr/bin/sync");
    let object = volumes.object("ledger");
    let claim = kubectl.json(&["-n", NAMESPACE, "get", "pvc", "ledger"]);
    let claim = claim.expect("the claim");
    let volume = claim["spec"]["volumeName"].as_str().expect("a volume");
    volumes.delete("pod", "clerk");
    volumes.delete("pvc", "ledger");
    let phase = |wanted: &str| {
        wait::until(&format!("the volume is {wanted}"), SOON, || {
            let found = kubectl.json(&["get", "pv", volume])?;
            let good = found["status"]["phase"] == wanted;
            good.then_some(()).ok_or(found["status"].to_string())
        });
    };
    phase("Released");
    kubectl.ok(&["get", "volumes.storage.ingot.dev", &object]);

    let free = json!({ "spec": { "claimRef": null } }).to_string();
    kubectl.ok(&["patch", "pv", volume, "--type=merge", "-p", &free]);
    phase("Available");
    let named = json!({ "storageClassName": "kept", "volumeName": volume });
    volumes.claim("ledger-again", "1Gi", &named);
    volumes.run("auditor", "ledger-again");
    assert_eq!(
        volumes.shell("auditor", "/usr/bin/cat /data/book"),
        "paid\n"
    );

    // Given up on purpose: the same volume, told to go with its claim.
    let delete = json!({ "spec": { "persistentVolumeReclaimPolicy": "Delete" } }).to_string();
    kubectl.ok(&["patch", "pv", volume, "--type=merge", "-p", &delete]);
    volumes.delete("pod", "auditor");
    volumes.delete("pvc", "ledger-again");
    volumes.gone("volumes.storage.ingot.dev", &object);
    kubectl.ok(&["delete", "storageclass", "kept"]);
}

/// A volume goes with its claim although the class it was made by is gone.
pub fn a_volume_outlives_its_class_and_is_deleted_without_it(
    kubectl: &Kubectl,
    volumes: &Volumes<'_>,
) {
    class(kubectl, "passing", "Delete");
    volumes.claim("leaf", "1Gi", &json!({ "storageClassName": "passing" }));
    volumes.run("gardener", "leaf");
    let object = volumes.object("leaf");
    kubectl.ok(&["delete", "storageclass", "passing"]);
    volumes.delete("pod", "gardener");
    volumes.run("gardener", "leaf");
    volumes.delete("pod", "gardener");
    volumes.delete("pvc", "leaf");
    volumes.gone("volumes.storage.ingot.dev", &object);
}

/// What the accounts of storage try with tokens of their own, and must not get.
pub fn the_accounts_of_storage_may_do_their_work_and_nothing_else(kubectl: &Kubectl) {
    let token_of = |label: &str, account: &str| {
        let pods = kubectl.pods_are_ready(label, 1);
        let (pod, _) = &pods[0];
        let token = kubectl.ok(&[
            "-n",
            NAMESPACE,
            "create",
            "token",
            account,
            "--bound-object-kind=Pod",
            &format!("--bound-object-name={pod}"),
        ]);
        kubectl.with_token(account, token.trim())
    };
    let agent = token_of("app.kubernetes.io/name=storage-agent", "storage-agent");
    let controller = token_of(
        "app.kubernetes.io/name=storage-controller",
        "storage-controller",
    );
    for (who, kubectl) in [("agent", &agent), ("controller", &controller)] {
        for words in [
            &["-n", NAMESPACE, "get", "secrets"][..],
            &["get", "secrets", "-A"],
            &["-n", NAMESPACE, "get", "configmaps"],
            &["-n", "default", "create", "configmap", "x"],
            &["label", "node", "cp-1", "x=y"],
            &["-n", NAMESPACE, "delete", "daemonset", "storage-agent"],
            &[
                "-n",
                NAMESPACE,
                "delete",
                "pods",
                "-l",
                "app.kubernetes.io/name=storage-agent",
            ],
            &["delete", "node", "worker-1"],
            &["delete", "storagenodes.storage.ingot.dev", "worker-1"],
            &["get", "clusterroles"],
        ] {
            refused(who, kubectl, words, "Forbidden");
        }
    }
    refused("agent", &agent, &["get", "pods", "-A"], "Forbidden");
    refused("agent", &agent, &["get", "pvc", "-A"], "Forbidden");

    // Its own kinds, but of another node: the policy has the last word, before and after the change.
    let pool = |name: &str, node: &str| {
        json!({
            "apiVersion": "storage.ingot.dev/v1alpha1", "kind": "NodePool", "metadata": { "name": name },
            "spec": { "node": node, "pool": name, "vg": name, "space": { "extent": 4194304, "free": [] } },
        })
    };
    let refusal = "may not write what belongs to node cp-1";
    kubectl.apply(&pool("elsewhere", "cp-1"));
    for (name, node) in [
        ("foreign", "cp-1"),
        ("elsewhere", "cp-1"),
        ("elsewhere", "worker-1"),
    ] {
        let mut wanted = pool(name, node);
        wanted["spec"]["topology"] = json!({ "changed": "yes" });
        let said = agent
            .try_apply(&wanted)
            .expect_err("a NodePool of another node");
        assert!(said.contains(refusal), "{name}, {node}: {said}");
    }
    let delete = ["delete", "nodepools.storage.ingot.dev", "elsewhere"];
    refused("agent", &agent, &delete, refusal);
    kubectl.ok(&delete);
    agent.ok(&["get", "nodepools.storage.ingot.dev"]);
    controller.ok(&["get", "persistentvolumes"]);
}

#[track_caller]
fn refused(who: &str, kubectl: &Kubectl, words: &[&str], why: &str) {
    match kubectl.run(words) {
        Ok(said) => panic!("the {who} may {words:?}: {said}"),
        Err(said) => assert!(said.contains(why), "{who}: {words:?}: {said}"),
    }
}
