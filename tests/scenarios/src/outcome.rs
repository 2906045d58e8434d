//! What a bootstrap makes of a host, to be compared with what an interrupted one makes of it.

use std::collections::BTreeSet;
use std::time::Duration;

use ingot_harness::Host;

use crate::cluster::Cluster;
use crate::leftovers::HostState;

/// Files that differ from one bootstrap to the next without anybody's mistake.
const RANDOM: [&str; 8] = [
    // Keys, and what is signed with them.
    "/etc/kubernetes/pki/",
    // A record of what was done in which order.
    "/var/lib/ingot/journal",
    "/var/lib/ingot/lease",
    // Databases and logs of the programs that run.
    "/var/lib/etcd/",
    "/var/lib/containerd/",
    "/var/lib/kubelet/",
    "/var/log/",
    "/var/lib/cni/",
];

/// What a bootstrap has made of a host, apart from what is random or tells the time.
#[derive(Debug)]
pub struct Outcome {
    files: HostState,
    /// Names and modes of keys and certificates, whose content is random.
    pki: BTreeSet<String>,
}

impl Outcome {
    /// As it is now on a running host.
    ///
    /// # Panics
    /// When the host is off.
    pub fn of(host: &Host) -> Outcome {
        let files = HostState::of(host)
            .files_below(&["/etc", "/usr", "/var"])
            .without(|thing| {
                RANDOM
                    .iter()
                    .any(|path| thing.starts_with(&format!("file {path}")))
            });
        let found = host
            .exec(&["find", "/etc/kubernetes/pki", "-printf", "%M %p\n"])
            .expect("find");
        let pki = String::from_utf8_lossy(&found.stdout)
            .lines()
            .map(Into::into)
            .collect();
        Outcome { files, pki }
    }

    /// Requires that the host is as after this outcome, and that the cluster on it works.
    ///
    /// # Panics
    /// With every difference.
    #[track_caller]
    pub fn is_reached(&self, cluster: &Cluster<'_>, host: &Host) {
        let now = Outcome::of(host);
        let different = self.files.differences(&now.files);
        assert!(
            different.is_empty(),
            "not as without interruption:\n  {}",
            different.join("\n  ")
        );
        assert_eq!(now.pki, self.pki);
        cluster
            .kubectl()
            .nodes_are_ready(&[host.name()], Duration::from_secs(1));
        cluster.applying_again_changes_nothing();
    }
}
