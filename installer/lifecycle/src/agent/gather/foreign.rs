//! Signs of a Kubernetes or container runtime that is not ours: what runs, and what one that was here before
//! left behind. Reads only.

use crate::paths;
use std::path::Path;

/// Files and directories of others: kubeadm and Kubespray, k3s and RKE2, k0s, MicroK8s, OpenShift, Docker, CRI-O.
const PATHS: [&str; 19] = [
    "/etc/kubernetes/manifests",
    "/etc/kubernetes/admin.conf",
    "/etc/kubernetes/kubelet.conf",
    "/etc/rancher",
    "/etc/k0s",
    "/etc/crio",
    "/var/lib/kubelet/config.yaml",
    "/var/lib/kubelet/pods",
    "/var/lib/rancher",
    "/var/lib/k0s",
    "/var/lib/crio",
    "/var/snap/microk8s",
    "/usr/local/bin/k3s",
    "/usr/local/bin/rke2",
    "/usr/local/bin/k0s",
    "/etc/systemd/system/k3s.service",
    "/etc/systemd/system/k3s-agent.service",
    "/etc/systemd/system/kubelet.service",
    "/run/containerd/containerd.sock",
];

/// Directories that would become ours with all that is in them.
const FILLED: [&str; 2] = ["/var/lib/containerd", "/var/lib/etcd"];

/// Programs of others, as the kernel keeps their names.
const PROCESSES: [&str; 12] = [
    "kubelet",
    "containerd",
    "dockerd",
    "crio",
    "k3s",
    "k3s-server",
    "k3s-agent",
    "k0s",
    "rke2",
    "etcd",
    "kube-apiserver",
    "kube-proxy",
];

fn has_entries(directory: &str) -> bool {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    // What a file system of its own begins with.
    entries
        .filter(|entry| entry.file_name() != "lost+found")
        .count()
        > 0
}

/// The signs; none where we have been ourselves.
pub fn signs() -> Vec<String> {
    if super::membership().is_some() || Path::new(paths::JOURNAL).exists() {
        // What there is was put there by us; drift is the plan's business.
        return Vec::new();
    }
    let mut signs: Vec<String> = PATHS
        .iter()
        .filter(|path| Path::new(path).exists())
        .map(|path| (*path).to_owned())
        .collect();
    signs.extend(
        FILLED
            .iter()
            .filter(|path| has_entries(path))
            .map(|path| format!("{path} (not empty)")),
    );
    signs.extend(foreign_network());
    for process in PROCESSES {
        if let Some(pid) = super::listeners::process_named(process) {
            signs.push(format!("process {process} ({pid})"));
        }
    }
    signs
}

/// What another pod network left behind and would get in the way of ours: interfaces, and a network
/// configuration that containerd, which takes the first by name, would prefer.
fn foreign_network() -> Vec<String> {
    const INTERFACES: [&str; 6] = [
        "cni0",
        "flannel.1",
        "cilium_host",
        "vxlan.calico",
        "kube-ipvs0",
        "antrea-gw0",
    ];
    let interfaces = INTERFACES
        .iter()
        .filter(|name| Path::new("/sys/class/net").join(name).exists())
        .map(|name| format!("network interface {name}"));
    let configurations = preferred_to(Path::new(crate::agent::cni::CONFLIST));
    interfaces.chain(configurations).collect()
}

/// The network configurations beside `ours` that come before it by name. Other files are none: packages
/// leave `.kubernetes-cni-keep` there.
fn preferred_to(ours: &Path) -> Vec<String> {
    let is_one = |path: &Path| {
        let kinds = ["conf", "conflist", "json"];
        path < ours
            && kinds
                .iter()
                .any(|kind| path.extension().is_some_and(|e| e == *kind))
    };
    let directory = ours.parent().and_then(|at| std::fs::read_dir(at).ok());
    let paths = directory
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path());
    let mut found: Vec<String> = paths
        .filter(|path| is_one(path))
        .map(|path| path.display().to_string())
        .collect();
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use super::preferred_to;

    #[test]
    fn only_network_configurations_that_come_before_ours_are_in_the_way() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        for name in [
            ".kubernetes-cni-keep",
            "05-other.conf",
            "10-calico.conflist",
            "10-ingot.conflist",
            "87-podman-bridge.conflist",
        ] {
            std::fs::write(at(name), "").unwrap();
        }
        let found =
            ["05-other.conf", "10-calico.conflist"].map(|name| at(name).display().to_string());
        assert_eq!(preferred_to(&at("10-ingot.conflist")), found);
    }
}
