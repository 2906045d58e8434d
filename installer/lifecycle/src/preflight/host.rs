//! What a single host must be: system, kernel, memory.

use super::{AllFacts, Check, Finding, Weight};
use ingot_cluster::Cluster;

const GIB: u64 = 1 << 30;

pub(super) const OPERATING_SYSTEM: Check = Check {
    name: "operating-system",
    how: "the name of process 1, and the processor",
    consequence: "no program of the release starts",
    remedy: "use a distribution with systemd, on the processor the release is for",
    weight: Weight::Errors,
    judge: Some(operating_system),
};

fn operating_system(_: &Cluster, all: &AllFacts) -> Vec<Finding> {
    let mut found = Vec::new();
    for (node, facts) in all {
        if facts.init != "systemd" {
            let init = &facts.init;
            found.push(OPERATING_SYSTEM.error(
                node,
                format!("process 1 is `{init}`, not systemd; use a distribution with systemd"),
            ));
        }
        if facts.architecture != "amd64" {
            let text = format!(
                "its processor is {}, this release is for amd64; use the release for it",
                facts.architecture
            );
            found.push(OPERATING_SYSTEM.error(node, text));
        }
    }
    found
}

pub(super) const CGROUPS: Check = Check {
    name: "cgroups",
    how: "the version of control groups, and the controllers that are enabled",
    consequence: "pods have no limits, or the kubelet does not start; version 1 is deprecated by Kubernetes",
    remedy: "boot with systemd.unified_cgroup_hierarchy=1, or with cgroup_enable= for a controller that is missing",
    weight: Weight::Both,
    judge: Some(cgroups),
};

fn cgroups(_: &Cluster, all: &AllFacts) -> Vec<Finding> {
    let mut found = Vec::new();
    for (node, facts) in all {
        if facts.cgroup_version == 1 {
            let text = "it uses cgroup v1, which Kubernetes has deprecated; it works, but boot with systemd.unified_cgroup_hierarchy=1 before the next upgrade";
            found.push(CGROUPS.warning(node, text));
        }
        for needed in ["cpu", "cpuset", "memory", "pids"] {
            if !facts.cgroup_controllers.iter().any(|have| have == needed) {
                let text = format!(
                    "the cgroup controller `{needed}` is missing; enable it on the kernel's command line (cgroup_enable={needed})"
                );
                found.push(CGROUPS.error(node, text));
            }
        }
    }
    found
}

pub(super) const KERNEL_FEATURES: Check = Check {
    name: "kernel-features",
    how: "file systems, modules and interfaces of the kernel: overlay, br_netfilter, nf_tables, vxlan",
    consequence: "containers, Services or pod traffic between nodes do not work",
    remedy: "install the kernel package that has the module",
    weight: Weight::Both,
    judge: Some(kernel_features),
};

fn kernel_features(_: &Cluster, all: &AllFacts) -> Vec<Finding> {
    let needed = [
        ("overlay", "containers need"),
        ("br_netfilter", "Services on the same node need"),
        ("nf_tables", "kube-proxy needs"),
        ("vxlan", "pod traffic between nodes needs"),
    ];
    let mut found = Vec::new();
    for (node, facts) in all {
        for (feature, user) in needed {
            if !facts.features.iter().any(|have| have == feature) {
                let text = format!(
                    "the kernel lacks `{feature}`, which {user}; install the kernel package that has its module"
                );
                // Whether a tunnel can be made only shows when it is made.
                found.push(match feature {
                    "vxlan" => KERNEL_FEATURES.warning(node, text),
                    _ => KERNEL_FEATURES.error(node, text),
                });
            }
        }
    }
    found
}

pub(super) const MEMORY: Check = Check {
    name: "memory",
    how: "all memory of the host, by its roles: 4 GiB are advised for a control plane and 1 GiB for a worker",
    consequence: "the kernel ends programs of the platform",
    remedy: "add memory",
    weight: Weight::Both,
    judge: Some(memory),
};

fn memory(cluster: &Cluster, all: &AllFacts) -> Vec<Finding> {
    let mut found = Vec::new();
    for (node, facts) in all {
        let control_plane = cluster.control_planes().any(|n| n.name.as_str() == node);
        let (least, advised) = if control_plane {
            (1.7, 4.0)
        } else {
            (0.7, 1.0)
        };
        let has = facts.memory as f64 / GIB as f64;
        if has < least {
            found.push(MEMORY.error(
                node,
                format!("it has {has:.1} GiB of memory; its roles need {advised} GiB"),
            ));
        } else if has < advised * 0.9 {
            found.push(MEMORY.warning(
                node,
                format!("it has {has:.1} GiB of memory; {advised} GiB are advised for its roles"),
            ));
        }
    }
    found
}

pub(super) const OOM_SCORES: Check = Check {
    name: "oom-scores",
    how: "whether root has CAP_SYS_RESOURCE",
    consequence: "where memory runs out, the platform may be hit before workloads",
    remedy: "give the container or virtual machine that is the host this capability",
    weight: Weight::Warnings,
    judge: Some(oom_scores),
};

fn oom_scores(_: &Cluster, all: &AllFacts) -> Vec<Finding> {
    let limited = |(node, facts): (&String, &crate::facts::Facts)| {
        let text = "root lacks CAP_SYS_RESOURCE there (a container?): memory pressure may hit the platform before workloads";
        (!facts.may_lower_oom_score).then(|| OOM_SCORES.warning(node, text))
    };
    all.iter().filter_map(limited).collect()
}
