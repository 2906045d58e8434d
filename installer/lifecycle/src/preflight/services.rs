//! What the site adds to services of every kind: proxies, drop-ins, mandatory access control.

use super::{AllFacts, Check, Finding, Weight};
use crate::facts::Facts;
use ingot_cluster::Cluster;

pub(super) const PROXY: Check = Check {
    name: "proxy",
    how: "`systemctl show-environment`, and DefaultEnvironment= of system.conf.d",
    consequence: "none: our units unset these variables, since a proxy would be asked for images and for what stays between nodes. Registries of the site are reached without the proxy, too",
    remedy: "none is needed; a registry that is reached through a proxy only needs a mirror inside",
    weight: Weight::Warnings,
    judge: Some(proxy),
};

fn proxy(cluster: &Cluster, all: &AllFacts) -> Vec<Finding> {
    let mut found = Vec::new();
    for (node, facts) in all {
        if facts.proxies.is_empty() {
            continue;
        }
        let mut sources: Vec<&str> = facts.proxies.values().map(String::as_str).collect();
        sources.sort_unstable();
        sources.dedup();
        let names: Vec<&str> = facts.proxies.keys().map(String::as_str).collect();
        let registries = match cluster.registries.is_empty() {
            true => "",
            false => "; the registries of cluster.yaml are reached without the proxy",
        };
        let text = format!(
            "services get {} from {}; the units of the platform do without them{registries}",
            names.join(", "),
            sources.join(", ")
        );
        found.push(PROXY.warning(node, text));
    }
    found
}

pub(super) const DROP_INS: Check = Check {
    name: "drop-ins",
    how: "files in containerd.service.d, kubelet.service.d and service.d of systemd",
    consequence: "they change our units: what kubeadm leaves there starts the kubelet with other flags, and limits for all services may keep containers from starting",
    remedy: "remove the file, then run `systemctl daemon-reload`",
    weight: Weight::Both,
    judge: Some(drop_ins),
};

fn drop_ins(_: &Cluster, all: &AllFacts) -> Vec<Finding> {
    let mut found = Vec::new();
    for (node, facts) in all {
        for file in &facts.drop_ins {
            let ours =
                file.contains("/kubelet.service.d/") || file.contains("/containerd.service.d/");
            let unit = match (file.contains("/kubelet.service.d/"), ours) {
                (true, _) => "the unit of the kubelet",
                (_, true) => "the unit of containerd",
                _ => "every service, ours among them",
            };
            let text = format!(
                "{file} changes {unit}; look at it, remove it and run `systemctl daemon-reload`"
            );
            // One of a site may be meant; one that other installers leave never is.
            let foreign = file.contains("kubeadm")
                || file.contains("0-containerd")
                || file.contains("kubespray");
            found.push(if foreign {
                DROP_INS.error(node, text)
            } else {
                DROP_INS.warning(node, text)
            });
        }
    }
    found
}

pub(super) const SELINUX: Check = Check {
    name: "selinux",
    how: "/sys/fs/selinux/enforce",
    consequence: "there is no policy for the programs below /var/lib/ingot: systemd may not start them, and containers may not read what they need",
    remedy: "setenforce 0, and SELINUX=permissive in /etc/selinux/config",
    weight: Weight::Errors,
    judge: Some(selinux),
};

fn selinux(_: &Cluster, all: &AllFacts) -> Vec<Finding> {
    let enforcing = |(node, facts): (&String, &Facts)| {
        let text = "SELinux is enforcing, and this release has no policy for it: systemd may not start programs below /var/lib/ingot; run `setenforce 0`, and write SELINUX=permissive into /etc/selinux/config";
        facts.selinux_enforcing.then(|| SELINUX.error(node, text))
    };
    all.iter().filter_map(enforcing).collect()
}

pub(super) const APPARMOR: Check = Check {
    name: "apparmor",
    how: "whether AppArmor is on, and whether the host has apparmor_parser",
    consequence: "containerd cannot load the profile that it gives to containers: none of them starts",
    remedy: "install the package apparmor, or boot with apparmor=0",
    weight: Weight::Errors,
    judge: Some(apparmor),
};

fn apparmor(_: &Cluster, all: &AllFacts) -> Vec<Finding> {
    let lacking = |(node, facts): (&String, &Facts)| {
        let text = "AppArmor is on and the host has no apparmor_parser, with which containerd loads the profile of containers: none of them would start; install the package `apparmor`, or boot with apparmor=0";
        facts
            .apparmor_without_parser
            .then(|| APPARMOR.error(node, text))
    };
    all.iter().filter_map(lacking).collect()
}
