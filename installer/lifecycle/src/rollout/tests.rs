//! A cluster as its API tells it (`well.json`: two nodes, everything rolled out), with one thing changed a test.

use super::*;
use crate::agent::kube::{Lists, told};
use serde_json::Value;

/// The objects of a cluster, in the form of `kubectl get -o json`.
struct Objects(Vec<Value>);

impl Objects {
    fn well() -> Self {
        let mut list: Value = serde_json::from_str(include_str!("well.json")).expect("JSON");
        Self(
            list["items"]
                .as_array_mut()
                .map(std::mem::take)
                .expect("items"),
        )
    }

    fn one(&mut self, kind: &str, name: &str) -> &mut Value {
        let of_that_name =
            |object: &&mut Value| object["kind"] == kind && object["metadata"]["name"] == name;
        self.0.iter_mut().find(of_that_name).expect("an object")
    }

    fn remove(&mut self, kind: &str, name: &str) {
        self.0
            .retain(|object| object["kind"] != kind || object["metadata"]["name"] != name);
    }

    fn unready(&mut self, pod: &str, reason: &str) {
        let container = &mut self.one("Pod", pod)["status"]["containerStatuses"][0];
        container["ready"] = false.into();
        container["state"] = serde_json::json!({ "waiting": { "reason": reason } });
    }

    fn status(&self) -> ClusterStatus {
        fn all<K: serde::de::DeserializeOwned>(objects: &Objects, kind: &str) -> Vec<K> {
            let of_kind = objects.0.iter().filter(|object| object["kind"] == kind);
            of_kind
                .map(|object| serde_json::from_value(object.clone()).expect("an object of the API"))
                .collect()
        }
        let lists = Lists {
            deployments: all(self, "Deployment"),
            replica_sets: all(self, "ReplicaSet"),
            daemon_sets: all(self, "DaemonSet"),
            revisions: all(self, "ControllerRevision"),
        };
        told(all(self, "Node"), all(self, "Pod"), &lists)
    }

    /// What is missing on these nodes, in words.
    fn missing(&self, here: &[&str]) -> Vec<String> {
        let status = self.status();
        let here: BTreeSet<&str> = here.iter().copied().collect();
        let mut missing = static_pods(&status, &here);
        for one in &status.workloads {
            missing.extend(workload(one, &status, &here));
        }
        missing.into_iter().map(|missing| missing.what).collect()
    }
}

const BOTH: [&str; 2] = ["cp-1", "worker-1"];

#[test]
fn a_cluster_that_is_rolled_out_misses_nothing_and_what_is_not_ours_is_not_judged() {
    let mut objects = Objects::well();
    let names: Vec<String> = objects
        .status()
        .workloads
        .into_iter()
        .map(|w| w.name)
        .collect();
    assert_eq!(
        names,
        [
            "DaemonSet flannel",
            "DaemonSet storage-agent",
            "Deployment coredns"
        ]
    );
    objects.unready("of-the-site-r1-a", "CrashLoopBackOff");
    assert!(objects.missing(&BOTH).is_empty());
    objects.unready("kube-apiserver-cp-1", "CrashLoopBackOff");
    assert_eq!(
        objects.missing(&BOTH),
        ["pod kube-system/kube-apiserver-cp-1 is not ready: CrashLoopBackOff"]
    );
}

#[test]
fn a_generation_that_its_controller_has_not_seen_is_waited_for_whatever_its_pods_say() {
    for (kind, name) in [("Deployment", "coredns"), ("DaemonSet", "flannel")] {
        let mut objects = Objects::well();
        objects.one(kind, name)["metadata"]["generation"] = 3.into();
        let what =
            format!("{kind} {name}: its controller has not taken note of what was applied yet");
        assert_eq!(objects.missing(&BOTH), [what]);
    }
    // Nor has it where it has not made a revision of it at all.
    let mut objects = Objects::well();
    objects.remove("ControllerRevision", "storage-agent-r1");
    assert!(objects.missing(&BOTH)[0].starts_with("DaemonSet storage-agent: its controller"));
    let mut objects = Objects::well();
    objects.one("Deployment", "coredns")["metadata"]["annotations"] = Value::Null;
    assert!(objects.missing(&BOTH)[0].starts_with("Deployment coredns: its controller"));
}

#[test]
fn pods_of_before_the_change_do_not_count_however_ready_they_are() {
    let mut objects = Objects::well();
    objects.one("Pod", "flannel-b")["metadata"]["labels"]["controller-revision-hash"] = "r1".into();
    objects.one("Pod", "coredns-r2-b")["metadata"]["ownerReferences"][0]["uid"] =
        "uid-of-coredns-r1".into();
    assert_eq!(
        objects.missing(&BOTH),
        [
            "DaemonSet flannel: pod kube-system/flannel-b is still the one of before the change",
            "Deployment coredns: pod kube-system/coredns-r2-b is still the one of before the change",
        ]
    );
    let count = |objects: &Objects| former(&objects.status(), &BOTH.into_iter().collect());
    assert_eq!(count(&objects), 2);
    // One that is being deleted is not waited for; its successor is.
    objects.one("Pod", "flannel-b")["metadata"]["deletionTimestamp"] =
        "2026-11-29T20:00:00Z".into();
    assert_eq!(
        objects.missing(&BOTH)[0],
        "DaemonSet flannel: node worker-1 has no pod of it yet"
    );
    assert_eq!(count(&objects), 1);
}

#[test]
fn a_pod_of_the_present_generation_that_is_not_ready_is_named_beside_a_former_one_that_is() {
    let mut objects = Objects::well();
    objects.unready("coredns-r2-b", "CrashLoopBackOff");
    let status = objects.status();
    let coredns = status
        .workloads
        .iter()
        .find(|w| w.name == "Deployment coredns");
    let missing = workload(coredns.unwrap(), &status, &BOTH.into_iter().collect());
    assert_eq!(
        missing,
        [Missing {
            what: "pod kube-system/coredns-r2-b is not ready: CrashLoopBackOff".into(),
            pod: Some("kube-system/coredns-r2-b".into()),
        }]
    );
    // One that was evicted has ended for good; its place is to be filled.
    objects.one("Pod", "coredns-r2-b")["status"]["phase"] = "Failed".into();
    assert_eq!(
        objects.missing(&BOTH),
        ["Deployment coredns: 1 of its 2 pods are there"]
    );
}

#[test]
fn a_node_that_is_chosen_later_is_waited_for_though_nothing_was_applied_since() {
    let mut objects = Objects::well();
    objects.one("Node", "cp-1")["metadata"]["labels"]["storage.ingot.dev/node"] = "".into();
    assert_eq!(
        objects.missing(&BOTH),
        ["DaemonSet storage-agent: node cp-1 has no pod of it yet"]
    );
}

#[test]
fn what_should_run_on_a_node_that_takes_no_part_is_not_waited_for() {
    let mut objects = Objects::well();
    for pod in ["flannel-b", "coredns-r2-b", "storage-agent-a"] {
        objects.unready(pod, "Unknown");
    }
    assert!(objects.missing(&["cp-1"]).is_empty());
    assert_eq!(objects.missing(&BOTH).len(), 3);
    // A pod without a node is to run on one of those that do.
    objects.one("Pod", "coredns-r2-a")["spec"]["nodeName"] = Value::Null;
    objects.unready("coredns-r2-a", "Pending");
    assert_eq!(
        objects.missing(&["cp-1"]),
        ["pod kube-system/coredns-r2-a is not ready: Pending"]
    );
}
