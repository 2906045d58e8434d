use super::*;
use crate::ssh::{SshHost, Sudo};
use crate::testing::{Answer, SshServer, write_private_key};
use russh::keys::{Algorithm, EcdsaCurve};
use std::path::Path;
use std::time::Duration;

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
        key_file: Some(key_file.to_owned()),
        passphrase: None,
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
        accept_new,
    };
    std::fs::write(&known_hosts.file, known).unwrap();
    let refusal = SshHost::connect(target.clone(), &known_hosts).await.err();
    let after = std::fs::read_to_string(&known_hosts.file).unwrap();
    let told = |error: TransportError| {
        let text = match std::error::Error::source(&error) {
            Some(cause) => format!("{error}: {cause}"),
            None => error.to_string(),
        };
        text.replace(&dir.path().display().to_string(), "~")
    };
    (refusal.map(told), after)
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
async fn a_name_is_reached_by_whichever_of_its_addresses_answers() {
    let server = server(&[Algorithm::Ed25519]);
    let there = SocketAddr::from(([127, 0, 0, 1], server.port));
    // Nothing listens on port 1.
    let (one, two) = (
        SocketAddr::from(([127, 0, 0, 1], 1)),
        SocketAddr::from(([127, 0, 0, 2], 1)),
    );
    let mut target = target(server.port, Path::new("key"));
    let stream = first_that_answers(&target, vec![one, two, there])
        .await
        .unwrap();
    assert_eq!(stream.peer_addr().unwrap(), there);
    target.host = "cp1".into();
    target.port = 22;
    let error = first_that_answers(&target, vec![one, two])
        .await
        .unwrap_err();
    let TransportError::Connect { address, source } = error else {
        panic!("{error}");
    };
    assert_eq!(address, "cp1:22");
    assert_eq!(
        source.to_string(),
        "127.0.0.1: Connection refused (os error 111); 127.0.0.2: Connection refused (os error 111)"
    );
    let error = first_that_answers(&target, Vec::new()).await.unwrap_err();
    assert!(matches!(error, TransportError::Resolve { .. }), "{error}");
}
