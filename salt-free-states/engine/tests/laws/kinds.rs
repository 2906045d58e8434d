//! Applied twice, a kind changes nothing the second time; undone, everything is as before.

use crate::bench::Bench;

const KINDS: &[&str] = &[
    "  - id: a\n    file: {path: /etc/new.conf, content: 'x', mode: '0600'}\n",
    "  - id: a\n    file: {path: /etc/fstab, content: 'mine'}\n",
    "  - id: a\n    directory: {path: /var/lib/deep/er, mode: '0700'}\n",
    "  - id: a\n    directory: {path: /srv, mode: '0711'}\n",
    "  - id: a\n    directory: {path: /var, entries: [lib]}\n",
    "  - id: a\n    directory: {path: /etc, entries: [passwd]}\n",
    "  - id: a\n    symlink: {path: /srv/current, target: releases/1}\n",
    "  - id: a\n    sysctl: {key: net.ipv4.ip_forward, value: '1'}\n",
    "  - id: a\n    kernel_module: {name: overlay}\n",
    "  - id: a\n    unit: {name: x.service, content: '[Service]'}\n",
    "  - id: u\n    unit: {name: x.service, content: '[Service]'}\n  - id: a\n    service: {unit: x.service}\n    require: [u]\n",
    "  - id: a\n    archive: {digest: 'sha256:1', path: /srv/release}\n",
    "  - id: a\n    image: {reference: 'r/i@sha256:1', hosts_dir: /etc/certs.d}\n",
    "  - id: a\n    swap: {enabled: false}\n",
    "  - id: a\n    command: {run: [touch, /srv/done], creates: /srv/done, undo: [rm, /srv/done]}\n",
    "  - id: a\n    group: {name: etcd, gid: 812}\n",
    "  - id: g\n    group: {name: etcd}\n  - id: a\n    user: {name: etcd, group: etcd, groups: [adm], uid: 812}\n    require: [g]\n  - id: d\n    directory: {path: /srv, owner: etcd}\n    require: [a]\n",
    "  - id: a\n    user: {name: loners, group: loners}\n",
    "  - id: a\n    user: {name: old, group: adm, groups: [loners], home: /srv, shell: /bin/false}\n",
    "  - id: a\n    package: {name: socat, version: '1.7', digest: 'sha256:deb-socat:1.7'}\n",
    "  - id: a\n    mount: {path: /data/deep, device: tmpfs, type: tmpfs, options: [nosuid, size=1m]}\n",
    "  - id: a\n    mount: {path: '/my data', device: tmpfs, type: tmpfs}\n  - id: b\n    mount: {path: /srv, device: /dev/c, type: xfs}\n  - id: c\n    swap: {enabled: false}\n",
    "  - id: a\n    mount: {path: /srv, device: tmpfs, type: tmpfs, persistent: false}\n",
];

#[test]
fn every_kind_applies_once_and_can_be_undone() {
    for resources in KINDS {
        Bench::new().laws(resources);
    }
}

/// Applied side by side, they all change the same file.
#[test]
fn entries_of_one_file_are_taken_back_one_by_one() {
    let mount =
        |n| format!("  - id: m{n}\n    mount: {{path: /data/{n}, device: tmpfs, type: tmpfs}}\n");
    let resources: String = (0..8).map(mount).collect();
    for _ in 0..20 {
        Bench::new().laws(&(resources.clone() + "  - id: s\n    swap: {enabled: false}\n"));
    }
}

#[test]
fn every_kind_has_a_law_test() {
    for kind in ingot_engine::resource::KINDS {
        let named = KINDS
            .iter()
            .any(|text| text.contains(&format!(" {kind}: {{")));
        assert!(named, "no law test for `{kind}`");
    }
}
