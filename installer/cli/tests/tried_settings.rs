//! What the Kubernetes program of a real bundle says of overrides, before any host is reached: the words of the
//! golden file are its own. Needs INGOT_TOOL_TESTS=1, INGOT_BUNDLE and INGOT_TRUSTED_KEY; reaches nobody.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output};

const HEAD: &str = "apiVersion: ingot.dev/v1alpha1
kind: Cluster
metadata: { name: site }
spec:
  ssh: { agent: true, port: 1 }
  nodes:
    - { name: cp1, address: 192.168.1.10, roles: [control-plane, worker], ssh: { host: 127.0.0.1 } }
";

/// Overrides that are refused, and some that are not.
const CASES: &[(&str, &str)] = &[
    (
        "a flag that is none",
        "  apiServer: { extraArgs: { no-such-flag: x } }",
    ),
    (
        "a number below the range",
        "  apiServer: { extraArgs: { audit-log-maxage: -1 } }",
    ),
    (
        "a text for a number",
        "  apiServer: { extraArgs: { max-requests-inflight: many } }",
    ),
    (
        "a time without a unit",
        "  apiServer: { extraArgs: { request-timeout: 60 } }",
    ),
    (
        "a feature gate that is none",
        "  apiServer: { extraArgs: { feature-gates: NoSuchGate=true } }",
    ),
    (
        "a feature gate that is locked",
        "  apiServer: { extraArgs: { feature-gates: 'DynamicResourceAllocation=false' } }",
    ),
    (
        "an admission plugin that is none",
        "  apiServer: { extraArgs: { enable-admission-plugins: 'NodeRestriction,NoSuchPlugin' } }",
    ),
    (
        "a cipher suite that is none",
        "  apiServer: { extraArgs: { tls-cipher-suites: TLS_NONE } }",
    ),
    (
        "a log format that is none",
        "  apiServer: { extraArgs: { logging-format: xml } }",
    ),
    (
        "an audit format that is none",
        "  apiServer: { extraArgs: { audit-log-format: xml } }",
    ),
    (
        "an API group that is none",
        "  apiServer: { extraArgs: { runtime-config: 'no.such.group/v1=true' } }",
    ),
    (
        "a range of ports that is none",
        "  apiServer: { extraArgs: { service-node-port-range: 'all' } }",
    ),
    (
        "a version that cannot be emulated",
        "  apiServer: { extraArgs: { emulated-version: '1.12' } }",
    ),
    (
        "a token life below an hour",
        "  apiServer: { extraArgs: { service-account-max-token-expiration: 5m } }",
    ),
    (
        "two flags at once",
        "  apiServer: { extraArgs: { goaway-chance: 2, audit-log-maxsize: -5 } }",
    ),
    (
        "a flag on its way out",
        "  apiServer: { extraArgs: { enable-logs-handler: true } }",
    ),
    (
        "a text for a number of the kubelet",
        "  kubelet: { config: { maxPods: '250' } }",
    ),
    (
        "a field that is none",
        "  kubelet: { config: { maximumPods: 250 } }",
    ),
    (
        "a field that is none, below another",
        "  kubelet: { config: { logging: { form: json } } }",
    ),
    (
        "a negative number",
        "  kubelet: { config: { maxPods: -1 } }",
    ),
    (
        "a feature gate of the kubelet that is none",
        "  kubelet: { config: { featureGates: { NoSuchGate: true } } }",
    ),
    (
        "thresholds that are out of order",
        "  kubelet: { config: { imageGCLowThresholdPercent: 90 } }",
    ),
    (
        "a threshold that is no quantity",
        "  kubelet: { config: { evictionHard: { memory.available: lots } } }",
    ),
    (
        "a resource that cannot be reserved",
        "  kubelet: { config: { systemReserved: { gpu: '1' } } }",
    ),
    (
        "static processors without any reserved",
        "  kubelet: { config: { cpuManagerPolicy: static } }",
    ),
    (
        "a policy that is none",
        "  kubelet: { config: { topologyManagerPolicy: best } }",
    ),
    (
        "a size that is none",
        "  kubelet: { config: { containerLogMaxSize: 10 megabytes } }",
    ),
    (
        "a time that is none",
        "  kubelet: { config: { shutdownGracePeriod: soon } }",
    ),
    (
        "both at once",
        "  apiServer: { extraArgs: { no-such-flag: x } }\n  kubelet: { config: { maxPods: '250' } }",
    ),
    (
        "flags that are good",
        "  apiServer: { extraArgs: { v: 4, audit-log-maxage: 7, emulated-version: '1.35', feature-gates: 'AllAlpha=false' } }",
    ),
    (
        "fields that are good",
        "  kubelet: { config: { maxPods: 200, evictionHard: { memory.available: 5% }, systemReserved: { cpu: 100m }, cpuManagerPolicy: static } }",
    ),
];

fn plan(directory: &Path, overrides: &str, more: &[&str]) -> Output {
    let config = directory.join("cluster.yaml");
    std::fs::write(&config, format!("{HEAD}{overrides}\n")).unwrap();
    std::fs::write(directory.join("known_hosts"), "").unwrap();
    Command::new(env!("CARGO_BIN_EXE_ingot"))
        .args([
            "plan",
            "--connect-timeout",
            "2",
            "--known-hosts",
            "known_hosts",
            "-c",
        ])
        // As a person in that directory names it.
        .arg("cluster.yaml")
        .args(more)
        .current_dir(directory)
        .env("HOME", directory)
        .env_remove("SSH_AUTH_SOCK")
        .env_remove("XDG_CACHE_HOME")
        .output()
        .unwrap()
}

fn bundle_is_there() -> bool {
    if std::env::var_os("INGOT_TOOL_TESTS").is_some() && std::env::var_os("INGOT_BUNDLE").is_some()
    {
        return true;
    }
    let _ = writeln!(
        std::io::stderr(),
        "not run: it asks the programs of a bundle; set INGOT_TOOL_TESTS=1, INGOT_BUNDLE and INGOT_TRUSTED_KEY"
    );
    false
}

/// What was said, without what comes after the findings.
fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr)
        .lines()
        .filter(|line| line.contains("cluster.yaml:") || line.contains("were not tried"))
        .map(|line| line.trim_start_matches("error: ").trim().to_owned() + "\n")
        .collect()
}

#[test]
fn the_programs_of_the_bundle_say_what_they_would_not_start_with() {
    if !bundle_is_there() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let mut text = String::new();
    for (case, overrides) in CASES {
        let output = plan(directory.path(), overrides, &[]);
        // Nobody listens where the host should be, which is found after this.
        let told = told(&output);
        let refused = output.status.code() == Some(2) && told.contains(" refuses it: ");
        let end = if refused {
            "refused"
        } else {
            "tried and taken"
        };
        text.push_str(&format!("# {case}\n{end}\n{told}\n"));
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tried-settings.txt");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap_or_default(), text);
    let kept = directory.path().join(".cache/ingot/tried-settings");
    assert!(std::fs::read_dir(kept).unwrap().count() >= CASES.len());
}

#[test]
fn who_knows_better_goes_on_all_the_same() {
    if !bundle_is_there() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let overrides = "  apiServer: { extraArgs: { feature-gates: NoSuchGate=true } }";
    let output = plan(directory.path(), overrides, &["--ignore-check", "settings"]);
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(words.contains("ignored: cluster.yaml:8:"), "{words}");
    // It went on to where nobody listens.
    assert_eq!(output.status.code(), Some(3), "{words}");
}
