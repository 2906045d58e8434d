//! What a single host must have.

use super::{AllFacts, Finding, error, warning};
use ingot_cluster::Cluster;

const GIB: u64 = 1 << 30;

pub(super) fn operating_system(_: &Cluster, all: &AllFacts) -> Vec<Finding> {
    let mut found = Vec::new();
    for (node, facts) in all {
        if facts.init != "systemd" {
            let init = &facts.init;
            found.push(error(
                "operating-system",
                node,
                format!("process 1 is `{init}`, not systemd; use a distribution with systemd"),
            ));
        }
        if facts.architecture != "amd64" {
            let text = format!(
                "its processor is {}, this release is for amd64; use the release for it",
                facts.architecture
            );
            found.push(error("operating-system", node, text));
        }
    }
    found
}

pub(super) fn cgroups(_: &Cluster, all: &AllFacts) -> Vec<Finding> {
    let mut found = Vec::new();
    for (node, facts) in all {
        if facts.cgroup_version == 1 {
            let text = "it uses cgroup v1, which Kubernetes has deprecated; it works, but boot with systemd.unified_cgroup_hierarchy=1 before the next upgrade";
            found.push(warning("cgroups", node, text));
        }
        for needed in ["cpu", "cpuset", "memory", "pids"] {
            if !facts.cgroup_controllers.iter().any(|have| have == needed) {
                let text = format!(
                    "the cgroup controller `{needed}` is missing; enable it on the kernel's command line (cgroup_enable={needed})"
                );
                found.push(error("cgroups", node, text));
            }
        }
    }
    found
}

pub(super) fn kernel_features(_: &Cluster, all: &AllFacts) -> Vec<Finding> {
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
                    "vxlan" => warning("kernel-features", node, text),
                    _ => error("kernel-features", node, text),
                });
            }
        }
    }
    found
}

pub(super) fn memory(cluster: &Cluster, all: &AllFacts) -> Vec<Finding> {
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
            found.push(error(
                "memory",
                node,
                format!("it has {has:.1} GiB of memory; its roles need {advised} GiB"),
            ));
        } else if has < advised * 0.9 {
            found.push(warning(
                "memory",
                node,
                format!("it has {has:.1} GiB of memory; {advised} GiB are advised for its roles"),
            ));
        }
    }
    found
}

pub(super) fn disk_space(cluster: &Cluster, all: &AllFacts) -> Vec<Finding> {
    let mut found = Vec::new();
    for (node, facts) in all {
        let control_plane = cluster.control_planes().any(|n| n.name.as_str() == node);
        let least = if control_plane { 4 * GIB } else { 2 * GIB };
        if facts.disk_free < least && facts.membership.is_none() {
            let text = format!(
                "/var/lib has {:.1} GiB free; the release and its data need {} GiB: free some, or mount a larger disk there",
                facts.disk_free as f64 / GIB as f64,
                least / GIB
            );
            found.push(error("disk-space", node, text));
        }
    }
    found
}

pub(super) fn disk_latency(_: &Cluster, all: &AllFacts) -> Vec<Finding> {
    let slow = |(node, facts): (&String, &crate::facts::Facts)| {
        let p99 = facts.fsync_p99_ms.filter(|p99| *p99 > 10.0)?;
        Some(warning(
            "disk-latency",
            node,
            format!(
                "its disk takes {p99:.0} ms to make a write last (99th percentile); etcd wants 10 ms or less: put /var/lib/etcd on a faster disk"
            ),
        ))
    };
    all.iter().filter_map(slow).collect()
}

pub(super) fn writable(_: &Cluster, all: &AllFacts) -> Vec<Finding> {
    let mut found = Vec::new();
    for (node, facts) in all {
        for (path, reason) in &facts.unwritable {
            found.push(error(
                "writable",
                node,
                format!("cannot write to {path}: {reason}; mount it writable"),
            ));
        }
    }
    found
}

pub(super) fn swap(_: &Cluster, all: &AllFacts) -> Vec<Finding> {
    let used = |(node, facts): (&String, &crate::facts::Facts)| {
        let text = format!(
            "swap on {} will be turned off, also in /etc/fstab",
            facts.swap.join(", ")
        );
        (!facts.swap.is_empty()).then(|| warning("swap", node, text))
    };
    all.iter().filter_map(used).collect()
}

pub(super) fn oom_scores(_: &Cluster, all: &AllFacts) -> Vec<Finding> {
    let limited = |(node, facts): (&String, &crate::facts::Facts)| {
        let text = "root lacks CAP_SYS_RESOURCE there (a container?): memory pressure may hit the platform before workloads";
        (!facts.may_lower_oom_score).then(|| warning("oom-scores", node, text))
    };
    all.iter().filter_map(limited).collect()
}
