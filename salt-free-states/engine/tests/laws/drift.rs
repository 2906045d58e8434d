//! Drift of any one attribute is found and named.

use crate::bench::Bench;
use ingot_engine::plan;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::Ordering;

/// A state, what somebody does to the host behind its back, and the attributes a plan then names.
type Drift = (&'static str, fn(&Bench), &'static [&'static str]);

const DRIFTS: &[Drift] = &[
    (
        "directory: {path: /srv/d, mode: '0750'}",
        |bench| std::fs::set_permissions(bench.at("srv/d"), Permissions::from_mode(0o777)).unwrap(),
        &["mode"],
    ),
    (
        "directory: {path: /srv/d}",
        |bench| std::fs::remove_dir(bench.at("srv/d")).unwrap(),
        &["mode"],
    ),
    (
        "directory: {path: /srv/d, entries: [mine]}",
        |bench| {
            std::fs::create_dir_all(bench.at("srv/d/mine")).unwrap();
            std::fs::create_dir_all(bench.at("srv/d/old/deep")).unwrap();
        },
        &["entries"],
    ),
    (
        "symlink: {path: /srv/l, target: r}",
        |bench| std::fs::remove_file(bench.at("srv/l")).unwrap(),
        &["target"],
    ),
    (
        "sysctl: {key: net.ipv4.ip_forward, value: '1'}",
        |bench| std::fs::write(bench.at("proc/sys/net/ipv4/ip_forward"), "0\n").unwrap(),
        &["value"],
    ),
    (
        "kernel_module: {name: overlay}",
        |bench| std::fs::remove_dir(bench.at("sys/module/overlay")).unwrap(),
        &["loaded"],
    ),
    (
        "unit: {name: x.service, content: '[Service]'}",
        |bench| std::fs::write(bench.at("etc/systemd/system/x.service"), "[Unit]").unwrap(),
        &["content"],
    ),
    (
        "image: {reference: 'r/i@sha256:1', hosts_dir: /etc/certs.d}",
        |bench| bench.host.units.lock().unwrap().clear(),
        &["image"],
    ),
    (
        "swap: {enabled: false}",
        |bench| {
            std::fs::write(bench.at("etc/fstab"), "/dev/a none swap sw 0 0\n").unwrap();
            std::fs::write(bench.at("proc/swaps"), "Filename Type\n/dev/a partition\n").unwrap();
        },
        &["active", "/etc/fstab"],
    ),
    (
        "command: {run: [touch, /srv/done], creates: /srv/done}",
        |bench| std::fs::remove_file(bench.at("srv/done")).unwrap(),
        &["run"],
    ),
    (
        "group: {name: etcd, gid: 812}",
        |bench| std::fs::write(bench.at("etc/group"), "root:x:0:\n").unwrap(),
        &["name"],
    ),
    (
        "archive: {digest: 'sha256:1', path: /srv/release}",
        |bench| {
            let deleted = ingot_deletion::delete_tree(&bench.at("srv/release"));
            deleted.complete().unwrap()
        },
        &["digest"],
    ),
];

#[test]
fn drift_of_the_other_kinds_is_named_and_mended() {
    for (resource, spoil, expected) in DRIFTS {
        let bench = Bench::new();
        let graph = bench.graph(&format!("  - id: a\n    {resource}\n"));
        bench.apply(&graph);
        assert_eq!(bench.drift(&graph), [""; 0], "{resource}");
        spoil(&bench);
        assert_eq!(bench.drift(&graph), *expected, "{resource}");
    }
}

#[test]
fn every_kind_has_a_drift_test() {
    let own = concat!(include_str!("drift.rs"), include_str!("packages.rs"));
    for kind in ingot_engine::resource::KINDS {
        assert!(
            own.contains(&format!("{kind}: {{")),
            "no drift test for `{kind}`"
        );
    }
}

#[test]
fn drift_of_each_attribute_of_a_file_is_named() {
    let bench = Bench::new();
    let graph = bench.graph("  - id: a\n    file: {path: /etc/f, content: one}\n");
    bench.apply(&graph);
    let path = bench.at("etc/f");
    std::fs::write(&path, "two").unwrap();
    assert_eq!(bench.drift(&graph), ["content"]);
    bench.apply(&graph);
    std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    assert_eq!(bench.drift(&graph), ["mode"]);
    bench.apply(&graph);
    if nix::unistd::Uid::effective().is_root() {
        std::os::unix::fs::chown(&path, Some(65534), Some(12)).unwrap();
        assert_eq!(bench.drift(&graph), ["owner", "group"]);
        bench.apply(&graph);
    }
    std::fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink("elsewhere", &path).unwrap();
    assert_eq!(bench.drift(&graph), ["type"]);
    bench.apply(&graph);
    std::fs::remove_file(&path).unwrap();
    assert_eq!(bench.drift(&graph), ["content"]);
    bench.apply(&graph);
    assert_eq!(bench.drift(&graph), [""; 0]);
}

#[test]
fn drift_of_an_archive_a_service_and_a_link_is_named() {
    let bench = Bench::new();
    let graph = bench.graph(
        "  - id: a\n    archive: {digest: 'sha256:1', path: /srv/r}\n  - id: u\n    unit: {name: x.service, content: '[Unit]'}\n  - id: s\n    service: {unit: x.service}\n    require: [u]\n  - id: l\n    symlink: {path: /srv/l, target: r}\n",
    );
    bench.apply(&graph);
    std::fs::remove_file(bench.at("srv/r/ctr")).unwrap();
    std::fs::write(bench.at("srv/r/kubelet"), "tampered").unwrap();
    bench
        .host
        .units
        .lock()
        .unwrap()
        .insert("x.service".into(), (false, false));
    std::fs::remove_file(bench.at("srv/l")).unwrap();
    std::os::unix::fs::symlink("other", bench.at("srv/l")).unwrap();
    let mut found = bench.drift(&graph);
    found.sort();
    assert_eq!(found, ["ctr", "enabled", "kubelet", "running", "target"]);
    bench.apply(&graph);
    assert!(bench.plan(&graph).is_empty());
    assert_eq!(
        std::fs::read_to_string(bench.at("srv/r/kubelet")).unwrap(),
        "binary"
    );
}

#[test]
fn services_are_asked_for_together_and_told_apart() {
    let bench = Bench::new();
    let state: String = ["a", "b", "c"]
        .iter()
        .map(|name| {
            format!(
                "  - id: u{name}\n    unit: {{name: {name}.service, content: '[Unit]'}}\n  - id: {name}\n    \
                 service: {{unit: {name}.service}}\n    require: [u{name}]\n"
            )
        })
        .collect();
    let graph = bench.graph(&state);
    bench.apply(&graph);
    let looks = || bench.host.looks.load(Ordering::Relaxed);
    let before = looks();
    assert!(bench.plan(&graph).is_empty());
    assert_eq!(looks() - before, 1, "one question for three services");
    bench
        .host
        .units
        .lock()
        .unwrap()
        .insert("b.service".into(), (true, false));
    let plan = bench.plan(&graph);
    let work: Vec<&str> = plan.work().map(|planned| planned.id.as_str()).collect();
    assert_eq!(work, ["s/b"]);
    assert_eq!(bench.drift(&graph), ["running"]);
}

#[test]
fn drift_of_a_user_is_named_and_another_id_is_refused() {
    let bench = Bench::new();
    let state = "  - id: g\n    group: {name: etcd, gid: 812}\n  - id: u\n    user: {name: etcd, group: etcd, groups: [adm], uid: 812}\n    require: [g]\n";
    let graph = bench.graph(state);
    bench.apply(&graph);
    let passwd = std::fs::read_to_string(bench.at("etc/passwd")).unwrap();
    assert!(
        passwd.contains("etcd:x:812:812::/nonexistent:/usr/sbin/nologin\n"),
        "{passwd}"
    );
    let drifted = passwd.replace(
        ":812:812::/nonexistent:/usr/sbin/nologin",
        ":812:4::/root:/bin/sh",
    );
    std::fs::write(bench.at("etc/passwd"), drifted).unwrap();
    let group = std::fs::read_to_string(bench.at("etc/group")).unwrap();
    std::fs::write(bench.at("etc/group"), group.replace("old,etcd", "old")).unwrap();
    assert_eq!(bench.drift(&graph), ["group", "groups", "home", "shell"]);
    bench.apply(&graph);
    assert!(bench.plan(&graph).is_empty());
    let graph = bench.graph(&state.replace("812", "813"));
    let errors = plan(&bench.system, &graph, None).unwrap_err();
    let text: Vec<String> = errors.iter().map(|e| e.source.to_string()).collect();
    assert_eq!(
        text,
        [
            "the group `etcd` has the id 812, and 813 is wanted; change it by hand together with the files that carry it, or drop `gid`",
            "the user `etcd` has the id 812, and 813 is wanted; change it by hand together with the files that carry it, or drop `uid`",
        ]
    );
}

#[test]
fn drift_of_a_mount_is_named_and_what_others_mounted_is_refused() {
    let bench = Bench::new();
    let state = "  - id: a\n    mount: {path: /srv, device: tmpfs, type: tmpfs, options: [nosuid, mode=700]}\n";
    let graph = bench.graph(state);
    bench.apply(&graph);
    let mounts = std::fs::read_to_string(bench.at("proc/mounts")).unwrap();
    std::fs::write(bench.at("proc/mounts"), mounts.replace("nosuid", "rw")).unwrap();
    assert_eq!(bench.drift(&graph), ["options"]);
    bench.apply(&graph);
    let fstab = std::fs::read_to_string(bench.at("etc/fstab")).unwrap();
    std::fs::write(bench.at("etc/fstab"), fstab.replace("mode=700", "mode=777")).unwrap();
    assert_eq!(bench.drift(&graph), ["/etc/fstab"]);
    bench.apply(&graph);
    assert_eq!(
        std::fs::read_to_string(bench.at("etc/fstab")).unwrap(),
        fstab
    );
    std::fs::write(bench.at("proc/mounts"), "").unwrap();
    assert_eq!(bench.drift(&graph), ["mounted"]);

    std::fs::write(bench.at("proc/mounts"), "/dev/z /srv ext4 rw 0 0\n").unwrap();
    let refusal = |bench: &Bench| {
        let graph = bench.graph(state);
        plan(&bench.system, &graph, None).unwrap_err()[0]
            .source
            .to_string()
    };
    assert_eq!(
        refusal(&bench),
        "/dev/z (ext4) is mounted at /srv, and tmpfs (tmpfs) is wanted; unmount it or change the state"
    );
    std::fs::write(bench.at("proc/mounts"), "").unwrap();
    std::fs::write(bench.at("etc/fstab"), "/dev/z /srv ext4 defaults 0 2\n").unwrap();
    assert_eq!(
        refusal(&bench),
        "/etc/fstab has another entry for /srv: `/dev/z /srv ext4 defaults 0 2`, and `tmpfs /srv tmpfs nosuid,mode=700 0 0` is wanted; remove the entry or change the state"
    );
}

#[test]
fn drift_of_the_owner_of_a_directory_is_named() {
    if !nix::unistd::Uid::effective().is_root() {
        // Only root can give a directory away.
        return;
    }
    let bench = Bench::new();
    let graph = bench.graph("  - id: a\n    directory: {path: /srv/d}\n");
    bench.apply(&graph);
    std::os::unix::fs::chown(bench.at("srv/d"), Some(65534), Some(12)).unwrap();
    assert_eq!(bench.drift(&graph), ["owner", "group"]);
    bench.apply(&graph);
    assert_eq!(bench.drift(&graph), [""; 0]);
}
