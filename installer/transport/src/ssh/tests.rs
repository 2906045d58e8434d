use super::*;
use crate::host::run;
use crate::testing::{Answer, SshServer, write_private_key};
use russh::keys::{Algorithm, EcdsaCurve};
use std::path::Path;

const ECDSA: Algorithm = Algorithm::Ecdsa {
    curve: EcdsaCurve::NistP256,
};

fn server(kinds: &[Algorithm]) -> SshServer {
    SshServer::start(kinds, |_| Answer::well("0\n")).unwrap()
}

fn target(port: u16, key_file: &Path) -> SshTarget {
    SshTarget {
        host: "127.0.0.1".into(),
        port,
        user: "root".into(),
        host_key_alias: None,
        keys: Keys {
            files: vec![key_file.to_owned()],
            only_files: true,
            ..Keys::default()
        },
        sudo: Sudo::No,
        jump: None,
        timeout: Duration::from_secs(60),
        silence: Duration::from_secs(60),
    }
}

/// Connects with `known` as the file of known hosts; what stands in the way, and the file afterwards.
async fn connect(target: &SshTarget, known: &str, accept_new: bool) -> (Option<String>, String) {
    let dir = tempfile::tempdir().unwrap();
    let known_hosts = KnownHosts {
        file: dir.path().join("known_hosts"),
        also: Vec::new(),
        accept_new,
    };
    std::fs::write(&known_hosts.file, known).unwrap();
    let connected = SshHost::connect(target.clone(), &known_hosts, &Pool::default()).await;
    let after = std::fs::read_to_string(&known_hosts.file).unwrap();
    let told = |error: TransportError| {
        let text = match std::error::Error::source(&error) {
            Some(cause) => format!("{error}: {cause}"),
            None => error.to_string(),
        };
        text.replace(&dir.path().display().to_string(), "~")
    };
    (connected.err().map(told), after)
}

#[tokio::test]
async fn a_host_with_keys_of_two_types_is_known_by_either() {
    let dir = tempfile::tempdir().unwrap();
    let key = dir.path().join("key");
    write_private_key(&key).unwrap();
    let server = server(&[Algorithm::Ed25519, ECDSA]);
    let target = target(server.port, &key);
    let name = format!("[127.0.0.1]:{}", server.port);
    for shown in &server.keys {
        let known = format!("{name} {shown}\n");
        assert_eq!(connect(&target, &known, false).await, (None, known));
    }
    let (refusal, learned) = connect(&target, "", true).await;
    assert_eq!(refusal, None);
    assert_eq!(learned, format!("{name} {}\n", server.keys[0]));
    let other = self::server(&[ECDSA]);
    let known = format!("# of before\n{name} {}\n", other.keys[0]);
    let (refusal, after) = connect(&target, &known, true).await;
    let refusal = refusal.unwrap();
    assert!(
        refusal.contains("is not the one in ~/known_hosts line 2 (SHA256:"),
        "{refusal}"
    );
    assert_eq!(after, known);
}

#[tokio::test]
async fn a_host_behind_a_jump_host_has_its_time_to_answer_and_no_more() {
    let dir = tempfile::tempdir().unwrap();
    let key = dir.path().join("key");
    write_private_key(&key).unwrap();
    let jump = server(&[Algorithm::Ed25519]);
    let mut behind = target(22, &key);
    behind.host = "10.0.0.9".into();
    behind.timeout = Duration::from_millis(1);
    behind.jump = Some(Box::new(target(jump.port, &key)));
    let (refusal, _) = connect(&behind, "", true).await;
    assert_eq!(
        refusal.unwrap(),
        format!(
            "no answer from 10.0.0.9:22 through 127.0.0.1:{} within 0 s; is it powered on, is the address right, does a firewall drop the connection?",
            jump.port
        )
    );
}

#[tokio::test]
async fn the_output_of_a_command_has_nothing_of_what_start_up_files_print() {
    let dir = tempfile::tempdir().unwrap();
    let key = dir.path().join("key");
    write_private_key(&key).unwrap();
    let server = SshServer::start(&[Algorithm::Ed25519], |command| match command {
        "id -u" => Answer::well("0\n"),
        other => Answer::well(other),
    })
    .unwrap();
    let known_hosts = KnownHosts {
        file: dir.path().join("known_hosts"),
        also: Vec::new(),
        accept_new: true,
    };
    let host = SshHost::connect(target(server.port, &key), &known_hosts, &Pool::default())
        .await
        .unwrap();
    let output = run(&host, "echo 'it works'", b"").await.unwrap();
    assert_eq!(output.stdout, b"echo 'it works'");
}
