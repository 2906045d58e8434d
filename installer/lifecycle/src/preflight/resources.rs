//! What programs of the platform use up or must be able to do: disks, files, swap, inotify.

use super::{AllFacts, Check, Finding, Weight};
use crate::facts::Facts;
use ingot_cluster::Cluster;

const GIB: u64 = 1 << 30;
const MIB: u64 = 1 << 20;

pub(super) const DISK_SPACE: Check = Check {
    name: "disk-space",
    how: "free bytes below /var/lib (4 GiB on a control plane, 2 GiB on a worker) before a release is there, and 100 MiB at any time where logs, settings and data are written",
    consequence: "a write fails in the middle of the work; etcd stops for good where its disk is full",
    remedy: "free some, or mount a larger disk there",
    weight: Weight::Errors,
    judge: Some(disk_space),
};

/// What must be left where something is written at any time.
const ALWAYS: u64 = 100 * MIB;
/// /etc and /run hold little.
const LITTLE: u64 = 10 * MIB;

fn disk_space(cluster: &Cluster, all: &AllFacts) -> Vec<Finding> {
    let mut found = Vec::new();
    for (node, facts) in all {
        let control_plane = cluster.control_planes().any(|n| n.name.as_str() == node);
        let least = if control_plane { 4 * GIB } else { 2 * GIB };
        let fresh = facts.membership.is_none();
        let lacks = facts.disk_free < least && fresh;
        if lacks {
            let text = format!(
                "/var/lib has {:.1} GiB free; the release and its data need {} GiB: free some, or mount a larger disk there",
                facts.disk_free as f64 / GIB as f64,
                least / GIB
            );
            found.push(DISK_SPACE.error(node, text));
        }
        let mut told: Vec<&str> = Vec::new();
        for (directory, volume) in &facts.volumes {
            let below_lib = directory.starts_with("/var/lib/");
            let etcd = directory == "/var/lib/etcd";
            let needed = if below_lib || directory == "/var/log" {
                ALWAYS
            } else {
                LITTLE
            };
            if volume.free >= needed || (lacks && below_lib) || (etcd && !control_plane) {
                continue;
            }
            // Directories on one file system are one finding.
            if !told.contains(&volume.mounted_at.as_str()) {
                told.push(&volume.mounted_at);
                let text = format!(
                    "{directory} (the file system at {}) has {} MiB free, {} MiB are needed at any time: free some, or mount a larger disk there",
                    volume.mounted_at,
                    volume.free / MIB,
                    needed / MIB
                );
                found.push(DISK_SPACE.error(node, text));
            }
        }
    }
    found
}

pub(super) const DISK_FILES: Check = Check {
    name: "disk-files",
    how: "free inodes (`df -i`) of the file systems that are written to",
    consequence: "a file cannot be made although bytes are free; unpacked images are tens of thousands of files",
    remedy: "remove small files, or make the file system anew with more inodes",
    weight: Weight::Both,
    judge: Some(disk_files),
};

fn disk_files(_: &Cluster, all: &AllFacts) -> Vec<Finding> {
    /// With fewer the installation itself fails.
    const LEAST: u64 = 5_000;
    /// Images of workloads have this many.
    const ADVISED: u64 = 50_000;
    let mut found = Vec::new();
    for (node, facts) in all {
        let mut told: Vec<&str> = Vec::new();
        for (directory, volume) in &facts.volumes {
            let Some(free) = volume.inodes_free.filter(|free| *free < ADVISED) else {
                continue;
            };
            if !directory.starts_with("/var/") || told.contains(&volume.mounted_at.as_str()) {
                continue;
            }
            told.push(&volume.mounted_at);
            let text = format!(
                "{directory} (the file system at {}) has room for {free} more files (`df -i`); {} are advised: remove small files, or make it anew with more inodes",
                volume.mounted_at, ADVISED
            );
            found.push(if free < LEAST {
                DISK_FILES.error(node, text)
            } else {
                DISK_FILES.warning(node, text)
            });
        }
    }
    found
}

pub(super) const DISK_LATENCY: Check = Check {
    name: "disk-latency",
    how: "100 writes of 2 KiB below /var/lib of a new control plane, each waited for",
    consequence: "etcd elects leaders anew, the API server answers slowly or not at all",
    remedy: "put /var/lib/etcd on a faster disk",
    weight: Weight::Warnings,
    judge: Some(disk_latency),
};

fn disk_latency(_: &Cluster, all: &AllFacts) -> Vec<Finding> {
    let slow = |(node, facts): (&String, &Facts)| {
        let p99 = facts.fsync_p99_ms.filter(|p99| *p99 > 10.0)?;
        Some(DISK_LATENCY.warning(
            node,
            format!(
                "its disk takes {p99:.0} ms to make a write last (99th percentile); etcd wants 10 ms or less: put /var/lib/etcd on a faster disk"
            ),
        ))
    };
    all.iter().filter_map(slow).collect()
}

pub(super) const WRITABLE: Check = Check {
    name: "writable",
    how: "access(2) to /etc, /etc/systemd/system, /opt and /var/lib",
    consequence: "the installation ends in the middle",
    remedy: "mount it writable",
    weight: Weight::Errors,
    judge: Some(writable),
};

fn writable(_: &Cluster, all: &AllFacts) -> Vec<Finding> {
    let mut found = Vec::new();
    for (node, facts) in all {
        for (path, reason) in &facts.unwritable {
            found.push(WRITABLE.error(
                node,
                format!("cannot write to {path}: {reason}; mount it writable"),
            ));
        }
    }
    found
}

pub(super) const NOEXEC: Check = Check {
    name: "noexec",
    how: "the mount flags of /var/lib/ingot, /var/lib/containerd and /var/lib/kubelet",
    consequence: "systemd cannot start the programs of the release below /var/lib/ingot (an error); below the others containers run, but what lies in volumes of pods and images cannot be started (a warning)",
    remedy: "mount it without noexec: `mount -o remount,exec MOUNT-POINT`, and the same in /etc/fstab",
    weight: Weight::Both,
    judge: Some(noexec),
};

fn noexec(_: &Cluster, all: &AllFacts) -> Vec<Finding> {
    // Containers themselves run from an overlay, which does not take the flag over (tried on Linux 6.18).
    let uses = [
        (
            "/var/lib/ingot",
            "systemd starts containerd and the kubelet from there",
            true,
        ),
        (
            "/var/lib/containerd",
            "what lies in volumes that images declare cannot be started",
            false,
        ),
        (
            "/var/lib/kubelet",
            "pods cannot start what lies in their emptyDir and other volumes",
            false,
        ),
    ];
    let mut found = Vec::new();
    for (node, facts) in all {
        for (directory, what, stops) in uses {
            let Some(volume) = facts.volumes.get(directory).filter(|volume| volume.noexec) else {
                continue;
            };
            let at = &volume.mounted_at;
            let text = format!(
                "{directory} is on the file system at {at}, which is mounted noexec: {what}; run `mount -o remount,exec {at}`, and take noexec out of /etc/fstab"
            );
            found.push(if stops {
                NOEXEC.error(node, text)
            } else {
                NOEXEC.warning(node, text)
            });
        }
    }
    found
}

pub(super) const SWAP: Check = Check {
    name: "swap",
    how: "/proc/swaps; and what turns swap on at boot beside /etc/fstab: zram generators and .swap units",
    consequence: "swap in use and in /etc/fstab is turned off. What comes back at boot keeps no node from starting, and pods are given none of it; etcd may become slow",
    remedy: "take the generator or the unit away (`systemctl mask UNIT`, or remove the zram package)",
    weight: Weight::Warnings,
    judge: Some(swap),
};

fn swap(_: &Cluster, all: &AllFacts) -> Vec<Finding> {
    let mut found = Vec::new();
    for (node, facts) in all {
        if !facts.swap.is_empty() {
            let text = format!(
                "swap on {} will be turned off, also in /etc/fstab",
                facts.swap.join(", ")
            );
            found.push(SWAP.warning(node, text));
        }
        if !facts.swap_at_boot.is_empty() {
            let text = format!(
                "swap is turned on again at every boot by {}; nodes run with it and pods get none of it, but etcd may become slow: mask the unit or remove the package",
                facts.swap_at_boot.join(", ")
            );
            found.push(SWAP.warning(node, text));
        }
    }
    found
}

pub(super) const INOTIFY: Check = Check {
    name: "inotify",
    how: "how many instances of inotify root has, of how many it may have, and whether that limit can be raised",
    consequence: "containerd starts without its part for pods, kubelets end with \"too many open files\"",
    remedy: "raise fs.inotify.max_user_instances, from outside where the host is a container",
    weight: Weight::Warnings,
    judge: Some(inotify),
};

fn inotify(cluster: &Cluster, all: &AllFacts) -> Vec<Finding> {
    let mut found = Vec::new();
    for (node, facts) in all {
        let control_plane = cluster.control_planes().any(|n| n.name.as_str() == node);
        // Measured on nodes with the pods of the platform only.
        let needed = if control_plane { 31 } else { 17 };
        let inotify = &facts.inotify;
        if facts.membership.is_none()
            && !inotify.can_be_raised
            && inotify.used + needed > inotify.limit
        {
            let text = format!(
                "root has {} of {} instances of inotify, {needed} more are needed, and the limit cannot be raised there; raise fs.inotify.max_user_instances from outside",
                inotify.used, inotify.limit
            );
            found.push(INOTIFY.warning(node, text));
        }
    }
    found
}
