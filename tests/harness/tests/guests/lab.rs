//! A guest beside the hosts of a lab.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use ingot_harness::guest::{GuestError, GuestSpec};
use ingot_harness::{HostSpec, Lab, LabSpec, Lifetime, RootVariant};

use crate::guest::{SOON, asked_for, out, succeeds, timed, unique};
use crate::remains::{STATE, nothing_remains};

#[test]
fn a_guest_of_a_lab_is_a_neighbour_of_its_hosts() {
    if !asked_for() {
        return;
    }
    let name = unique("lab");
    let spec = LabSpec {
        name: name.clone(),
        lifetime: Lifetime::Process,
        bridges: 2,
    };
    let lab = Lab::create(spec, &|_| {}).unwrap();
    let host = |name: &str| HostSpec {
        name: name.into(),
        variant: RootVariant::Minimal,
        cpus: None,
        memory: None,
    };
    let first = lab.add_host(host("cp-1")).unwrap();
    let guest = timed("boot in a lab", || {
        lab.add_guest(GuestSpec::new("worker-1"), &|_| {}).unwrap()
    });
    let second = lab.add_host(host("cp-2")).unwrap();
    assert_eq!(guest.ssh_address().unwrap().to_string(), "10.77.0.12:22");
    assert_eq!(second.address().to_string(), "10.77.0.13");
    for (bridge, card) in ["eth0", "eth1"].iter().enumerate() {
        let shown = out(
            &guest,
            &format!("ip -br addr show {card}; cat /sys/class/net/{card}/address"),
        );
        assert!(shown.contains(&format!("10.77.{bridge}.12/24")), "{shown}");
        assert!(
            shown.ends_with(&format!("02:49:4e:47:0{bridge}:02")),
            "{shown}"
        );
        let neighbour = first.addresses()[bridge];
        assert!(succeeds(
            &guest,
            &format!("timeout 9 bash -c '</dev/tcp/{neighbour}/22'")
        ));
        let back = format!("timeout 9 bash -c '</dev/tcp/10.77.{bridge}.12/22'");
        assert!(first.exec(&["bash", "-c", &back]).unwrap().status.success());
    }

    // Whoever drives the lab reaches the guest as it reaches hosts.
    let driver = lab.driver_dir();
    let known = format!(
        "UserKnownHostsFile={}",
        driver.join("known_hosts").display()
    );
    let mut ssh = Command::new("ssh");
    ssh.args([
        "-F/dev/null",
        "-o",
        "BatchMode=yes",
        "-o",
        "StrictHostKeyChecking=yes",
        "-o",
        &known,
    ]);
    ssh.arg("-i")
        .arg(driver.join("id_ed25519"))
        .args(["root@10.77.0.12", "hostname"]);
    lab.enter(&mut ssh).unwrap();
    let output = ssh.stdin(Stdio::null()).output().unwrap();
    assert_eq!(output.stdout, b"worker-1\n", "{output:?}");

    guest.unplug().unwrap();
    assert!(
        !first
            .exec(&["timeout", "5", "bash", "-c", "</dev/tcp/10.77.0.12/22"])
            .unwrap()
            .status
            .success()
    );
    guest.plug().unwrap();
    guest.wait_ssh(SOON).unwrap();

    let same = lab
        .add_guest(GuestSpec::new("worker-1"), &|_| {})
        .unwrap_err();
    assert!(matches!(same, GuestError::Exists(_)), "{same}");
    let known = fs::read_to_string(driver.join("known_hosts")).unwrap();
    assert!(
        known.contains("10.77.0.12,10.77.1.12 ssh-ed25519 "),
        "{known}"
    );
    drop(guest);
    nothing_remains(&format!("{name}/guests"));
    let known = fs::read_to_string(driver.join("known_hosts")).unwrap();
    assert!(
        !known.contains("10.77.0.12") && known.contains("10.77.0.13"),
        "{known}"
    );

    // The other way round: the lab goes first.
    let orphan = lab.add_guest(GuestSpec::new("worker-2"), &|_| {}).unwrap();
    lab.delete().unwrap();
    assert!(!orphan.is_running());
    assert!(!Path::new(STATE).join(&name).exists());
    drop(orphan);
    nothing_remains(&name);
}
