//! Every check, with its exact words: facts in, findings out. `UPDATE_GOLDEN=1` rewrites the golden file.

use ingot_cluster::{Cluster, FakeFiles, load};
use ingot_lifecycle::facts::{
    Facts, Fixed, Inotify, Interface, Membership, Route, SettingLine, Volume,
};
use ingot_lifecycle::preflight::{AllFacts, CHECKS, Severity, Weight, judge, reference};
use std::fmt::Write;
use std::path::Path;

const CLUSTER: &str = "
apiVersion: ingot.dev/v1alpha1
kind: Cluster
metadata: { name: site }
spec:
  ssh: { agent: true }
  nodes:
    - { name: cp1, address: 10.0.0.1, roles: [control-plane] }
    - { name: w1, address: 10.0.0.2, roles: [worker] }
    - { name: w2, address: 10.0.0.3, roles: [worker] }
";

fn cluster() -> Cluster {
    load("cluster.yaml", CLUSTER, &FakeFiles::default())
        .unwrap_or_else(|findings| panic!("{findings}"))
        .cluster
}

/// Facts of servers that satisfy every check.
fn good() -> AllFacts {
    let host = |name: &str, address: &str| {
        let interface = eth0();
        let facts = Facts {
            installer_clock: [0.0, 0.2],
            hostname: name.into(),
            machine_id: format!("id-of-{name}"),
            addresses: [(address.parse().unwrap(), interface)].into(),
            ..Facts::default()
        };
        (name.to_owned(), facts)
    };
    [
        host("cp1", "10.0.0.1"),
        host("w1", "10.0.0.2"),
        host("w2", "10.0.0.3"),
    ]
    .into()
}

#[test]
fn good_hosts_pass_without_a_word() {
    assert_eq!(judge(&cluster(), &good()), []);
}

fn eth0() -> Interface {
    Interface {
        name: "eth0".into(),
        mtu: 1500,
        prefix: 24,
    }
}

fn route(destination: &str, device: &str, gateway: &str) -> Route {
    Route {
        destination: destination.into(),
        device: device.into(),
        gateway: gateway.parse().ok(),
        metric: 0,
    }
}

fn line(file: &str, key: &str, value: &str) -> SettingLine {
    SettingLine {
        file: file.into(),
        line: 7,
        key: key.into(),
        value: value.into(),
    }
}

fn volume(mounted_at: &str) -> Volume {
    Volume {
        mounted_at: mounted_at.into(),
        free: 80 << 30,
        inodes_free: Some(5_000_000),
        noexec: false,
    }
}

type Change = fn(&mut Facts);

const CASES: &[(&str, &str, Change)] = &[
    ("no systemd", "w1", |f| f.init = "busybox".into()),
    ("another processor", "w1", |f| {
        f.architecture = "arm64".into()
    }),
    ("cgroup v1", "w1", |f| f.cgroup_version = 1),
    ("no memory controller", "w1", |f| {
        f.cgroup_controllers.retain(|c| c != "memory")
    }),
    ("no overlay", "w1", |f| {
        f.features.retain(|c| c != "overlay")
    }),
    ("no bridge filter", "w1", |f| {
        f.features.retain(|c| c != "br_netfilter")
    }),
    ("no nftables", "w1", |f| {
        f.features.retain(|c| c != "nf_tables")
    }),
    ("no vxlan", "w1", |f| f.features.retain(|c| c != "vxlan")),
    ("little memory", "cp1", |f| f.memory = 2 << 30),
    ("too little memory on a control plane", "cp1", |f| {
        f.memory = 1 << 30
    }),
    ("too little memory on a worker", "w1", |f| {
        f.memory = 512 << 20
    }),
    ("full disk on a control plane", "cp1", |f| {
        f.disk_free = 1 << 30
    }),
    ("full disk on a worker", "w1", |f| f.disk_free = 100 << 20),
    ("slow disk", "cp1", |f| f.fsync_p99_ms = Some(48.3)),
    ("read-only root", "w1", |f| {
        drop(
            f.unwritable
                .insert("/etc".into(), "Read-only file system (os error 30)".into()),
        )
    }),
    ("swap", "w1", |f| f.swap = vec!["/dev/sda2".into()]),
    ("no right to lower oom scores", "w1", |f| {
        f.may_lower_oom_score = false
    }),
    ("the same machine-id", "w2", |f| {
        f.machine_id = "id-of-w1".into()
    }),
    ("the same host name", "w2", |f| f.hostname = "w1".into()),
    ("clock ten minutes behind", "w1", |f| f.clock = -600.0),
    ("clock five seconds ahead", "w1", |f| f.clock = 5.0),
    ("another address", "w1", |f| {
        f.addresses = [("10.0.0.9".parse().unwrap(), eth0())].into();
    }),
    ("a smaller MTU", "w1", |f| {
        f.addresses.values_mut().for_each(|i| i.mtu = 1400)
    }),
    ("an MTU too small for a tunnel", "w1", |f| {
        f.addresses.values_mut().for_each(|i| i.mtu = 1280)
    }),
    ("another host name than the node's", "w1", |f| {
        f.hostname = "Srv-0815.hospital.example".into()
    }),
    ("the node's name with a domain", "w1", |f| {
        f.hostname = "W1.hospital.example".into()
    }),
    ("an address in the pod range", "w1", |f| {
        let mut second = eth0();
        second.name = "eth1".into();
        second.prefix = 16;
        f.addresses.insert("10.233.40.7".parse().unwrap(), second);
        f.routes.push(route("10.233.0.0/16", "eth1", ""));
    }),
    ("a route into the Service range", "w1", |f| {
        f.routes.push(route("10.96.4.0/24", "eth0", "10.0.0.254"))
    }),
    ("a wide route that contains both ranges", "w1", |f| {
        f.routes.push(route("10.0.0.0/8", "eth0", "10.0.0.254"))
    }),
    ("a router in the pod range", "w1", |f| {
        f.routes.push(route("192.168.0.0/16", "eth0", "10.233.0.1"))
    }),
    ("a name server in the Service range", "w1", |f| {
        f.name_servers = vec!["10.96.0.53".into()]
    }),
    ("the administrator in the pod range", "w1", |f| {
        f.administrator = "10.233.7.7".parse().ok()
    }),
    ("routes of a cluster that is there", "w1", |f| {
        f.routes = vec![
            route("10.233.0.0/24", "cni0", ""),
            route("10.233.1.0/24", "flannel.1", "10.233.1.0"),
            route("10.233.2.0/24", "eth0", "10.0.0.3"),
            route("10.96.0.0/16", "lo", ""),
            route("default", "eth0", "10.0.0.254"),
        ]
    }),
    ("a route that a member got later", "w1", |f| {
        f.membership = Some(member("site", "w1"));
        f.routes.push(route("10.233.4.0/24", "eth0", "10.0.0.254"));
    }),
    ("two default routes", "w1", |f| {
        f.routes.push(route("default", "eth0", "10.0.0.254"));
        f.routes.push(route("default", "eth1", "192.168.1.1"));
    }),
    ("two default routes, one of them second", "w1", |f| {
        f.routes.push(route("default", "eth0", "10.0.0.254"));
        f.routes.push(route("default", "eth1", "192.168.1.1"));
        f.routes[1].metric = 100;
    }),
    ("a local stub only", "w1", |f| f.only_local_dns = true),
    ("a proxy for services", "w1", |f| {
        for name in ["HTTP_PROXY", "HTTPS_PROXY"] {
            let file = "/etc/systemd/system.conf.d/proxy.conf";
            f.proxies.insert(name.into(), file.into());
        }
    }),
    ("drop-ins of kubeadm and of the site", "w1", |f| {
        f.drop_ins = vec![
            "/usr/lib/systemd/system/kubelet.service.d/10-kubeadm.conf".into(),
            "/etc/systemd/system/containerd.service.d/http-proxy.conf".into(),
            "/etc/systemd/system/service.d/hardening.conf".into(),
        ]
    }),
    ("SELinux", "w1", |f| f.selinux_enforcing = true),
    ("AppArmor without its parser", "w1", |f| {
        f.apparmor_without_parser = true
    }),
    ("kernel settings of the site", "w1", |f| {
        f.sysctl_lines = vec![
            line(
                "/etc/sysctl.d/99-hardening.conf",
                "net.ipv4.ip_forward",
                "0",
            ),
            line("/etc/sysctl.conf", "net.ipv4.conf.all.forwarding", "0"),
            line("/etc/sysctl.d/50-panic.conf", "kernel.panic", "60"),
            line("/etc/sysctl.d/50-same.conf", "vm.overcommit_memory", "1"),
        ]
    }),
    ("swap that comes back", "w1", |f| {
        f.swap = vec!["/dev/zram0".into()];
        f.swap_at_boot = vec!["/etc/systemd/zram-generator.conf".into()];
    }),
    ("a full /var/log", "w1", |f| {
        let mut log = volume("/var/log");
        log.free = 3 << 20;
        f.volumes.insert("/var/log".into(), log);
    }),
    ("a full /var", "w1", |f| {
        for directory in [
            "/var/lib/containerd",
            "/var/lib/etcd",
            "/var/lib/kubelet",
            "/var/log",
        ] {
            let mut var = volume("/var");
            var.free = 3 << 20;
            f.volumes.insert(directory.into(), var);
        }
    }),
    ("few inodes", "w1", |f| {
        for directory in ["/var/lib/containerd", "/var/lib/kubelet"] {
            let mut var = volume("/var");
            var.inodes_free = Some(812);
            f.volumes.insert(directory.into(), var);
        }
    }),
    ("a file system that does not count its files", "w1", |f| {
        let mut var = volume("/var");
        var.inodes_free = None;
        f.volumes.insert("/var/lib/containerd".into(), var);
    }),
    ("noexec", "w1", |f| {
        for directory in [
            "/var/lib/containerd",
            "/var/lib/ingot",
            "/var/lib/kubelet",
            "/var/log",
        ] {
            let mut var = volume("/var");
            var.noexec = true;
            f.volumes.insert(directory.into(), var);
        }
    }),
    ("inotify used up in a container", "cp1", |f| {
        f.inotify = Inotify {
            limit: 128,
            used: 110,
            can_be_raised: false,
        }
    }),
    ("inotify used up where it can be raised", "cp1", |f| {
        f.inotify.used = 128
    }),
    ("own name unknown", "w1", |f| f.resolves_own_name = false),
    ("API port taken", "cp1", |f| {
        drop(f.listening.insert(6443, "nginx".into()))
    }),
    ("kubelet port taken on a worker", "w1", |f| {
        drop(f.listening.insert(10250, "python3".into()))
    }),
    ("our own kubelet after an interrupted run", "w1", |f| {
        drop(f.listening.insert(10250, "kubelet".into()))
    }),
    ("our own agent of an interrupted run", "cp1", |f| {
        drop(f.listening.insert(6443, "ingot-9f86d0818".into()))
    }),
    ("another Kubernetes", "w1", |f| {
        f.foreign = vec!["/etc/rancher".into(), "process k3s (812)".into()]
    }),
    ("another cluster of ours", "w1", |f| {
        f.membership = Some(member("other", "w1"))
    }),
    ("another node of this cluster", "w1", |f| {
        f.membership = Some(member("site", "w2"))
    }),
    ("this node of this cluster", "w1", |f| {
        f.membership = Some(member("site", "w1"))
    }),
    ("this node, made with another network", "w1", |f| {
        let mut member = member("site", "w1");
        member.network.service_cidr = "10.200.0.0/16".into();
        member.network.cluster_domain = "hospital.internal".into();
        f.membership = Some(member)
    }),
];

fn member(cluster: &str, node: &str) -> Membership {
    Membership {
        format_version: 1,
        kubernetes: None,
        content: None,
        cluster: cluster.into(),
        node: node.into(),
        version: "0.1.0".into(),
        network: Fixed::from(&self::cluster().network),
    }
}

#[test]
fn every_finding_has_its_words() {
    let mut text = String::new();
    for (case, node, change) in CASES {
        let mut facts = good();
        change(facts.get_mut(*node).unwrap());
        writeln!(text, "# {case}").unwrap();
        let findings = judge(&cluster(), &facts);
        if findings.is_empty() {
            writeln!(text, "(nothing)").unwrap();
        }
        for finding in findings {
            let node = finding.node.unwrap_or_default();
            writeln!(
                text,
                "{:?} [{}] {node}: {}",
                finding.severity, finding.check, finding.message
            )
            .unwrap();
        }
        text.push('\n');
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/preflight/findings.txt");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap_or_default(), text);
}

/// A single host has no other to be compared with, and its certificates are dated by the installer.
#[test]
fn the_clock_of_the_installer_is_compared_with_that_of_the_hosts() {
    let told = |clocks: [f64; 3]| {
        let mut facts = good();
        for (host, clock) in facts.values_mut().zip(clocks) {
            host.clock = clock;
        }
        let found = judge(&cluster(), &facts);
        let told = found.into_iter().map(|finding| {
            format!(
                "{:?} {:?} {}",
                finding.severity, finding.node, finding.message
            )
        });
        told.collect::<Vec<_>>()
    };
    assert_eq!(told([0.1, 0.2, 1.9]), [""; 0]);
    assert_eq!(
        told([-86_400.0; 3]),
        [
            "Error None the clock of this machine, on which the installer runs, is 86400 s ahead of the hosts; it dates the certificates of the cluster: set the clock that is wrong (`date` on both shows it)"
        ]
    );
    let mut alone = good();
    alone.retain(|name, _| name == "cp1");
    alone.get_mut("cp1").unwrap().clock = 3600.0;
    let found = judge(&cluster(), &alone);
    assert_eq!(
        (found[0].severity, found[0].message.as_str()),
        (
            Severity::Error,
            "the clock of this machine, on which the installer runs, is 3600 s behind the host; it dates the certificates of the cluster: set the clock that is wrong (`date` on both shows it)"
        )
    );
}

/// The page is made from the checks, and no check goes by a name that it does not have.
#[test]
fn the_reference_is_that_of_the_checks() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/preflight.md");
    let page = reference();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap_or_default(), page);
    for (case, node, change) in CASES {
        let mut facts = good();
        change(facts.get_mut(*node).unwrap());
        for finding in judge(&cluster(), &facts) {
            let known = CHECKS.iter().find(|check| check.name == finding.check);
            let weight = known.map(|check| check.weight);
            let fits = match finding.severity {
                Severity::Error => matches!(weight, Some(Weight::Errors | Weight::Both)),
                Severity::Warning => matches!(weight, Some(Weight::Warnings | Weight::Both)),
            };
            assert!(fits, "{case}: {finding:?} is a {weight:?}");
        }
    }
}

#[test]
fn findings_of_all_hosts_come_together() {
    let mut facts = good();
    for host in facts.values_mut() {
        host.init = "runit".into();
        host.memory = 1 << 20;
    }
    assert_eq!(judge(&cluster(), &facts).len(), 6);
}

#[test]
fn a_run_without_most_control_planes_is_refused() {
    let mut facts = good();
    facts.remove("w1");
    assert_eq!(judge(&cluster(), &facts), []);
    facts.remove("cp1");
    let found = judge(&cluster(), &facts);
    assert_eq!(
        (found[0].check, found[0].message.as_str()),
        (
            "quorum",
            "only 0 of 1 control planes can be worked on; etcd needs a majority of them: bring the missing hosts back, or change cluster.yaml"
        )
    );
}

#[test]
fn half_of_the_control_planes_are_no_majority() {
    use ingot_lifecycle::preflight::missing_majority;
    for (here, all, enough) in [(1, 1, true), (1, 2, false), (2, 3, true), (2, 4, false)] {
        assert_eq!(
            missing_majority(here, all).is_none(),
            enough,
            "{here} of {all}"
        );
    }
}
