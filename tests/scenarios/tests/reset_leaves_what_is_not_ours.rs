//! A reset touches nothing that is not the node's: not what the site mounted into its directories, not another
//! cluster's node, not a host that was never installed.
//!
//! Boots hosts of its own and destroys nothing else; runs only with INGOT_HOST_TESTS=1.

use ingot_harness::Host;
use ingot_scenarios::Stage;
use ingot_scenarios::cluster::{ALONE, Cluster};
use ingot_scenarios::leftovers::HostState;

fn shell(host: &Host, script: &str) -> String {
    let output = host.exec(&["sh", "-c", script]).expect("a shell");
    assert!(output.status.success(), "{script}: {output:?}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[test]
fn a_share_below_our_directories_and_a_disk_that_the_site_prepared() {
    let Some(stage) = Stage::take() else { return };
    let cluster = Cluster::bare(&stage, "shares", ALONE);
    let host = cluster.host("alone");
    // A disk for etcd, prepared as the guide says.
    shell(
        &host,
        "mkdir -p /var/lib/etcd && mount -t tmpfs disk-of-etcd /var/lib/etcd && mkdir /var/lib/etcd/lost+found",
    );
    let bare = HostState::of(&host);
    cluster.ingot(&["bootstrap"]).succeeded();
    let kubectl = cluster.kubectl();
    kubectl.nodes_are_ready(&["alone"], std::time::Duration::from_secs(1));

    // A share for backups, mounted into the directory of etcd later, and one in a link's place.
    shell(
        &host,
        "mkdir -p /var/lib/etcd/backup /srv/bk /srv/logs && mount -t tmpfs bk /srv/bk && echo s > /srv/bk/snapshot.db && \
         mount --bind /srv/bk /var/lib/etcd/backup && echo l > /srv/logs/old.log && \
         mkdir -p /var/lib/kubelet/site && mount --bind /srv/logs /var/lib/kubelet/site && ln -s /srv/logs /var/lib/containerd/logs",
    );
    let run = cluster
        .ingot(&["node", "reset", "alone", "--yes"])
        .ended_with(3);
    let told = run.transcript();
    for path in ["/var/lib/etcd/backup", "/var/lib/kubelet/site"] {
        assert!(
            told.contains(&format!("{path}: ")),
            "{path} is not named: {told}"
        );
    }
    assert!(told.contains("run the same command again"), "{told}");
    assert_eq!(
        shell(&host, "cat /srv/bk/snapshot.db /srv/logs/old.log"),
        "s\nl"
    );
    // The rest is taken back all the same.
    assert_eq!(
        shell(
            &host,
            "ls /var/lib/etcd /etc/kubernetes 2>/dev/null; ls /var/lib/kubelet"
        ),
        "/var/lib/etcd:\nbackup\nlost+found\nsite"
    );

    shell(&host, "umount /var/lib/etcd/backup /var/lib/kubelet/site");
    cluster
        .ingot(&["node", "reset", "alone", "--yes"])
        .succeeded();
    assert_eq!(
        shell(&host, "cat /srv/bk/snapshot.db /srv/logs/old.log"),
        "s\nl"
    );
    assert_eq!(
        shell(&host, "findmnt -no SOURCE /var/lib/etcd; ls /var/lib/etcd"),
        "disk-of-etcd\nlost+found"
    );
    shell(&host, "umount /srv/bk && rm -r /srv/bk /srv/logs");
    let left = bare.differences(&HostState::of(&host));
    assert!(left.is_empty(), "left behind:\n  {}", left.join("\n  "));
    // Once more changes nothing.
    cluster
        .ingot(&["node", "reset", "alone", "--yes"])
        .succeeded();
}

#[test]
fn hosts_of_others_are_refused_before_anything_is_touched() {
    let Some(stage) = Stage::take() else { return };
    let cluster = Cluster::bare(&stage, "others", ALONE);
    let host = cluster.host("alone");

    // Directories of these names that are empty say nothing; what others have beside them is theirs all the same.
    let cgroup = "for d in /sys/fs/cgroup/unified /sys/fs/cgroup/systemd /sys/fs/cgroup; do [ -e $d/cgroup.procs ] && break; done";
    let beside =
        "/run/containerd/io.containerd.runtime.v2.task /var/lib/cni/networks/podman/10.88.0.2";
    shell(
        &host,
        &format!(
            "mkdir -p /var/lib/etcd /var/lib/kubelet /var/lib/containerd /var/log/pods /var/log/containers && \
             for f in {beside}; do mkdir -p $(dirname $f) && echo theirs > $f; done && {cgroup} && mkdir -p $d/kubepods && \
             {{ setsid sleep infinity </dev/null >/dev/null 2>&1 & }} && echo $! > /run/theirs.pid && \
             echo $! > $d/kubepods/cgroup.procs",
        ),
    );
    // A reset that is repeated ends as well.
    for _ in 0..2 {
        let told = cluster
            .ingot(&["node", "reset", "alone", "--yes"])
            .succeeded()
            .transcript();
        assert!(told.contains("nothing was to be taken back"), "{told}");
        assert_eq!(shell(&host, &format!("cat {beside}")), "theirs\ntheirs");
        let process = shell(
            &host,
            "kill -0 $(cat /run/theirs.pid) && cat /proc/$(cat /run/theirs.pid)/cgroup",
        );
        assert!(process.contains("kubepods"), "{process}");
    }
    assert_eq!(shell(&host, "ls -d /var/lib/ingot || true"), "");
    shell(
        &host,
        &format!(
            "kill $(cat /run/theirs.pid) && rm -r /run/theirs.pid /run/containerd /var/lib/cni; {cgroup}; rmdir $d/kubepods || true"
        ),
    );

    let files = "/var/lib/etcd/member/wal /var/lib/kubelet/pods/data /var/lib/containerd/image";
    shell(
        &host,
        &format!("for f in {files}; do mkdir -p $(dirname $f) && echo theirs > $f; done"),
    );
    let told = cluster
        .ingot(&["node", "reset", "alone", "--yes"])
        .ended_with(2)
        .transcript();
    assert!(told.contains("was not installed by this program"), "{told}");
    assert_eq!(
        shell(&host, &format!("cat {files}")),
        "theirs\ntheirs\ntheirs"
    );

    // Half of an installation of another cluster is another cluster's, too.
    shell(
        &host,
        "mkdir -p /var/lib/ingot/journal && echo '{\"formatVersion\":1,\"cluster\":\"hospital\",\"node\":\"alone\",\"mounts\":[]}' > /var/lib/ingot/prepared.json",
    );
    let told = cluster
        .ingot(&["node", "reset", "alone", "--yes"])
        .ended_with(2)
        .transcript();
    assert!(
        told.contains("the node `alone` of the cluster `hospital`, not of `story`"),
        "{told}"
    );
    assert_eq!(
        shell(&host, &format!("cat {files}")),
        "theirs\ntheirs\ntheirs"
    );
}
