//! A host that must not be installed is refused in words, with the exit code of machines, and left alone.
//!
//! Boots a host of its own and destroys nothing else; runs only with INGOT_HOST_TESTS=1.

use ingot_harness::Host;
use ingot_scenarios::Stage;
use ingot_scenarios::cluster::{ALONE, Cluster};
use ingot_scenarios::installer::Run;

/// What the run said of the whole, and of the host.
fn told(run: &Run) -> String {
    let end = run.end();
    let host = end["failed"]["alone"]["message"].as_str();
    let whole = end["failure"]["message"].as_str();
    format!(
        "{}\n{}",
        host.unwrap_or_default(),
        whole.unwrap_or_default()
    )
}

fn shell(host: &Host, script: &str) -> String {
    let output = host.exec(&["sh", "-c", script]).expect("a shell");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Nothing but the installer's own program, its lease and the record of no change is on the host.
fn is_untouched(host: &Host) {
    let found = shell(
        host,
        "ls -d /etc/kubernetes /etc/containerd /etc/cni /var/lib/kubelet /var/lib/etcd /var/lib/ingot/journal 2>/dev/null",
    );
    assert_eq!(found, "", "the host was changed");
}

#[test]
fn hosts_that_will_not_do() {
    let Some(stage) = Stage::take() else { return };
    let cluster = Cluster::bare(&stage, "refused", ALONE);
    let host = cluster.host("alone");
    let known_hosts = cluster.lab.driver_dir().join("known_hosts");
    let good = std::fs::read_to_string(&known_hosts).expect("known_hosts");
    let address = host.address().to_string();

    println!("  an unknown host key");
    std::fs::write(&known_hosts, "").expect("known_hosts");
    let run = cluster.ingot(&["bootstrap"]).ended_with(3);
    let text = told(&run);
    let wanted = format!("the SSH host key of {address}:22 is not known (SHA256:");
    assert!(text.contains(&wanted), "{text}");
    assert!(text.contains("--accept-new-host-keys"), "{text}");

    println!("  a changed host key");
    let other = "AAAAC3NzaC1lZDI1NTE5AAAAILIG2T/B0l0gaqj3puu510tu9N1OkQ4znY3LYuEm5zCF";
    std::fs::write(&known_hosts, format!("{address} ssh-ed25519 {other}\n")).expect("known_hosts");
    let run = cluster
        .ingot(&["bootstrap", "--accept-new-host-keys"])
        .ended_with(3);
    let text = told(&run);
    assert!(
        text.contains("the host was reinstalled, or someone is in between"),
        "{text}"
    );
    std::fs::write(&known_hosts, good).expect("known_hosts");

    println!("  a user that is not let in");
    cluster.describe("user: nobody");
    let run = cluster.ingot(&["bootstrap"]).ended_with(3);
    let text = told(&run);
    assert!(text.contains("refuses user `nobody`"), "{text}");
    cluster.describe("");
    assert_eq!(shell(&host, "ls /var/lib/ingot 2>/dev/null"), "");

    println!("  a port that is taken");
    let mut squatter = host
        .command("perl")
        .expect("perl")
        .args([
            "-MIO::Socket::INET",
            "-e",
            "$s = IO::Socket::INET->new(Listen => 1, LocalPort => 6443, ReuseAddr => 1) or die; open(F, '>', '/run/squatter') && print(F $$) && close(F); sleep 300",
        ])
        .spawn()
        .expect("a program that takes a port");
    ingot_scenarios::wait::until(
        "the port to be taken",
        std::time::Duration::from_secs(20),
        || {
            let table = shell(&host, "cat /proc/net/tcp");
            if table.contains(":192B ") {
                Ok(())
            } else {
                Err("it is free".to_owned())
            }
        },
    );
    let run = cluster.ingot(&["bootstrap"]).ended_with(3);
    shell(&host, "kill $(cat /run/squatter)");
    squatter.wait().expect("the end of the program");
    let text = told(&run);
    let wanted = "alone: [ports] TCP port 6443 is taken by `perl`; the API server needs it: stop that program or move it";
    assert!(text.contains(wanted), "{text}");
    is_untouched(&host);

    println!("  another Kubernetes");
    shell(&host, "mkdir -p /etc/rancher");
    let run = cluster.ingot(&["bootstrap"]).ended_with(3);
    let text = told(&run);
    let wanted =
        "alone: [foreign] it runs or has run another Kubernetes or container runtime: /etc/rancher";
    assert!(text.contains(wanted), "{text}");
    shell(&host, "rmdir /etc/rancher");
    is_untouched(&host);

    println!("  a read-only directory");
    shell(
        &host,
        "mount --bind /opt /opt && mount -o remount,ro,bind /opt",
    );
    let run = cluster.ingot(&["bootstrap"]).ended_with(3);
    let text = told(&run);
    assert!(
        text.contains("alone: [writable] cannot write to /opt: Read-only file system"),
        "{text}"
    );
    shell(&host, "umount /opt");
    is_untouched(&host);

    println!("  a full disk");
    shell(
        &host,
        "mkdir -p /var/lib/ingot && mount -t tmpfs -o size=1M tmpfs /var/lib/ingot && dd if=/dev/zero of=/var/lib/ingot/full bs=64k 2>/dev/null",
    );
    let run = cluster.ingot(&["bootstrap"]).ended_with(3);
    let text = told(&run);
    assert!(text.contains("No space left on device"), "{text}");
    shell(&host, "umount /var/lib/ingot");
    is_untouched(&host);

    println!("  a plan changes nothing either");
    cluster.ingot(&["plan"]).ended_with(0);
    is_untouched(&host);
}
