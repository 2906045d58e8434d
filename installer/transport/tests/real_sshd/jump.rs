//! Many hosts at once, with and without a jump host, on servers that have sshd's own limits.

use crate::client::{Login, target, told, works};
use crate::site::{Site, Sshd, User, wanted};
use futures::future::join_all;
use ingot_transport::ssh::KnownHosts;
use ingot_transport::{Pool, SshHost, SshTarget};
use std::path::Path;

const ROOT: [User; 1] = [User::new("root", 0, "/bin/bash")];
/// sshd's defaults, whatever the distribution has.
const DEFAULTS: &str = "MaxStartups 10:30:100\nMaxSessions 10";

/// How often everything is done; `make ssh-matrix` wants twenty.
fn runs() -> usize {
    let wanted = std::env::var("INGOT_SSH_RUNS").ok();
    wanted.and_then(|text| text.parse().ok()).unwrap_or(2)
}

/// Connects to all at once; what stood in the way of some.
async fn all(
    targets: &[SshTarget],
    known_hosts: &Path,
    pool: &Pool,
) -> (Vec<SshHost>, Vec<String>) {
    let known_hosts = KnownHosts {
        file: known_hosts.to_owned(),
        also: Vec::new(),
        accept_new: false,
    };
    let connecting = targets
        .iter()
        .map(|target| SshHost::connect(target.clone(), &known_hosts, pool));
    let (mut hosts, mut failures) = (Vec::new(), Vec::new());
    for connected in join_all(connecting).await {
        match connected {
            Ok(host) => hosts.push(host),
            Err(error) => failures.push(told(&error)),
        }
    }
    (hosts, failures)
}

/// A server for each of so many hosts, each at an address of its own, all at the same port.
fn hosts(site: &Site, count: u8, settings: &str) -> Vec<Sshd> {
    let first = site.sshd_at("127.0.77.1", site.free_port(), settings);
    let port = first.port;
    let others = (2..=count).map(|at| site.sshd_at(&format!("127.0.77.{at}"), port, settings));
    std::iter::once(first).chain(others).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn many_hosts_behind_one_jump_host_are_all_reached_every_time() {
    if !wanted() {
        return;
    }
    let site = Site::new(&ROOT);
    let servers = hosts(&site, 48, DEFAULTS);
    let jump = site.sshd(DEFAULTS);
    let known = site.known_hosts(servers.iter().chain([&jump]));
    let login = Login::with("root", &site.key());
    let targets: Vec<SshTarget> = servers
        .iter()
        .map(|server| SshTarget {
            jump: Some(Box::new(target(&jump, &login))),
            ..target(server, &login)
        })
        .collect();
    for number in 1..=runs() {
        let (hosts, failures) = all(&targets, &known, &Pool::default()).await;
        assert_eq!(failures, Vec::<String>::new(), "run {number}");
        assert_eq!(hosts.len(), 48);
        join_all(hosts.iter().map(|host| works(host))).await;
        println!("run {number}: all 48 hosts are reached");
    }
    // One log-in a run at the jump host carries everything.
    let log = jump.log();
    assert_eq!(log.matches("Accepted publickey").count(), runs(), "{log}");
    assert!(!log.contains("past MaxStartups"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_ports_of_one_server_are_all_reached() {
    if !wanted() {
        return;
    }
    let site = Site::new(&ROOT);
    // sshd listens at sixteen ports and no more.
    let servers: Vec<(Sshd, Vec<u16>)> = (0..2)
        .map(|_| {
            let ports: Vec<u16> = (0..12).map(|_| site.free_port()).collect();
            let more: String = ports.iter().map(|port| format!("Port {port}\n")).collect();
            (site.sshd(&format!("{more}{DEFAULTS}")), ports)
        })
        .collect();
    let jump = site.sshd(DEFAULTS);
    let login = Login::with("root", &site.key());
    let known = site.at("known-by-port");
    let key = std::fs::read_to_string(site.at("host_ed25519.pub")).unwrap();
    std::fs::write(&known, format!("[127.0.0.1]:* {key}")).unwrap();
    for through in [false, true] {
        let targets: Vec<SshTarget> = servers
            .iter()
            .flat_map(|(server, ports)| ports.iter().map(move |port| (server, *port)))
            .map(|(server, port)| SshTarget {
                port,
                jump: through.then(|| Box::new(target(&jump, &login))),
                ..target(server, &login)
            })
            .collect();
        let (hosts, failures) = all(&targets, &known, &Pool::default()).await;
        assert_eq!(
            failures,
            Vec::<String>::new(),
            "through a jump host: {through}"
        );
        assert_eq!(hosts.len(), 24);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_drops_log_ins_of_others_is_asked_again() {
    if !wanted() {
        return;
    }
    let site = Site::new(&ROOT);
    // Half of those who come while there is one that is not logged in are dropped, from the third on all.
    let server = site.sshd("MaxStartups 1:50:3\nMaxSessions 10");
    let known = site.known_hosts([&server]);
    let login = Login::with("root", &site.key());
    let targets = vec![target(&server, &login); 6];
    // Pools of their own: as many installers, or people, that know nothing of one another.
    let pools: Vec<Pool> = (0..6).map(|_| Pool::default()).collect();
    let connecting = targets
        .iter()
        .zip(&pools)
        .map(|(target, pool)| all(std::slice::from_ref(target), &known, pool));
    let results = join_all(connecting).await;
    for (hosts, failures) in results {
        assert_eq!(failures, Vec::<String>::new());
        assert_eq!(hosts.len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_session_a_connection_is_enough() {
    if !wanted() {
        return;
    }
    let site = Site::new(&ROOT);
    let server = site.sshd("MaxSessions 1");
    let known = site.known_hosts([&server]);
    let login = Login::with("root", &site.key());
    for jump in [false, true] {
        let mut target = target(&server, &login);
        if jump {
            target.jump = Some(Box::new(target.clone()));
        }
        let (hosts, failures) = all(&[target], &known, &Pool::default()).await;
        assert_eq!(failures, Vec::<String>::new());
        // Three commands at the same time, as with an agent and two files that are written.
        let host = &hosts[0];
        join_all([works(host), works(host), works(host)]).await;
        works(host).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_who_may_only_forward_is_enough_on_a_jump_host() {
    if !wanted() {
        return;
    }
    let site = Site::new(&[
        ROOT[0],
        User::new("gate", 4302, "/usr/sbin/nologin"),
        User::new("narrow", 4303, "/bin/false")
            .options("restrict,port-forwarding,command=\"false\""),
    ]);
    let server = site.sshd("");
    // Two jump hosts behind one another, the second one without sessions at all.
    let (outer, inner) = (site.sshd(""), site.sshd("MaxSessions 0"));
    let known = site.known_hosts([&server, &outer, &inner]);
    let login = |user: &str| Login::with(user, &site.key());
    let through = SshTarget {
        jump: Some(Box::new(target(&outer, &login("gate")))),
        ..target(&inner, &login("narrow"))
    };
    let target = SshTarget {
        jump: Some(Box::new(through)),
        ..target(&server, &login("root"))
    };
    let (hosts, failures) = all(&[target.clone(), target], &known, &Pool::default()).await;
    assert_eq!(failures, Vec::<String>::new());
    join_all(hosts.iter().map(|host| works(host))).await;
    assert_eq!(outer.log().matches("Accepted publickey").count(), 1);
}

#[tokio::test]
async fn a_jump_host_that_does_not_forward_is_the_one_that_is_told() {
    if !wanted() {
        return;
    }
    let site = Site::new(&[
        ROOT[0],
        User::new("restricted", 4301, "/bin/sh").options("restrict"),
    ]);
    let server = site.sshd("");
    let login = Login::with("root", &site.key());
    let through = |jump: &Sshd, user: &str, port: u16| SshTarget {
        port,
        jump: Some(Box::new(target(jump, &Login::with(user, &site.key())))),
        ..target(&server, &login)
    };
    let closed = site.free_port();
    for (settings, user, port, said) in [
        (
            "AllowTcpForwarding no",
            "root",
            server.port,
            "the jump host JUMP does not open a connection to HOST: open failed; `AllowTcpForwarding` and `PermitOpen` in its sshd_config and `restrict` or `permitopen` in authorized_keys decide that",
        ),
        (
            "",
            "restricted",
            server.port,
            "the jump host JUMP does not open a connection to HOST: open failed; `AllowTcpForwarding` and `PermitOpen` in its sshd_config and `restrict` or `permitopen` in authorized_keys decide that",
        ),
        (
            "",
            "root",
            closed,
            "cannot connect to HOST through JUMP; is an SSH server running there?: Connection refused",
        ),
        (
            "AllowUsers somebody-else",
            "root",
            server.port,
            "JUMP refuses user `root` (key ~/key); add the public key to ~root/.ssh/authorized_keys on the host, or see in its log (`journalctl -u ssh -u sshd`) what else keeps the user out",
        ),
    ] {
        let jump = site.sshd(settings);
        let known = site.known_hosts([&server, &jump]);
        let target = through(&jump, user, port);
        // Two of them: the second is not kept waiting for what has failed for the first.
        let (_, failures) = all(&[target.clone(), target], &known, &Pool::default()).await;
        assert_eq!(failures.len(), 2);
        for failure in failures {
            let told = failure
                .replace(&format!("127.0.0.1:{}", jump.port), "JUMP")
                .replace(&format!("127.0.0.1:{port}"), "HOST")
                .replace(&site.at("").display().to_string(), "~/");
            assert_eq!(told, said);
        }
    }
}
