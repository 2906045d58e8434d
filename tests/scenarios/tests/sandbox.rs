//! Somebody tries the product: a sandbox is made by one command, used, listed and removed.
//!
//! Boots hosts of its own and destroys nothing else; runs only with INGOT_HOST_TESTS=1.

use ingot_scenarios::Stage;
use std::process::Command;

/// Runs `ingot sandbox` and returns what it printed.
fn sandbox(stage: &Stage, words: &[&str]) -> String {
    let output = Command::new(&stage.program)
        .arg("sandbox")
        .args(words)
        .env("INGOT_BUNDLE", &stage.bundle)
        .env("INGOT_TRUSTED_KEY", &stage.key)
        .output()
        .expect("the program");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{words:?}: {text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    text
}

/// Removes the sandbox whatever happens.
struct Removed<'a>(&'a Stage, String);

impl Drop for Removed<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let _ = Command::new(&self.0.program)
                .args(["sandbox", "delete", &self.1])
                .output();
        }
    }
}

#[test]
fn sandbox_for_a_try() {
    let Some(stage) = Stage::take() else { return };
    let removed = Removed(&stage, format!("try-{}", std::process::id()));
    let name = removed.1.as_str();
    let words = ["create", name, "--control-planes", "1", "--workers", "0"];
    let told = sandbox(&stage, &words);
    assert!(told.contains("control-plane-1   Ready"), "{told}");
    assert!(told.contains("coredns-"), "{told}");

    // What it says is typed as it stands. Pods of the kubelet's own manifests, such as etcd's, may take a
    // while to be in the API after their containers run, so a pod of the API is looked for.
    let (_, line) = told.split_once("use it:").expect("how to use it");
    let line = line.lines().next().unwrap_or_default().trim();
    let used = Command::new("sh").args(["-c", line]).output().expect("sh");
    let pods = String::from_utf8_lossy(&used.stdout);
    assert!(
        used.status.success() && pods.contains("coredns-"),
        "{used:?}"
    );

    let listed = |stage| {
        sandbox(stage, &["list"])
            .lines()
            .any(|line| line.trim() == name)
    };
    assert!(listed(&stage));
    assert_eq!(
        sandbox(&stage, &["delete", name]),
        format!("removed {name}\n")
    );
    assert!(!listed(&stage));
}
