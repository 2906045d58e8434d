//! What a site does around the hosts, and an installation that meets it: each is found before anything is
//! changed, with what to do, or does not matter.
//!
//! Boots hosts of its own and destroys nothing else; runs only with INGOT_HOST_TESTS=1.

use std::process::{Command, Stdio};
use std::time::Duration;

use ingot_harness::Host;
use ingot_scenarios::cluster::{ALONE, Cluster, Member};
use ingot_scenarios::{Run, Stage, wait};

const TWO: &[Member] = &[
    Member {
        name: "cp-1",
        roles: "control-plane",
    },
    Member {
        name: "worker-1",
        roles: "worker",
    },
];

/// With the machine's own programs, since a bare host has none; in the network of the host.
fn in_the_network(host: &Host, words: &[&str], input: &str) {
    let process = host.root_dir().expect("a running host");
    let process = process.parent().expect("a process");
    let mut program = Command::new("nsenter")
        .arg(format!("--net={}", process.join("ns/net").display()))
        .arg("--")
        .args(words)
        .stdin(Stdio::piped())
        .spawn()
        .expect("nsenter");
    let mut stdin = program.stdin.take().expect("an input");
    std::io::Write::write_all(&mut stdin, input.as_bytes()).expect("its input");
    drop(stdin);
    assert!(
        program.wait().expect("its end").success(),
        "{words:?}: {input}"
    );
}

fn nft(host: &Host, rules: &str) {
    in_the_network(host, &["nft", "-f", "-"], rules);
}

fn ip(host: &Host, words: &str) {
    let words: Vec<&str> = ["ip"].into_iter().chain(words.split(' ')).collect();
    in_the_network(host, &words, "");
}

fn shell(host: &Host, script: &str) -> String {
    let output = host.exec(&["sh", "-c", script]).expect("a shell");
    assert!(output.status.success(), "{script}: {output:?}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn refusal(run: &Run) -> String {
    let end = run.end();
    end["failure"]["message"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

fn warnings(run: &Run) -> Vec<String> {
    let told = run.events.iter().filter(|event| event.kind() == "warning");
    told.map(|event| event.0["message"].as_str().unwrap_or_default().to_owned())
        .collect()
}

/// What stands in for a pod is gone again, whatever came of it.
fn nothing_is_left_of_the_trial(host: &Host) {
    assert_eq!(
        shell(host, "ls /sys/class/net | grep -E 'cni|flannel' || true"),
        ""
    );
    assert_eq!(shell(host, "cat /proc/sys/net/ipv4/ip_forward"), "0");
}

/// Every port of the guide is open and nothing is forwarded, as ufw, firewalld and Docker have it.
#[test]
fn a_firewall_that_drops_packets_of_pods() {
    let Some(stage) = Stage::take() else { return };
    let cluster = Cluster::bare(&stage, "forward", TWO);
    let (plane, worker) = (cluster.host("cp-1"), cluster.host("worker-1"));
    println!("  all ports of the guide, and a policy that forwards nothing");
    let site = "add table inet site
add chain inet site input { type filter hook input priority 0; policy drop; }
add rule inet site input ct state established,related accept
add rule inet site input iif lo accept
add rule inet site input icmp type echo-request accept
add rule inet site input ip saddr 10.77.0.0/16 tcp dport { 22, 6443, 2379, 2380, 5443, 10250, 10256 } accept
add rule inet site input ip saddr 10.77.0.0/16 udp dport 8472 accept
add chain inet site forward { type filter hook forward priority 0; policy drop; }
";
    for host in [&plane, &worker] {
        nft(host, site);
    }
    let run = cluster.ingot(&["bootstrap"]).ended_with(3);
    let message = refusal(&run);
    for (node, port) in [("cp-1", "6443"), ("worker-1", "10250")] {
        let line = message
            .lines()
            .find(|line| line.trim().starts_with(&format!("{node}: [forwarding]")))
            .unwrap_or_else(|| panic!("no finding of {node}: {message}"));
        for words in [
            "its firewall drops packets of pods",
            "from a pod to pods of other nodes (no answer within 2 s)",
            "from pods of other nodes to a pod (no answer within 2 s)",
            &format!("from a pod to TCP port {port} of the node (no answer within 2 s)"),
            "10.233.0.0/16",
        ] {
            assert!(line.contains(words), "no `{words}`: {line}");
        }
    }
    for host in [&plane, &worker] {
        nothing_is_left_of_the_trial(host);
    }

    println!("  what the guide says to add");
    for host in [&plane, &worker] {
        nft(
            host,
            "insert rule inet site forward ip saddr 10.233.0.0/16 accept
insert rule inet site forward ip daddr 10.233.0.0/16 accept
insert rule inet site input ip saddr 10.233.0.0/16 accept
",
        );
    }
    cluster.ingot(&["plan"]).ended_with(0);
    for host in [&plane, &worker] {
        nothing_is_left_of_the_trial(host);
    }
    println!("  with that firewall it becomes a cluster");
    cluster.ingot(&["bootstrap"]).succeeded();
    let kubectl = cluster.kubectl();
    kubectl.nodes_are_ready(&["cp-1", "worker-1"], Duration::from_secs(5));
    kubectl.pods_are_ready("app.kubernetes.io/name=coredns", 2);
    cluster.applying_again_changes_nothing();
}

/// The cable carries 1400 bytes, the interfaces say 1500: small packets arrive, large ones vanish.
#[test]
fn a_path_that_loses_large_packets() {
    let Some(stage) = Stage::take() else { return };
    let cluster = Cluster::bare(&stage, "mtu", TWO);
    let worker = cluster.host("worker-1");
    nft(
        &worker,
        "add table inet site
add chain inet site in { type filter hook input priority 0; }
add rule inet site in meta length > 1400 udp dport 8472 drop
",
    );
    let run = cluster.ingot(&["bootstrap"]).ended_with(3);
    assert_eq!(
        refusal(&run),
        format!(
            "1 problem on the hosts, nothing was changed:\n  cp-1: [path-mtu] packets of 1500 bytes do not reach {} (no answer within 3 s), small ones do; give the interfaces of all nodes the MTU that the path between them carries, or mend what lies between",
            worker.address()
        )
    );
    nft(&worker, "delete table inet site\n");
    cluster.ingot(&["plan"]).ended_with(0);
}

/// Ranges, routes, clocks, names, noexec, leftovers: all at once, and nothing is changed.
#[test]
fn a_host_whose_site_does_not_fit() {
    let Some(stage) = Stage::take() else { return };
    let cluster = Cluster::bare(&stage, "site", ALONE);
    let host = cluster.host("alone");
    ip(&host, "address add 10.233.40.7/16 dev eth0");
    ip(&host, "route add 10.96.4.0/24 via 10.233.40.9");
    shell(
        &host,
        "mkdir -p /var/lib/containerd /var/lib/rancher /etc/systemd/system/kubelet.service.d /etc/sysctl.d
         mount -t tmpfs -o noexec tmpfs /var/lib/containerd && mkdir /var/lib/containerd/io.containerd.content.v1.content
         touch /etc/systemd/system/kubelet.service.d/10-kubeadm.conf
         echo 'net.ipv4.ip_forward = 0' > /etc/sysctl.d/99-hardening.conf",
    );
    let run = cluster.ingot(&["bootstrap"]).ended_with(3);
    let message = refusal(&run);
    println!("{message}");
    for words in [
        "[ranges] its address 10.233.40.7/16 on eth0 lies in spec.network.podCIDR 10.233.0.0/16",
        "[ranges] its route 10.96.4.0/24 on eth0 through 10.233.40.9 lies in spec.network.serviceCIDR 10.96.0.0/16",
        "[ranges] its router 10.233.40.9",
        "/var/lib/rancher",
        "/var/lib/containerd (not empty)",
        "[drop-ins] /etc/systemd/system/kubelet.service.d/10-kubeadm.conf changes the unit of the kubelet",
    ] {
        assert!(message.contains(words), "no `{words}`: {message}");
    }
    let told = warnings(&run).join("\n");
    let words =
        "/etc/sysctl.d/99-hardening.conf:1 sets net.ipv4.ip_forward = 0, the platform sets 1";
    assert!(told.contains(words), "no `{words}`: {told}");
    assert_eq!(
        shell(&host, "ls /etc/kubernetes /etc/cni 2>/dev/null || true"),
        ""
    );
}

/// A proxy for every service, hardening that turns forwarding off, and its runs on a node that works.
#[test]
fn a_site_with_a_proxy_and_hardening() {
    let Some(stage) = Stage::take() else { return };
    let cluster = Cluster::bare(&stage, "proxy", ALONE);
    let host = cluster.host("alone");
    shell(
        &host,
        "mkdir -p /etc/systemd/system.conf.d /etc/sysctl.d
         printf '[Manager]\\nDefaultEnvironment=HTTP_PROXY=http://10.77.0.99:3128 HTTPS_PROXY=http://10.77.0.99:3128 https_proxy=http://10.77.0.99:3128\\n' > /etc/systemd/system.conf.d/proxy.conf
         printf 'HTTPS_PROXY=http://10.77.0.99:3128\\nhttps_proxy=http://10.77.0.99:3128\\n' >> /etc/environment
         systemctl daemon-reexec
         echo 'net.ipv4.ip_forward = 0' > /etc/sysctl.d/99-hardening.conf",
    );
    let run = cluster.ingot(&["bootstrap"]).succeeded();
    let told = warnings(&run).join("\n");
    let words = "services get HTTPS_PROXY, HTTP_PROXY, https_proxy from /etc/systemd/system.conf.d/proxy.conf; the units of the platform do without them";
    assert!(told.contains(words), "no `{words}`: {told}");
    for unit in ["containerd", "kubelet", "ingot-registry"] {
        let script = format!(
            "tr '\\0' '\\n' < /proc/$(systemctl show -P MainPID {unit})/environ | grep -i proxy || true"
        );
        assert_eq!(shell(&host, &script), "", "{unit} has a proxy");
    }
    println!("  a hardening run on the node that works: ours is the last file");
    let sysctl = "/lib/systemd/systemd-sysctl; cat /proc/sys/net/ipv4/ip_forward";
    assert_eq!(shell(&host, sysctl), "1");
    println!("  and by hand, without a file");
    // The pod network turns forwarding on as well, whenever a pod is made; nobody but us sets the other.
    let settings = ["net/ipv4/ip_forward", "kernel/panic"].map(|name| format!("/proc/sys/{name}"));
    for setting in &settings {
        shell(&host, &format!("echo 0 > {setting}"));
    }
    wait::until(
        "kernel settings to be put back",
        Duration::from_secs(150),
        || match shell(&host, &format!("cat {}", settings.join(" "))).as_str() {
            "1\n10" => Ok(()),
            other => Err(format!("they are {other:?}")),
        },
    );
    let journal = shell(
        &host,
        "journalctl -b --no-pager -o cat -u ingot-sysctl.service",
    );
    assert!(
        journal.contains("kernel.panic was 0, put back to 10"),
        "{journal}"
    );
    cluster.applying_again_changes_nothing();
    println!("  the file of former releases goes");
    shell(
        &host,
        "cp /etc/sysctl.d/zz-ingot.conf /etc/sysctl.d/90-ingot.conf",
    );
    let run = cluster.ingot(&["apply"]).succeeded();
    assert_eq!(run.changed(), 1, "{:?}", run.changes());
    assert_eq!(
        shell(&host, "ls /etc/sysctl.d/90-ingot.conf 2>/dev/null || true"),
        ""
    );
}
