//! What a bare host is, and what it is not.

use std::fs;

use ingot_harness::{ADMIN_PASSWORD, HostSpec, RootVariant};

use crate::lab::{asked_for, lab, out, spec, ssh, succeeds};

#[test]
fn a_host_boots_and_answers_ssh_under_its_name() {
    if !asked_for() {
        return;
    }
    let lab = lab("ssh", 1);
    let host = lab.add_host(spec("cp-1")).unwrap();
    assert_eq!(host.address().to_string(), "10.77.0.11");
    let output = ssh(
        &lab,
        "root",
        &host,
        "hostname; id -un; cat /proc/1/comm",
        "",
    );
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "cp-1\nroot\nsystemd\n",
        "{output:?}"
    );
    assert_eq!(out(&host, "systemctl --failed --no-legend"), "");
    assert!(
        host.journal()
            .unwrap()
            .contains("Server listening on 0.0.0.0 port 22")
    );
}

#[test]
fn a_bare_host_has_the_promised_minimum_and_no_way_out() {
    if !asked_for() {
        return;
    }
    let lab = lab("bare", 1);
    let host = lab.add_host(spec("bare")).unwrap();
    for absent in [
        "python3",
        "curl",
        "sudo",
        "iptables",
        "nft",
        "modprobe",
        "socat",
        "dbus-daemon",
    ] {
        assert!(
            !succeeds(&host, &format!("command -v {absent}")),
            "{absent} is installed"
        );
    }
    assert_eq!(out(&host, "ip route show default"), "");
    assert_eq!(out(&host, "cat /etc/resolv.conf"), "");
    assert_eq!(
        out(
            &host,
            "grep -rs '^[^#]' /etc/apt/sources.list /etc/apt/sources.list.d || true"
        ),
        ""
    );
    assert!(!succeeds(
        &host,
        "timeout 3 bash -c '</dev/tcp/192.0.2.1/80'"
    ));
    // Nor is the machine itself reachable: the lab's side of the bridge has no listener.
    assert!(!succeeds(
        &host,
        "timeout 3 bash -c '</dev/tcp/10.77.0.1/22'"
    ));
}

#[test]
fn two_hosts_are_two_machines_that_reach_each_other_on_every_bridge() {
    if !asked_for() {
        return;
    }
    let lab = lab("two", 2);
    let hosts = lab.add_hosts(vec![spec("a"), spec("b")], &|_| {}).unwrap();
    let [a, b] = hosts.as_slice() else {
        panic!("two hosts")
    };
    for to in b.addresses() {
        assert!(
            succeeds(a, &format!("timeout 3 bash -c '</dev/tcp/{to}/22'")),
            "{to}"
        );
    }
    assert_ne!(out(a, "cat /etc/machine-id"), out(b, "cat /etc/machine-id"));
    assert_ne!(a.host_key().unwrap(), b.host_key().unwrap());
    let known = fs::read_to_string(lab.driver_dir().join("known_hosts")).unwrap();
    for host in [a, b] {
        let names: Vec<String> = host.addresses().iter().map(ToString::to_string).collect();
        assert!(known.contains(&format!(
            "{} {}\n",
            names.join(","),
            host.host_key().unwrap()
        )));
    }
    let names: Vec<String> = lab
        .hosts()
        .unwrap()
        .iter()
        .map(|h| h.name().to_owned())
        .collect();
    assert_eq!(names, ["a", "b"]);
}

#[test]
fn sudo_users_log_in_with_the_key_and_sudo_asks_whom_it_should() {
    if !asked_for() {
        return;
    }
    let lab = lab("sudo", 1);
    let host = lab
        .add_host(HostSpec {
            variant: RootVariant::Sudo,
            ..spec("s")
        })
        .unwrap();
    let free = ssh(&lab, "deploy", &host, "sudo -n id -u", "");
    assert_eq!(free.stdout, b"0\n", "{free:?}");
    let refused = ssh(&lab, "admin", &host, "sudo -n id -u", "");
    assert!(!refused.status.success(), "{refused:?}");
    let asked = ssh(
        &lab,
        "admin",
        &host,
        "sudo -S -p '' id -u",
        &format!("{ADMIN_PASSWORD}\n"),
    );
    assert_eq!(asked.stdout, b"0\n", "{asked:?}");
    let wrong = ssh(&lab, "admin", &host, "sudo -k -S -p '' id -u", "wrong\n");
    assert!(!wrong.status.success(), "{wrong:?}");
}
