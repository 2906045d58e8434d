//! Keys as OpenSSH uses them: the order in which they are offered, certificates of users and of hosts, an
//! agent that holds more than a server wants to see.

use crate::client::{Login, ingot, ingot_at, target};
use crate::site::{Agent, Site, User, keygen, must, wanted};
use ingot_transport::{Keys, Secret};
use std::path::{Path, PathBuf};
use std::process::Command;

const ROOT: [User; 1] = [User::new("root", 0, "/bin/bash")];

fn with(keys: Keys) -> Login {
    Login {
        keys,
        ..Login::with("root", Path::new("/nowhere"))
    }
}

/// Keys that no server knows.
fn strangers(site: &Site, count: usize) -> Vec<PathBuf> {
    let paths: Vec<PathBuf> = (0..count)
        .map(|at| site.at(&format!("stranger-{at}")))
        .collect();
    for path in &paths {
        keygen(path, "", &["-t", "ed25519"]);
    }
    paths
}

/// Signs `key` with `authority`; the certificate is beside the key.
fn certify(authority: &Path, key: &Path, arguments: &[&str]) {
    must(
        Command::new("ssh-keygen")
            .args(["-q", "-s"])
            .arg(authority)
            .args(["-I", "of-the-test"])
            .args(arguments)
            .arg(key.with_extension("pub")),
    );
}

#[tokio::test]
async fn an_agent_with_more_keys_than_the_server_wants_to_see() {
    if !wanted() {
        return;
    }
    let site = Site::new(&ROOT);
    let sshd = site.sshd("");
    let agent = Agent::start(site.at("agent"));
    for stranger in strangers(&site, 8) {
        agent.add(&stranger);
    }
    agent.add(&site.key());
    let keys = Keys {
        agent: Some(agent.socket.clone()),
        ..Keys::default()
    };
    let text = ingot(&site, &sshd, &with(keys.clone()))
        .await
        .err()
        .unwrap();
    assert_eq!(
        text.replace(&sshd.port.to_string(), "PORT"),
        "127.0.0.1:PORT ended the log-in of user `root` after 6 keys, 3 were left, and said \"Too many authentication failures\"; name the right one with `keyFile`, so that it is offered first, or raise `MaxAuthTries` in its sshd_config"
    );
    // Named, it is offered first; its public half is enough where the agent signs.
    let key = site.key();
    for files in [vec![key.clone()], vec![key.with_extension("pub")]] {
        for only_files in [true, false] {
            let keys = Keys {
                files: files.clone(),
                only_files,
                ..keys.clone()
            };
            ingot(&site, &sshd, &with(keys)).await.unwrap();
        }
    }
    // One whose passphrase nobody knows is signed for by the agent, too.
    let locked = site.at("locked");
    std::fs::copy(&key, &locked).unwrap();
    must(
        Command::new("ssh-keygen")
            .args(["-q", "-p", "-P", "", "-N", "unknown", "-f"])
            .arg(&locked),
    );
    let keys = Keys {
        files: vec![locked.clone()],
        only_files: true,
        ..keys
    };
    ingot(&site, &sshd, &with(keys.clone())).await.unwrap();
    let keys = Keys {
        agent: None,
        ..keys
    };
    let text = ingot(&site, &sshd, &with(keys)).await.err().unwrap();
    assert!(
        text.ends_with("it has a passphrase; set INGOT_SSH_PASSPHRASE, or add it to an SSH agent"),
        "{text}"
    );
}

#[tokio::test]
async fn a_key_that_the_agent_gives_to_one_server_only() {
    if !wanted() {
        return;
    }
    let site = Site::new(&ROOT);
    let (sshd, other) = (site.sshd(""), site.sshd(""));
    let agent = Agent::start(site.at("agent"));
    must(
        Command::new("ssh-add")
            .arg("-q")
            .arg("-H")
            .arg(site.known_hosts([&sshd]))
            .arg("-h")
            .arg(format!("[127.0.0.1]:{}", sshd.port))
            .arg(site.key())
            .env("SSH_AUTH_SOCK", &agent.socket),
    );
    let keys = Keys {
        agent: Some(agent.socket.clone()),
        ..Keys::default()
    };
    ingot(&site, &sshd, &with(keys.clone())).await.unwrap();
    // Both servers show the same host key, which is what the agent goes by.
    ingot(&site, &other, &with(keys.clone())).await.unwrap();
    keygen(&site.at("another"), "", &["-t", "ed25519"]);
    let stranger = site.sshd(&format!("HostKey {}", site.at("another").display()));
    let public = std::fs::read_to_string(site.at("another.pub")).unwrap();
    let known = site.at("known-stranger");
    std::fs::write(&known, format!("[127.0.0.1]:{} {public}", stranger.port)).unwrap();
    let refused = ingot_at(target(&stranger, &with(keys)), known).await;
    let text = refused.err().unwrap();
    assert!(text.contains("it holds no keys"), "{text}");
}

#[tokio::test]
async fn keys_that_nobody_named_are_those_that_ssh_would_find() {
    if !wanted() {
        return;
    }
    let site = Site::new(&ROOT);
    let sshd = site.sshd("");
    let directory = site.at(".ssh");
    std::fs::create_dir(&directory).unwrap();
    let keys = Keys {
        defaults: Keys::defaults_in(&site.at("")),
        ..Keys::default()
    };
    let text = ingot(&site, &sshd, &with(keys.clone()))
        .await
        .err()
        .unwrap();
    assert_eq!(
        text,
        "cannot use the SSH agent: none is running (SSH_AUTH_SOCK is not set); start one and add a key, or set `keyFile`"
    );
    // One that cannot be used is no reason to stop, and is told when no other one is right.
    keygen(
        &directory.join("id_rsa"),
        "secret",
        &["-t", "rsa", "-b", "2048"],
    );
    std::fs::remove_file(directory.join("id_rsa.pub")).unwrap();
    let text = ingot(&site, &sshd, &with(keys.clone()))
        .await
        .err()
        .unwrap();
    assert!(text.contains("id_rsa: it has a passphrase"), "{text}");
    std::fs::copy(site.key(), directory.join("id_ed25519")).unwrap();
    ingot(&site, &sshd, &with(keys.clone())).await.unwrap();
    let gone = Keys {
        agent: Some(site.at("no-such-agent")),
        defaults: Vec::new(),
        ..keys
    };
    let text = ingot(&site, &sshd, &with(gone)).await.err().unwrap();
    assert!(
        text.contains("no-such-agent: No such file or directory"),
        "{text}"
    );
}

#[tokio::test]
async fn certificates_of_users_let_in() {
    if !wanted() {
        return;
    }
    let site = Site::new(&ROOT);
    let authority = site.at("user_ca");
    keygen(&authority, "", &["-t", "ed25519"]);
    let sshd = site.sshd(&format!(
        "TrustedUserCAKeys {}\nAuthorizedKeysFile none",
        authority.with_extension("pub").display()
    ));
    for kind in [
        &["-t", "ed25519"][..],
        &["-t", "ecdsa", "-b", "256"],
        &["-t", "ecdsa", "-b", "521"],
        &["-t", "rsa", "-b", "2048"],
    ] {
        let key = site.at(&kind.join(""));
        keygen(&key, "", kind);
        let login = Login::with("root", &key);
        let text = ingot(&site, &sshd, &login).await.err().unwrap();
        assert!(text.contains("refuses user `root`"), "{text}");
        certify(&authority, &key, &["-n", "root,admin"]);
        ingot(&site, &sshd, &login)
            .await
            .unwrap_or_else(|error| panic!("{kind:?} beside its key: {error}"));
        // In the agent; ssh-add takes the certificate along.
        let agent = Agent::start(site.at(&format!("agent{}", kind.join(""))));
        agent.add(&key);
        let keys = Keys {
            agent: Some(agent.socket.clone()),
            ..Keys::default()
        };
        ingot(&site, &sshd, &with(keys.clone()))
            .await
            .unwrap_or_else(|error| panic!("{kind:?} in the agent: {error}"));
        // Somewhere else, and named.
        let elsewhere = site.at(&format!("elsewhere{}", kind.join("")));
        let mut beside = key.clone().into_os_string();
        beside.push("-cert.pub");
        std::fs::rename(&beside, &elsewhere).unwrap();
        let keys = Keys {
            files: vec![key.clone()],
            certificates: vec![elsewhere],
            only_files: true,
            ..Keys::default()
        };
        ingot(&site, &sshd, &with(keys))
            .await
            .unwrap_or_else(|error| panic!("{kind:?} elsewhere: {error}"));
    }
    // One that is not for this user, or has ended: refused, and both that were offered are named.
    let key = site.at("other");
    keygen(&key, "", &["-t", "ed25519"]);
    for arguments in [
        &["-n", "somebody"][..],
        &["-n", "root", "-V", "20200101:20200102"],
    ] {
        certify(&authority, &key, arguments);
        let text = ingot(&site, &sshd, &Login::with("root", &key))
            .await
            .err()
            .unwrap();
        assert!(
            text.contains("2 keys: certificate ") && text.contains("other-cert.pub, key "),
            "{text}"
        );
    }
}

#[tokio::test]
async fn a_certificate_of_a_host_is_checked_as_ssh_does() {
    if !wanted() {
        return;
    }
    let site = Site::new(&ROOT);
    let authority = site.at("host_ca");
    keygen(&authority, "", &["-t", "ecdsa"]);
    let public = std::fs::read_to_string(authority.with_extension("pub")).unwrap();
    let known = site.at("known-by-authority");
    for kind in ["ed25519", "rsa", "ecdsa"] {
        let key = site.at(&format!("certified-{kind}"));
        keygen(&key, "", &["-t", kind]);
        for (names, good) in [("127.0.0.1,cp1", true), ("cp1", false)] {
            certify(&authority, &key, &["-h", "-n", names]);
            let sshd = site.sshd(&format!(
                "HostKey {0}\nHostCertificate {0}-cert.pub",
                key.display()
            ));
            std::fs::write(&known, format!("@cert-authority [127.0.0.1]:* {public}")).unwrap();
            let login = Login::with("root", &site.key());
            let result = ingot_at(target(&sshd, &login), known.clone()).await;
            match (good, result) {
                (true, Ok(_)) => {}
                (false, Err(text)) => assert!(
                    text.contains("its certificate is for cp1, not for 127.0.0.1"),
                    "{text}"
                ),
                (_, Ok(_)) => panic!("{kind} {names}: trusted"),
                (_, Err(text)) => panic!("{kind} {names}: {text}"),
            }
        }
    }
}

#[tokio::test]
async fn a_key_with_a_passphrase_opens_with_it() {
    if !wanted() {
        return;
    }
    let site = Site::new(&ROOT);
    let sshd = site.sshd("");
    must(
        Command::new("ssh-keygen")
            .args(["-q", "-p", "-P", "", "-N", "pass", "-f"])
            .arg(site.key()),
    );
    let mut login = Login::with("root", &site.key());
    login.keys.passphrase = Some(Secret::new("pass"));
    ingot(&site, &sshd, &login).await.unwrap();
    login.keys.passphrase = Some(Secret::new("wrong"));
    let text = ingot(&site, &sshd, &login).await.err().unwrap();
    assert!(
        text.ends_with("the passphrase in INGOT_SSH_PASSPHRASE does not open it"),
        "{text}"
    );
}
