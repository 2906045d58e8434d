//! Servers that exist only in the test: everybody may log in, and their agent says what the test has it say.

use super::site::Site;
use super::{BUNDLE, with};
use ingot_bundle::Digest;
use ingot_lifecycle::agent::protocol::Reply;
use ingot_lifecycle::facts::Facts;
use ingot_lifecycle::pki::Authorities;
use ingot_transport::testing::{Algorithm, Answer, SshServer};
use std::process::Output;
use std::time::{SystemTime, UNIX_EPOCH};

/// A server whose agent says this to whatever it is asked.
fn server(reply: &Reply) -> SshServer {
    server_of(std::slice::from_ref(reply))
}

/// A server whose agent says one after the other, whatever it is asked.
fn server_of(replies: &[Reply]) -> SshServer {
    let mut frames = Vec::new();
    for reply in replies {
        let json = serde_json::to_vec(reply).unwrap();
        frames.extend_from_slice(&u32::try_from(json.len()).unwrap().to_be_bytes());
        frames.extend_from_slice(&json);
    }
    let program = std::fs::read(env!("CARGO_BIN_EXE_ingot")).unwrap();
    let digest = Digest::of(&program).hex();
    SshServer::start(&[Algorithm::Ed25519], move |command| match command {
        "id -u" => Answer::well("0\n"),
        look if look.starts_with("sha256sum") => Answer::well(format!("{digest}\n")),
        _ => Answer {
            stdout: frames.clone(),
            status: None,
        },
    })
    .unwrap()
}

/// A site with these control planes: cp1, cp2 and so on.
fn site(servers: &[SshServer]) -> Site {
    let site = Site::new();
    let mut text = "apiVersion: ingot.dev/v1alpha1
kind: Cluster
metadata: { name: site }
spec:
  ssh: { keyFile: key }
  nodes:
"
    .to_owned();
    for (at, server) in servers.iter().enumerate() {
        let (number, port) = (at + 1, server.port);
        text.push_str(&format!(
            "    - {{ name: cp{number}, address: 192.0.2.{number}, roles: [control-plane, worker], ssh: {{ host: 127.0.0.1, port: {port} }} }}\n"
        ));
    }
    std::fs::write(site.at("cluster.yaml"), text).unwrap();
    let known: Vec<String> = servers
        .iter()
        .map(|server| format!("[127.0.0.1]:{} {}\n", server.port, server.keys[0]))
        .collect();
    std::fs::write(site.at("known"), known.concat()).unwrap();
    site
}

fn words<'a>(head: &[&'a str]) -> Vec<&'a str> {
    with(&with(head, &["--known-hosts", "known"]), &BUNDLE)
}

#[test]
fn an_agent_that_answers_another_question_is_a_mistake_of_ours() {
    let site = site(&[server(&Reply::Done { changed: 0 })]);
    site.refuses("answer-to-another-question", 1, &words(&["status"]));
    site.refuses(
        "answer-to-another-question-json",
        1,
        &words(&["kubeconfig", "-o", "json"]),
    );
}

#[test]
fn a_line_of_known_hosts_that_cannot_be_read_is_refused() {
    let site = site(&[server(&Reply::Done { changed: 0 })]);
    let known = std::fs::read_to_string(site.at("known")).unwrap();
    let name = known.split(' ').next().unwrap();
    std::fs::write(site.at("known"), format!("# ours\n{name} ssh-ed25519\n")).unwrap();
    let output = site
        .ingot(&words(&["status", "--accept-new-host-keys"]))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains("known line 2 may be about it and has no key"),
        "{said}"
    );
    assert_eq!(output.status.code(), Some(3));
}

#[test]
fn control_planes_without_an_authority_are_all_named() {
    let site = site(&[
        server(&Reply::Failed {
            reason: "cannot read /etc/kubernetes/pki/ca.key: Input/output error".into(),
        }),
        server(&Reply::Authority { authority: None }),
        server(&Reply::Authority { authority: None }),
    ]);
    site.refuses("no-authority", 3, &words(&["kubeconfig"]));
}

/// A control plane with these authorities, whose clock is that many seconds ahead of the one of this machine.
fn with_authority(authorities: &Authorities, ahead: f64) -> SshServer {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let facts = Facts {
        clock: now.as_secs_f64() + ahead,
        ..Facts::default()
    };
    server_of(&[
        Reply::Authority {
            authority: Some(authorities.files()),
        },
        Reply::Facts {
            facts: Box::new(facts),
        },
    ])
}

#[test]
fn a_kubeconfig_is_not_made_by_a_clock_that_the_control_plane_does_not_share() {
    let authorities = Authorities::generate().unwrap();
    let site = site(&[with_authority(&authorities, -86_400.0)]);
    let answer = site.ingot(&words(&["kubeconfig"])).output().unwrap();
    let said = String::from_utf8_lossy(&answer.stderr);
    assert_eq!(answer.status.code(), Some(3), "{said}");
    assert!(answer.stdout.is_empty());
    for words in ["[clock] the clock of this machine", "ahead of the host"] {
        assert!(said.contains(words), "{said}");
    }
}

#[test]
fn a_kubeconfig_comes_from_whichever_control_plane_can_and_for_any_name() {
    let authorities = Authorities::generate().unwrap();
    let site = site(&[
        server(&Reply::Authority { authority: None }),
        with_authority(&authorities, 0.0),
        server(&Reply::Authority { authority: None }),
    ]);
    let ask = |output: &str| -> Output {
        let head = ["kubeconfig", "--user", "Doe, Jane: \"#1\"", "-o", output];
        site.ingot(&words(&head)).output().unwrap()
    };
    for (output, lines) in [("text", 18), ("json", 1)] {
        let answer = ask(output);
        let said = String::from_utf8_lossy(&answer.stderr);
        assert_eq!(answer.status.code(), Some(0), "{said}");
        let text = String::from_utf8(answer.stdout).unwrap();
        assert_eq!(text.lines().count(), lines, "{text}");
        let found: serde_json::Value = serde_yaml::from_str(&text).unwrap();
        assert_eq!(found["users"][0]["name"], "Doe, Jane: \"#1\"");
        assert_eq!(found["contexts"][0]["context"]["user"], "Doe, Jane: \"#1\"");
        assert_eq!(found["current-context"], found["contexts"][0]["name"]);
        let cluster = &found["clusters"][0]["cluster"];
        assert_eq!(cluster["server"], "https://192.0.2.2:6443");
    }
}
