//! What `ingot` is given in these tests.

use ingot_bundle::Kind;
use ingot_bundle::testing::{TestBundle, TestKey};
use std::path::{Path, PathBuf};
use std::process::Command;

pub const GOOD: &str = "apiVersion: ingot.dev/v1alpha1
kind: Cluster
metadata: { name: site }
spec:
  ssh: { keyFile: key }
  nodes:
    - { name: n1, address: 192.0.2.7, roles: [control-plane, worker], ssh: { host: 127.0.0.1, port: 1 } }
";

/// A bundle with everything a cluster needs.
pub fn complete() -> TestBundle {
    let part = |name: &&str| {
        let layer = name.as_bytes().to_vec();
        ((*name).to_owned(), Kind::HostBinaries, vec![layer])
    };
    let required = ingot_lifecycle::settings::REQUIRED.iter();
    TestBundle {
        components: required.map(part).collect(),
        ..TestBundle::default()
    }
}

/// A directory with a good cluster.yaml, a private key, a signed bundle and its public key.
pub struct Site {
    pub dir: tempfile::TempDir,
    /// Who signed the bundle.
    pub key: TestKey,
}

impl Site {
    pub fn new() -> Self {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::write(at("cluster.yaml"), GOOD).unwrap();
        std::fs::write(at("key"), include_str!("throw-away-key")).unwrap();
        std::fs::set_permissions(at("key"), std::fs::Permissions::from_mode(0o600)).unwrap();
        let key = TestKey::generate().unwrap();
        std::fs::create_dir(at("bundle")).unwrap();
        complete().write(&at("bundle"), &key).unwrap();
        std::fs::write(at("vendor.pub"), key.public_file().unwrap()).unwrap();
        let other = TestKey::generate().unwrap();
        std::fs::write(at("other.pub"), other.public_file().unwrap()).unwrap();
        Self { dir, key }
    }

    pub fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// `ingot` with these words, to be run in the site's directory.
    pub fn ingot(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ingot"));
        command
            .args(words)
            .current_dir(self.dir.path())
            .env_clear()
            .env("HOME", self.dir.path())
            .env("PATH", "/usr/bin:/bin");
        command
    }

    /// Runs `ingot` with these words; compares what it says and its exit code.
    pub fn refuses(&self, case: &str, code: i32, words: &[&str]) {
        let output = self.ingot(words).output().unwrap();
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
