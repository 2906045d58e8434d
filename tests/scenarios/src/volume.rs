//! Claims, snapshots and pods that use them, as an administrator writes them.

use std::time::Duration;

use serde_json::{Value, json};

use crate::kubectl::{Kubectl, condition};
use crate::wait;
use crate::workload;

/// How long a pod, a claim or a snapshot may take where the worker is emulated.
const DEADLINE: Duration = Duration::from_secs(300);
/// Where the claims and pods are.
pub const NAMESPACE: &str = "kube-system";

/// Claims, snapshots and pods in namespace kube-system.
#[derive(Debug)]
pub struct Volumes<'a> {
    kubectl: &'a Kubectl,
    image: String,
}

impl<'a> Volumes<'a> {
    /// With pods of that image (see [`workload::image`]).
    pub fn new(kubectl: &'a Kubectl, image: String) -> Self {
        Self { kubectl, image }
    }

    /// Claims a volume for one pod, of the default class unless `more` of its spec says otherwise.
    pub fn claim(&self, name: &str, size: &str, more: &Value) {
        let mut spec = json!({
            "accessModes": ["ReadWriteOncePod"],
            "resources": { "requests": { "storage": size } },
        });
        for (field, value) in more.as_object().into_iter().flatten() {
            spec[field] = value.clone();
        }
        self.kubectl.apply(&json!({
            "apiVersion": "v1", "kind": "PersistentVolumeClaim",
            "metadata": { "name": name, "namespace": NAMESPACE },
            "spec": spec,
        }));
    }

    /// What a claim says that begins with the content of a snapshot.
    pub fn from_snapshot(name: &str) -> Value {
        json!({ "dataSource": {
            "apiGroup": "snapshot.storage.k8s.io", "kind": "VolumeSnapshot", "name": name,
        } })
    }

    /// Runs a pod with the claim's volume at /data and waits until it runs.
    pub fn run(&self, pod: &str, claim: &str) {
        self.run_with(
            pod,
            &json!({ "persistentVolumeClaim": { "claimName": claim } }),
        );
    }

    /// The same with any volume.
    pub fn run_with(&self, pod: &str, volume: &Value) {
        let mount = json!({ "name": "data", "mountPath": "/data" });
        self.run_where(pod, volume, "volumeMounts", mount);
    }

    /// Runs a pod that may only read the claim's raw volume, as /dev/data.
    pub fn run_reader_of_raw(&self, pod: &str, claim: &str) {
        let volume = json!({ "persistentVolumeClaim": { "claimName": claim, "readOnly": true } });
        let device = json!({ "name": "data", "devicePath": "/dev/data" });
        self.run_where(pod, &volume, "volumeDevices", device);
    }

    fn run_where(&self, pod: &str, volume: &Value, list: &str, place: Value) {
        let mut spec = workload::pod_spec(&self.image);
        let container = &mut spec["containers"][0];
        container["command"] = json!(["/usr/bin/sleep", "infinity"]);
        for unused in ["readinessProbe", "ports", "env"] {
            container
                .as_object_mut()
                .expect("a container")
                .remove(unused);
        }
        let mut places = container[list].as_array().cloned().unwrap_or_default();
        places.push(place);
        container[list] = places.into();
        let mut volume = volume.clone();
        volume["name"] = json!("data");
        let volumes = spec["volumes"].as_array_mut().expect("a list");
        volumes.push(volume);
        // The pod's user is not root; the kubelet gives the volume to this group.
        spec["securityContext"]["fsGroup"] = json!(65532);
        // It comes back to a node only when the node takes pods again.
        spec["tolerations"] = json!([]);
        self.kubectl.apply(&json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": { "name": pod, "namespace": NAMESPACE },
            "spec": spec,
        }));
        self.until("pod", pod, "runs", |pod| condition(pod, "Ready"));
    }

    /// A shell script in a pod.
    ///
    /// # Panics
    /// When it fails.
    #[track_caller]
    pub fn shell(&self, pod: &str, script: &str) -> String {
        let said = self.kubectl.shell(pod, script);
        said.unwrap_or_else(|reason| panic!("{reason}"))
    }

    /// Deletes an object and waits until it is gone.
    pub fn delete(&self, kind: &str, name: &str) {
        self.kubectl
            .ok(&["-n", NAMESPACE, "delete", kind, name, "--wait=false"]);
        self.gone(kind, name);
    }

    /// Waits until an object is gone.
    pub fn gone(&self, kind: &str, name: &str) {
        wait::until(&format!("{kind} {name} is gone"), DEADLINE, || {
            let left = self.get(kind, name, &["--ignore-not-found"])?;
            left.is_null().then_some(()).ok_or(left.to_string())
        });
    }

    /// The name of the driver's object of a claim's volume.
    ///
    /// # Panics
    /// When there is none.
    #[track_caller]
    pub fn object(&self, claim: &str) -> String {
        let claim = self.get("pvc", claim, &[]).expect("the claim");
        let all = self.kubectl.json(&["get", "volumes.storage.ingot.dev"]);
        let all = all.expect("the volumes");
        let ours = |object: &&Value| object["spec"]["csiName"] == claim["spec"]["volumeName"];
        let found = all["items"].as_array().into_iter().flatten().find(ours);
        let name = found.and_then(|object| object["metadata"]["name"].as_str());
        name.expect("the object of the claim's volume").to_owned()
    }

    /// Asks for a larger volume and waits until the claim has it.
    pub fn grow(&self, claim: &str, size: &str) {
        let spec = json!({ "resources": { "requests": { "storage": size } } });
        self.change("pvc", claim, &spec);
        self.until("pvc", claim, "has grown", |claim| {
            claim["status"]["capacity"]["storage"] == size
        });
    }

    /// Changes what is wanted of an object.
    pub fn change(&self, kind: &str, name: &str, spec: &Value) {
        let patch = json!({ "spec": spec }).to_string();
        self.kubectl
            .ok(&["-n", NAMESPACE, "patch", kind, name, "-p", &patch]);
    }

    /// Waits until an object is as it should be.
    pub fn until(&self, kind: &str, name: &str, what: &str, good: impl Fn(&Value) -> bool) {
        let (_, took) = wait::until(&format!("{kind} {name} {what}"), DEADLINE, || {
            let found = self.get(kind, name, &[])?;
            if good(&found) {
                Ok(())
            } else {
                Err(format!("{}", found["status"]))
            }
        });
        println!("  {kind} {name} {what}: {:.1} s", took.as_secs_f64());
    }

    fn get(&self, kind: &str, name: &str, more: &[&str]) -> Result<Value, String> {
        let words = [&["-n", NAMESPACE, "get", kind, name, "-o", "json"], more].concat();
        let said = self.kubectl.run(&words)?;
        if said.trim().is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_str(&said).map_err(|error| error.to_string())
    }
}
