//! `spec.kubelet`: fields of KubeletConfiguration that are not ours.

use super::hardening::{self, Complaint};
use crate::finding::Report;
use crate::model::Kubelet;
use crate::nearest::nearest;
use crate::shape::field;
use crate::spec;

const CONFIG: &str = "spec.kubelet.config";

/// Fields that hold the node together, and what a user does instead of changing them.
const OWNED: [(&str, &str); 28] = [
    (
        "address",
        "remove it; the API server expects the kubelet on every address",
    ),
    (
        "apiVersion",
        "remove it; the version of the format is ours to choose",
    ),
    (
        "authentication",
        "remove it; only the CA of the cluster may vouch for a client",
    ),
    (
        "authorization",
        "remove it; the API server decides who may ask the kubelet",
    ),
    (
        "cgroupDriver",
        "remove it; it must be the one of containerd",
    ),
    (
        "cgroupRoot",
        "remove it; pods must stay in their own part of the tree",
    ),
    ("cgroupsPerQOS", "remove it; limits of pods rely on it"),
    (
        "clusterDNS",
        "remove it; it follows from `spec.network.serviceCIDR`",
    ),
    ("clusterDomain", "set `spec.network.clusterDomain` instead"),
    (
        "containerRuntimeEndpoint",
        "remove it; containerd comes with the cluster",
    ),
    (
        "enableServer",
        "remove it; logs, exec and metrics rely on it",
    ),
    (
        "failSwapOn",
        "remove it; swap is turned off on every node, and one where it comes back starts all the same",
    ),
    (
        "healthzBindAddress",
        "remove it; Ingot asks for the health of the kubelet there",
    ),
    (
        "healthzPort",
        "remove it; Ingot asks for the health of the kubelet there",
    ),
    (
        "imageServiceEndpoint",
        "remove it; containerd comes with the cluster",
    ),
    ("kind", "remove it; the document is ours to write"),
    ("podCIDR", "remove it; set `spec.network.podCIDR`"),
    (
        "port",
        "remove it; the API server expects the kubelet on its usual port",
    ),
    ("providerID", "remove it; it differs from node to node"),
    (
        "readOnlyPort",
        "remove it; it answers without authentication",
    ),
    (
        "registerWithTaints",
        "remove it; taints follow from the roles of a node",
    ),
    (
        "resolvConf",
        "remove it; it follows from the resolver of the node",
    ),
    (
        "rotateCertificates",
        "remove it; certificates are renewed by the platform",
    ),
    (
        "serverTLSBootstrap",
        "remove it; certificates are renewed by the platform",
    ),
    (
        "staticPodPath",
        "remove it; the control plane is started from there",
    ),
    (
        "staticPodURL",
        "remove it; the control plane is started from files",
    ),
    (
        "tlsCertFile",
        "remove it; certificates come from the CA of the cluster",
    ),
    (
        "tlsPrivateKeyFile",
        "remove it; certificates come from the CA of the cluster",
    ),
];

/// Fields that users do change; only for "did you mean". Others pass: whether the kubelet of the bundle has
/// them, and takes their values, it says itself before any host is reached.
const FREE: [&str; 26] = [
    "allowedUnsafeSysctls",
    "containerLogMaxFiles",
    "containerLogMaxSize",
    "cpuManagerPolicy",
    "enforceNodeAllocatable",
    "evictionHard",
    "evictionSoft",
    "evictionSoftGracePeriod",
    "featureGates",
    "imageGCHighThresholdPercent",
    "imageGCLowThresholdPercent",
    "kubeReserved",
    "logging",
    "maxOpenFiles",
    "maxParallelImagePulls",
    "maxPods",
    "memoryManagerPolicy",
    "nodeStatusUpdateFrequency",
    "podPidsLimit",
    "protectKernelDefaults",
    "registryBurst",
    "serializeImagePulls",
    "shutdownGracePeriod",
    "shutdownGracePeriodCriticalPods",
    "systemReserved",
    "topologyManagerPolicy",
];

/// Checks the changes to the kubelets.
pub(super) fn check(given: Option<&spec::Kubelet>, report: &mut Report) -> Kubelet {
    let mut kubelet = Kubelet::default();
    let config = given.and_then(|given| given.config.as_ref());
    for (key, value) in config.into_iter().flatten() {
        let place = field(CONFIG, key);
        if let Some((_, instead)) = OWNED.iter().find(|(owned, _)| owned == key) {
            report.key_error(
                &place,
                format!("`{key}` holds the node together and cannot be changed"),
                *instead,
            );
            continue;
        }
        if !FREE.contains(&key.as_str())
            && let Some(meant) = nearest(key, FREE)
        {
            report.key_error(
                &place,
                format!("KubeletConfiguration has no field `{key}`"),
                format!("did you mean `{meant}`?"),
            );
            continue;
        }
        if value.is_null() {
            report.error(
                &place,
                format!("`{place}` has no value"),
                "give it one, or remove the field",
            );
            continue;
        }
        if let Some((what, next)) = undoes_hardening(key, value) {
            report.error(&place, what, next);
            continue;
        }
        kubelet.config.insert(key.clone(), value.clone());
    }
    kubelet
}

/// Values of free fields that undo the hardening of the nodes.
fn undoes_hardening(key: &str, value: &serde_json::Value) -> Option<Complaint> {
    match (key, value) {
        ("seccompDefault", value) if value.as_bool() != Some(true) => Some((
            "without `seccompDefault` pods may use every system call".into(),
            "remove it; a pod that needs more sets `seccompProfile` to Unconfined".into(),
        )),
        ("tlsMinVersion", value) => hardening::tls_version(value.as_str()?),
        ("tlsCipherSuites", serde_json::Value::Array(all)) => {
            let names: Vec<&str> = all.iter().filter_map(|one| one.as_str()).collect();
            hardening::cipher_suites(&names.join(","))
        }
        _ => None,
    }
}
