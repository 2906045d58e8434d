//! Every check, with its exact words: facts in, findings out. `UPDATE_GOLDEN=1` rewrites the golden file.

use ingot_cluster::{Cluster, FakeFiles, load};
use ingot_lifecycle::facts::{Facts, Fixed, Interface, Membership};
use ingot_lifecycle::preflight::{AllFacts, judge};
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
        let interface = Interface {
            name: "eth0".into(),
            mtu: 1500,
        };
        let facts = Facts {
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
        f.addresses = [(
            "10.0.0.9".parse().unwrap(),
            Interface {
                name: "eth0".into(),
                mtu: 1500,
            },
        )]
        .into();
    }),
    ("a smaller MTU", "w1", |f| {
        f.addresses.values_mut().for_each(|i| i.mtu = 1400)
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
