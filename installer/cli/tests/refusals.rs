//! What the program says when it is given something wrong: whole outputs as golden files, exit codes, and
//! no host touched. `UPDATE_GOLDEN=1` rewrites them.

use ingot_bundle::Kind;
use ingot_bundle::testing::{TestBundle, TestKey};
use std::path::{Path, PathBuf};
use std::process::Command;

const GOOD: &str = "apiVersion: ingot.dev/v1alpha1
kind: Cluster
metadata: { name: site }
spec:
  ssh: { keyFile: key }
  nodes:
    - { name: n1, address: 192.0.2.7, roles: [control-plane, worker], ssh: { host: 127.0.0.1, port: 1 } }
";

/// A bundle with everything a cluster needs.
fn complete() -> TestBundle {
    let part = |name: &&str| {
        (
            (*name).to_owned(),
            Kind::HostBinaries,
            vec![name.as_bytes().to_vec()],
        )
    };
    TestBundle {
        components: ingot_lifecycle::settings::REQUIRED
            .iter()
            .map(part)
            .collect(),
        ..TestBundle::default()
    }
}

/// A directory with a good cluster.yaml, a private key, a signed bundle and its public key.
struct Site {
    dir: tempfile::TempDir,
    key: TestKey,
}

impl Site {
    fn new() -> Self {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::write(at("cluster.yaml"), GOOD).unwrap();
        std::fs::write(at("key"), include_str!("refusals/throw-away-key")).unwrap();
        std::fs::set_permissions(at("key"), std::fs::Permissions::from_mode(0o600)).unwrap();
        let key = TestKey::generate().unwrap();
        std::fs::create_dir(at("bundle")).unwrap();
        complete().write(&at("bundle"), &key).unwrap();
        std::fs::write(at("vendor.pub"), key.public_file().unwrap()).unwrap();
        let other = TestKey::generate().unwrap();
        std::fs::write(at("other.pub"), other.public_file().unwrap()).unwrap();
        Self { dir, key }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Runs `ingot` with these words in the site's directory; compares what it says and its exit code.
    fn refuses(&self, case: &str, code: i32, words: &[&str]) {
        let output = Command::new(env!("CARGO_BIN_EXE_ingot"))
            .args(words)
            .current_dir(self.dir.path())
            .env_clear()
            .env("HOME", self.dir.path())
            .env("PATH", "/usr/bin:/bin")
            .output()
            .unwrap();
        let mut text = format!("$ ingot {}\n", words.join(" "));
        text.push_str(&String::from_utf8_lossy(&output.stdout));
        text.push_str(&String::from_utf8_lossy(&output.stderr));
        text = text.replace(&self.dir.path().display().to_string(), "SITE");
        text = stable(&text);
        text.push_str(&format!(
            "exit code {}\n",
            output.status.code().unwrap_or(-1)
        ));
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/refusals")
            .join(format!("{case}.txt"));
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&path, &text).unwrap();
        }
        assert_eq!(
            std::fs::read_to_string(&path).unwrap_or_default(),
            text,
            "{} differs",
            path.display()
        );
        assert_eq!(output.status.code(), Some(code), "{text}");
    }
}

/// Durations and key ids differ from run to run.
fn stable(text: &str) -> String {
    let mut lines = Vec::new();
    for line in text.lines() {
        let words = line.split(' ').map(|word| {
            let hex = word
                .trim_end_matches([',', ';', '.', ')'])
                .trim_start_matches('(');
            let id = hex.len() == 16 && hex.chars().all(|c| c.is_ascii_hexdigit());
            if id {
                word.replace(hex, "KEYID")
            } else {
                word.to_owned()
            }
        });
        let line = words.collect::<Vec<_>>().join(" ");
        // "  connect            0.0 s  nothing to do"
        lines.push(match line.split_once(" s  ") {
            Some((head, rest)) if line.starts_with("  ") => {
                format!(
                    "{} T s  {rest}",
                    head.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.' || c == ' ')
                )
            }
            _ => line,
        });
    }
    lines.join("\n") + "\n"
}

const BUNDLE: [&str; 4] = ["--bundle", "bundle", "--key", "vendor.pub"];

fn with<'a>(head: &[&'a str], tail: &[&'a str]) -> Vec<&'a str> {
    [head, tail].concat()
}

#[test]
fn the_description_of_the_cluster() {
    let site = Site::new();
    site.refuses(
        "config-missing",
        2,
        &with(&["bootstrap", "-c", "none.yaml"], &BUNDLE),
    );
    std::fs::write(
        site.at("bad.yaml"),
        GOOD.replace("roles: [control-plane, worker]", "role: master")
            .replace("site", "Site!"),
    )
    .unwrap();
    site.refuses(
        "config-wrong",
        2,
        &with(&["plan", "-c", "bad.yaml"], &BUNDLE),
    );
    std::fs::write(
        site.at("nokey.yaml"),
        GOOD.replace("keyFile: key", "keyFile: lost"),
    )
    .unwrap();
    site.refuses(
        "key-file-missing",
        2,
        &with(&["bootstrap", "-c", "nokey.yaml"], &BUNDLE),
    );
}

#[test]
fn the_authorities_of_registries() {
    let site = Site::new();
    let registries = "spec:
  registries:
    - { host: a.example.org, caFile: ca.der }
    - { host: b.example.org, caFile: ca.pem }
";
    std::fs::write(site.at("ca.der"), "0\u{82}").unwrap();
    std::fs::write(site.at("ca.pem"), [0x30, 0x82, 0xff]).unwrap();
    std::fs::write(
        site.at("registries.yaml"),
        GOOD.replace("spec:\n", registries),
    )
    .unwrap();
    site.refuses(
        "registry-ca-wrong",
        2,
        &with(&["plan", "-c", "registries.yaml"], &BUNDLE),
    );
}

#[test]
fn the_bundle() {
    let site = Site::new();
    site.refuses(
        "bundle-missing",
        2,
        &["bootstrap", "--bundle", "none.iso", "--key", "vendor.pub"],
    );
    site.refuses(
        "no-trusted-key",
        2,
        &["bundle", "verify", "--bundle", "bundle"],
    );
    site.refuses(
        "trusted-key-missing",
        2,
        &[
            "bundle", "verify", "--bundle", "bundle", "--key", "none.pub",
        ],
    );
    site.refuses(
        "wrong-key",
        2,
        &["bootstrap", "--bundle", "bundle", "--key", "other.pub"],
    );
    std::fs::write(site.at("text.iso"), "not an image").unwrap();
    site.refuses(
        "not-a-bundle",
        2,
        &["bootstrap", "--bundle", "text.iso", "--key", "vendor.pub"],
    );
    std::fs::remove_file(site.at("bundle/bundle.json.minisig")).unwrap();
    site.refuses("unsigned", 2, &with(&["bootstrap"], &BUNDLE));
}

#[test]
fn a_bundle_that_is_not_for_this_cluster() {
    let site = Site::new();
    let replace = |bundle: TestBundle| {
        std::fs::remove_dir_all(site.at("bundle")).unwrap();
        std::fs::create_dir(site.at("bundle")).unwrap();
        bundle.write(&site.at("bundle"), &site.key).unwrap();
    };
    let mut incomplete = complete();
    incomplete
        .components
        .retain(|(name, _, _)| !["etcd", "kubelet"].contains(&name.as_str()));
    replace(incomplete);
    // Host 192.0.2.7 is never asked: the port it is reached at refuses, which would be exit code 3.
    for verb in ["bootstrap", "apply", "plan"] {
        site.refuses(
            &format!("component-missing-{verb}"),
            2,
            &with(&[verb], &BUNDLE),
        );
    }
    replace(TestBundle {
        architecture: "arm64".into(),
        ..complete()
    });
    site.refuses("wrong-architecture", 2, &with(&["bootstrap"], &BUNDLE));
    replace(complete());
    let path = site.at("bundle/bundle.json");
    let text = std::fs::read_to_string(&path).unwrap();
    let newer = text.replacen("\"formatVersion\": 1", "\"formatVersion\": 99", 1);
    assert_ne!(text, newer, "the manifest says its format otherwise");
    std::fs::write(&path, &newer).unwrap();
    let signature = site.key.sign(newer.as_bytes()).unwrap();
    std::fs::write(site.at("bundle/bundle.json.minisig"), signature).unwrap();
    site.refuses("newer-format", 2, &with(&["bootstrap"], &BUNDLE));
}

#[test]
fn a_flipped_byte_in_the_table_of_contents() {
    let site = Site::new();
    let path = site.at("bundle/bundle.json");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[40] ^= 1;
    std::fs::write(path, bytes).unwrap();
    site.refuses("flipped-byte", 2, &with(&["bootstrap"], &BUNDLE));
}

#[test]
fn the_command_line() {
    let site = Site::new();
    site.refuses(
        "reset-unconfirmed",
        2,
        &with(&["node", "reset", "n1"], &BUNDLE),
    );
    site.refuses(
        "reset-unknown-node",
        2,
        &with(&["node", "reset", "n2", "--yes"], &BUNDLE),
    );
    site.refuses("unknown-verb", 2, &["boostrap"]);
    site.refuses("unknown-option", 2, &with(&["apply", "--forse"], &BUNDLE));
}

#[test]
fn hosts_that_do_not_answer() {
    let site = Site::new();
    // Nothing listens on port 1 of this machine.
    site.refuses("ssh-refused", 3, &with(&["bootstrap"], &BUNDLE));
    site.refuses(
        "volume-no-control-plane",
        3,
        &with(&["volume", "list", "-o", "json"], &BUNDLE),
    );
    let unresolved = GOOD.replace("host: 127.0.0.1, port: 1", "host: no-such-host.invalid");
    std::fs::write(site.at("unresolved.yaml"), unresolved).unwrap();
    site.refuses(
        "name-unknown",
        3,
        &with(&["bootstrap", "-c", "unresolved.yaml"], &BUNDLE),
    );
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    // A server that accepts and says nothing.
    std::fs::write(
        site.at("silent.yaml"),
        GOOD.replace("port: 1", &format!("port: {port}")),
    )
    .unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_ingot"))
        .args(with(
            &["bootstrap", "-c", "silent.yaml", "--connect-timeout", "1"],
            &BUNDLE,
        ))
        .current_dir(site.dir.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(
        text.contains(&format!("no answer from 127.0.0.1:{port} within 1 s")),
        "{text}"
    );
    assert_eq!(output.status.code(), Some(3));
}
