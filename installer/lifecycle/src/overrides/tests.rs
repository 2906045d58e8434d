use super::*;
use ingot_cluster::{FakeFiles, load};
use std::collections::BTreeMap;
use std::sync::Mutex;

const PLAIN: &str = "
apiVersion: ingot.dev/v1alpha1
kind: Cluster
metadata: { name: site }
spec:
  ssh: { agent: true }
  nodes:
    - { name: cp1, address: 10.0.0.1, roles: [control-plane] }
";

const OVERRIDES: &str = "  apiServer:
    extraArgs:
      audit-log-maxage: -1
      no-such-flag: x
  kubelet:
    config:
      maxPods: \"250\"
      featureGates: { NoSuchGate: true }
";

fn release() -> Release {
    Release {
        version: "1.2.3".into(),
        kubernetes: None,
        content: String::new(),
        binaries: BTreeMap::new(),
        images: BTreeMap::new(),
    }
}

fn complaint(setting: &str, message: &str, refused: bool) -> Complaint {
    Complaint {
        setting: setting.into(),
        message: message.into(),
        refused,
    }
}

fn checked(text: &str, ask: &dyn Fn(&Question) -> Result<Answer, AskError>) -> Outcome {
    let loaded = load("cluster.yaml", text, &FakeFiles::default())
        .unwrap_or_else(|findings| panic!("{findings}"));
    check(&loaded.cluster, &loaded.places, (&release(), "1.36.3"), ask)
}

fn answer(findings: Vec<Complaint>) -> Result<Answer, AskError> {
    Ok(Answer {
        format_version: 1,
        findings,
    })
}

#[test]
fn nothing_is_asked_where_nothing_is_overridden() {
    let outcome = checked(PLAIN, &|question| panic!("{question:?}"));
    assert_eq!(outcome.findings.iter().count(), 0);
    assert_eq!(outcome.unasked.len(), 0);
}

#[test]
fn what_the_programs_say_has_a_line_and_a_column() {
    let outcome = checked(&format!("{PLAIN}{OVERRIDES}"), &|question| {
        answer(match question.component.name() {
            "kube-apiserver" => vec![
                complaint(
                    "audit-log-maxage",
                    "--audit-log-maxage -1 can't be a negative number",
                    true,
                ),
                complaint("no-such-flag", "unknown flag: --no-such-flag", true),
            ],
            _ => vec![
                complaint("maxPods", "json: cannot unmarshal string", true),
                complaint(
                    "featureGates.NoSuchGate",
                    "unrecognized feature gate: NoSuchGate",
                    true,
                ),
                complaint("maxPods", "is old", false),
            ],
        })
    });
    assert_eq!(
        outcome.findings.to_string(),
        "cluster.yaml:11:25: kube-apiserver 1.36.3 refuses it: --audit-log-maxage -1 can't be a negative number; correct it, or remove it
cluster.yaml:12:7: kube-apiserver 1.36.3 refuses it: unknown flag: --no-such-flag; correct it, or remove it
cluster.yaml:15:16: kubelet 1.36.3 refuses it: json: cannot unmarshal string; correct it, or remove it
cluster.yaml:15:16: warning: kubelet 1.36.3 says: is old; replace it before the next upgrade
cluster.yaml:16:35: kubelet 1.36.3 refuses it: unrecognized feature gate: NoSuchGate; correct it, or remove it"
    );
    assert_eq!(outcome.findings.errors(), 4);
}

#[test]
fn the_components_are_given_all_that_they_will_start_with() {
    let asked = Mutex::new(Vec::new());
    checked(&format!("{PLAIN}{OVERRIDES}"), &|question| {
        asked.lock().unwrap().push(question.clone());
        answer(Vec::new())
    });
    let asked = asked.into_inner().unwrap();
    let [api_server, kubelet] = asked.as_slice() else {
        panic!("{asked:?}");
    };
    assert_eq!(api_server.base["advertise-address"], "10.0.0.1");
    assert_eq!(api_server.base["audit-log-maxage"], "30");
    assert_eq!(api_server.overrides["audit-log-maxage"], "-1");
    assert_eq!(kubelet.base["staticPodPath"], "/etc/kubernetes/manifests");
    assert_eq!(kubelet.overrides["maxPods"], "250");
}

/// Said of no override, and without any as well, it is not cluster.yaml that is wrong.
#[test]
fn what_is_said_without_overrides_too_is_not_held_against_them() {
    let outcome = checked(&format!("{PLAIN}{OVERRIDES}"), &|question| {
        let mut findings = vec![complaint("", "no such file", true)];
        if !question.overrides.is_empty() {
            findings.push(complaint("", "they do not go together", true));
        }
        answer(findings)
    });
    assert_eq!(
        outcome.findings.to_string(),
        "cluster.yaml:11:7: kube-apiserver 1.36.3 refuses it: they do not go together; correct it, or remove it
cluster.yaml:15:7: kubelet 1.36.3 refuses it: they do not go together; correct it, or remove it"
    );
}

#[test]
fn a_program_that_cannot_be_asked_is_told_and_refuses_nothing() {
    let outcome = checked(&format!("{PLAIN}{OVERRIDES}"), &|_| Err(AskError::Missing));
    assert_eq!(outcome.findings.errors(), 0);
    let told: Vec<String> = outcome.unasked.iter().map(ToString::to_string).collect();
    assert_eq!(told, ["the bundle has no component `kubelet`"; 2]);
}
