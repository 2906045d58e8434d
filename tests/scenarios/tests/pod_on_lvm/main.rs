//! A pod keeps its data on a disk of its node: through its own end, growth, a snapshot, and a drain.
//!
//! The control plane is a host in a namespace, the worker a virtual machine with a kernel and disks of
//! its own. Runs only with INGOT_HOST_TESTS=1 and INGOT_GUEST_TESTS=1.

mod backups;
mod features;
mod promises;

use std::io::Write;
use std::time::Duration;

use ingot_harness::guest::{DiskSpec, GuestSpec};
use ingot_scenarios::cluster::{Cluster, Member};
use ingot_scenarios::volume::Volumes;
use ingot_scenarios::{Stage, air_gap, wait, workload};
use serde_json::json;

const CONTROL_PLANE: &[Member] = &[Member {
    name: "cp-1",
    roles: "control-plane",
}];

#[test]
fn a_pod_keeps_its_data_on_a_disk_of_its_node() {
    if std::env::var_os("INGOT_GUEST_TESTS").is_none() {
        // Not with `eprintln!`, which the test runner swallows.
        let _ = writeln!(
            std::io::stderr(),
            "not run: a pod on LVM needs a virtual machine; `make pod-on-lvm` runs it"
        );
        return;
    }
    let Some(stage) = Stage::take() else { return };
    let cluster = Cluster::bare(&stage, "lvm", CONTROL_PLANE);
    let mut spec = GuestSpec::new("worker-1").with_disks(2, 10 << 30);
    spec.memory_mib = 2048;
    let by_name = DiskSpec::path(&spec.disks[0]);
    let by_serial = spec.disks[1].serial.clone();
    let used = DiskSpec::path(&spec.disks[1]);
    let worker = cluster
        .lab
        .add_guest(spec, &|line| println!("  {line}"))
        .expect("a virtual machine");
    let address = worker.ssh_address().expect("an address").ip();
    // The second disk was somebody's; the file says that it may be emptied.
    features::on(&worker, &format!("mkfs.ext4 -q -F {used} 1G"));
    let mut yaml = std::fs::read_to_string(cluster.config()).expect("cluster.yaml");
    yaml.push_str(&format!(
        "    - name: worker-1\n      address: {address}\n      roles: [worker]\n      storage:\n        pools:\n          \
         - name: data\n            devices: [{by_name}]\n            serials: [{by_serial}]\n            \
         thin: {{ size: 15GiB, ratio: 2, metadata: 64MiB, stop: 0.9, extend: 0.8, step: 0.1 }}\n        \
         wipe: [{by_serial}]\n  storage:\n    snapshotMetadata: true\n"
    ));
    std::fs::write(cluster.config(), yaml).expect("cluster.yaml");

    cluster
        .ingot(&["bootstrap", "--ready-timeout", "600"])
        .succeeded();
    let kubectl = cluster.kubectl();
    kubectl.nodes_are_ready(&["cp-1", "worker-1"], Duration::from_secs(5));
    let volumes = Volumes::new(&kubectl, workload::image(&air_gap::bundle(&stage)));

    volumes.claim("data", "1Gi", &json!({}));
    volumes.run("smith", "data");
    volumes.shell("smith", "echo molten > /data/iron && /usr/bin/sync");
    volumes.delete("pod", "smith");
    volumes.run("smith", "data");
    assert_eq!(
        volumes.shell("smith", "/usr/bin/cat /data/iron"),
        "molten\n"
    );

    let listed = cluster.told(&["volume", "list"]);
    assert!(
        listed.contains("kube-system/data") && listed.contains("worker-1"),
        "{listed}"
    );
    let disks = cluster.told(&["disk", "list"]);
    assert_eq!(disks.matches("  data  good").count(), 2, "{disks}");

    volumes.grow("data", "2Gi");
    let blocks = "/usr/bin/stat -f -c '%b %S' /data";
    wait::until("the filesystem has grown", Duration::from_secs(60), || {
        let said = volumes.shell("smith", blocks);
        let numbers: Vec<u64> = said.split_whitespace().flat_map(str::parse).collect();
        let size: u64 = numbers.iter().product();
        (size > 1800 << 20).then_some(()).ok_or(said)
    });

    cluster.told(&["volume", "snapshot", "kube-system/data", "--name", "before"]);
    volumes.shell("smith", "echo cold > /data/iron && /usr/bin/sync");
    volumes.claim("again", "2Gi", &Volumes::from_snapshot("before"));
    volumes.run("apprentice", "again");
    assert_eq!(
        volumes.shell("apprentice", "/usr/bin/cat /data/iron"),
        "molten\n"
    );
    assert_eq!(volumes.shell("smith", "/usr/bin/cat /data/iron"), "cold\n");

    backups::only_what_has_changed_is_read(&cluster, &volumes, &worker);
    features::the_agent_tells_of_itself(&worker);
    features::an_encrypted_volume_with_limits(&cluster, &volumes, &worker);
    features::a_volume_for_the_life_of_a_pod(&volumes);
    features::a_raw_volume_that_is_only_read(&volumes, &worker);
    features::a_snapshot_of_two_claims_at_once(&cluster, &volumes);
    promises::a_retained_volume_serves_another_claim(&kubectl, &volumes);
    promises::a_volume_outlives_its_class_and_is_deleted_without_it(&kubectl, &volumes);
    promises::the_accounts_of_storage_may_do_their_work_and_nothing_else(&kubectl);

    kubectl.ok(&[
        "drain",
        "worker-1",
        "--force",
        "--ignore-daemonsets",
        "--delete-emptydir-data",
        "--disable-eviction",
        "--timeout=35s",
    ]);
    kubectl.ok(&["uncordon", "worker-1"]);
    volumes.run("smith", "data");
    assert_eq!(volumes.shell("smith", "/usr/bin/cat /data/iron"), "cold\n");

    cluster.told(&["volume", "show", "kube-system/data"]);
    let orphans = cluster.told(&["volume", "orphans"]);
    assert!(orphans.contains("nothing is orphaned"), "{orphans}");
    volumes.delete("pod", "smith");
    an_object_that_was_removed_comes_back(&cluster, &volumes);
    volumes.run("smith", "data");
    assert_eq!(volumes.shell("smith", "/usr/bin/cat /data/iron"), "cold\n");
    volumes.delete("pod", "smith");
    for (kind, name) in [
        ("pvc", "data"),
        ("pvc", "again"),
        ("volumesnapshot", "before"),
    ] {
        volumes.delete(kind, name);
    }
    wait::until("no volume is left", Duration::from_secs(120), || {
        let left = kubectl.run(&[
            "get",
            "volumes.storage.ingot.dev,snapshots.storage.ingot.dev",
            "-o",
            "name",
        ])?;
        if left.is_empty() { Ok(()) } else { Err(left) }
    });
    let devices = worker
        .run(&["sh", "-c", "ls /dev/mapper"])
        .expect("the devices");
    let devices = String::from_utf8_lossy(&devices.stdout).into_owned();
    assert!(
        !devices.contains("--data-v") && !devices.contains("--data-s"),
        "{devices}"
    );
    features::no_command_has_failed(&worker);
    backups::nothing_is_left_of_it_when_it_is_turned_off(&cluster, &worker);
    cluster.applying_again_changes_nothing();
}

/// Somebody removes the object of a volume: its data is kept, and the line that `ingot volume orphans`
/// prints gives it back.
fn an_object_that_was_removed_comes_back(cluster: &Cluster<'_>, volumes: &Volumes<'_>) {
    let kubectl = cluster.kubectl();
    let object = volumes.object("data");
    let kind = "volumes.storage.ingot.dev";
    kubectl.ok(&["delete", kind, &object]);
    let line = wait::until(
        "the volume is called orphaned",
        Duration::from_secs(120),
        || {
            let said = cluster.told(&["volume", "orphans"]);
            let next = said.split("to take it back into use:\n").nth(1);
            let line = next.and_then(|rest| rest.lines().next());
            line.map(|line| line.trim().to_owned()).ok_or(said)
        },
    );
    kubectl.typed(&line.0);
    assert_eq!(volumes.object("data"), object);
    wait::until("nothing is orphaned", Duration::from_secs(120), || {
        let said = cluster.told(&["volume", "orphans"]);
        let good = said.contains("nothing is orphaned");
        if good { Ok(()) } else { Err(said) }
    });
}
