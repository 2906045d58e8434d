//! A host that must not be installed is refused in words, with the exit code of machines, and left alone.
//!
//! Boots a host of its own and destroys nothing else; runs only with INGOT_HOST_TESTS=1.

use ingot_harness::Host;
use ingot_scenarios::Stage;
use ingot_scenarios::cluster::{ALONE, Cluster};
use ingot_scenarios::installer::Run;

/// What the run said of the host, else of the whole; what differs from run to run has a name.
fn told(cluster: &Cluster<'_>, run: &Run) -> String {
    let end = run.end();
    let host = end["failed"]["alone"]["message"].as_str();
    let text = host.or_else(|| end["failure"]["message"].as_str());
    let known_hosts = cluster.lab.driver_dir().join("known_hosts");
    let address = cluster.host("alone").address();
    let text = text
        .unwrap_or_default()
        .replace(&known_hosts.display().to_string(), "KNOWN_HOSTS")
        .replace(&cluster.lab.driver_dir().display().to_string(), "DRIVER")
        .replace(&address.to_string(), "ADDRESS");
    match text.split_once("SHA256:") {
        None => text,
        Some((before, rest)) => {
            let end = rest.find([')', ' ']).unwrap_or(rest.len());
            format!("{before}FINGERPRINT{}", &rest[end..])
        }
    }
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

    let refused = |words: &[&str]| told(&cluster, &cluster.ingot(words).ended_with(3));

    println!("  an unknown host key");
    std::fs::write(&known_hosts, "").expect("known_hosts");
    assert_eq!(
        refused(&["bootstrap"]),
        "the SSH host key of ADDRESS:22 is not known (FINGERPRINT); compare it with the host's console and add it to KNOWN_HOSTS, or run with --accept-new-host-keys"
    );

    println!("  a changed host key");
    let other = "AAAAC3NzaC1lZDI1NTE5AAAAILIG2T/B0l0gaqj3puu510tu9N1OkQ4znY3LYuEm5zCF";
    std::fs::write(&known_hosts, format!("{address} ssh-ed25519 {other}\n")).expect("known_hosts");
    assert_eq!(
        refused(&["bootstrap", "--accept-new-host-keys"]),
        "the SSH host key of ADDRESS:22 is not the one in KNOWN_HOSTS line 1 (FINGERPRINT now); the host was reinstalled, or someone is in between; remove the line only when you know which"
    );
    std::fs::write(&known_hosts, good).expect("known_hosts");

    println!("  a user that is not let in");
    cluster.describe("user: nobody");
    assert_eq!(
        refused(&["bootstrap"]),
        "ADDRESS:22 refuses user `nobody` (key DRIVER/id_ed25519); add the public key to ~nobody/.ssh/authorized_keys on the host, or see in its log (`journalctl -u ssh -u sshd`) what else keeps the user out"
    );

    println!("  a port where nobody listens");
    cluster.describe("port: 2222");
    assert_eq!(
        refused(&["bootstrap"]),
        "cannot connect to ADDRESS:2222; is an SSH server running there?: Connection refused (os error 111)"
    );
    cluster.describe("");

    println!("  a host that does not answer");
    host.unplug().expect("a cable to pull");
    assert_eq!(
        refused(&["bootstrap", "--connect-timeout", "2"]),
        "no answer from ADDRESS:22 within 2 s; is it powered on, is the address right, does a firewall drop the connection?"
    );
    host.plug().expect("a cable to plug in");
    assert_eq!(shell(&host, "ls /var/lib/ingot 2>/dev/null"), "");

    println!("  a file system that forbids programs");
    shell(
        &host,
        "mkdir -p /var/lib/ingot && mount -t tmpfs -o noexec tmpfs /var/lib/ingot",
    );
    let text = refused(&["bootstrap"]);
    let (before, after) = text.split_once("/ingot-").expect("the name of the program");
    assert_eq!(before, "the program /var/lib/ingot/bin");
    let (_, after) = after.split_once(' ').expect("more words");
    assert!(
        after.starts_with("cannot be started on ADDRESS:22: /var/lib/ingot (tmpfs) is mounted noexec, and the programs of the cluster run from there: ")
            && after.contains("ermission denied (status 126); run `mount -o remount,exec /var/lib/ingot` on the host"),
        "{after}"
    );
    shell(&host, "umount /var/lib/ingot && rmdir /var/lib/ingot");

    println!("  a forced command");
    let key = "/root/.ssh/authorized_keys";
    shell(
        &host,
        &format!(
            "cp -p {key} /root/key; sed -i 's/^/command=\"echo Please login as the user debian.;exit 142\" /' {key}"
        ),
    );
    let text = refused(&["bootstrap"]);
    shell(&host, &format!("mv /root/key {key}"));
    assert_eq!(
        text,
        "user `root` is logged in to ADDRESS:22 and can run nothing there: the host said \"Please login as the user debian.\" and ended with status 142; log in as that user, with `user:` and `sudo: {}`"
    );

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
    let text = refused(&["bootstrap"]);
    shell(&host, "kill $(cat /run/squatter)");
    squatter.wait().expect("the end of the program");
    assert_eq!(
        text,
        "1 problem on the hosts, nothing was changed:\n  alone: [ports] TCP port 6443 is taken by `perl`; the API server needs it: stop that program or move it"
    );
    is_untouched(&host);

    println!("  another Kubernetes");
    shell(&host, "mkdir -p /etc/rancher");
    let text = refused(&["bootstrap"]);
    let wanted =
        "alone: [foreign] it runs or has run another Kubernetes or container runtime: /etc/rancher";
    assert!(text.contains(wanted), "{text}");
    shell(&host, "rmdir /etc/rancher");
    is_untouched(&host);

    println!("  the network of another Kubernetes");
    let leftover = "/etc/cni/net.d/05-other.conflist";
    shell(
        &host,
        &format!("mkdir -p /etc/cni/net.d && touch {leftover}"),
    );
    let text = refused(&["bootstrap"]);
    let wanted = format!(
        "alone: [foreign] it runs or has run another Kubernetes or container runtime: {leftover}; remove it first, it is not ours to touch"
    );
    assert!(text.contains(&wanted), "{text}");
    shell(&host, "rm -r /etc/cni");
    is_untouched(&host);

    println!("  a read-only directory");
    shell(
        &host,
        "mount --bind /opt /opt && mount -o remount,ro,bind /opt",
    );
    let text = refused(&["bootstrap"]);
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
    let text = refused(&["bootstrap"]);
    assert!(text.contains("No space left on device"), "{text}");
    shell(&host, "umount /var/lib/ingot");
    is_untouched(&host);

    println!("  a plan changes nothing either");
    cluster.ingot(&["plan"]).ended_with(0);
    is_untouched(&host);
}
