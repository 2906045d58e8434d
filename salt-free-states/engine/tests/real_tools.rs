//! The laws once more with the real useradd, groupadd, mount and dpkg, which a fake only resembles.
//!
//! Runs as root when INGOT_HOST_TESTS is set, and touches nothing of the machine: the test starts
//! itself again in a mount namespace of its own, where /etc, /opt, /var/lib/dpkg, /var/cache and
//! /var/log are copies in memory. Where something is missing it says so and does nothing.

use ingot_engine::system::{BlobSource, System};
use ingot_engine::{Catalog, Graph, Journal, apply, document, plan, undo};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

const INSIDE: &str = "INGOT_TEST_PRIVATE_MOUNTS";

/// What the shell does before the test runs again: nothing is shared, and what will be written to
/// is covered.
const COVER: &str = r#"
set -e
mount --make-rprivate /
mount -t tmpfs -o mode=755 tmpfs "$1"
for directory in /etc /var/lib/dpkg /var/cache /var/log /opt; do
    mkdir -p "$1$directory" "$directory"
    case $directory in /etc | /var/lib/dpkg) cp -a "$directory/." "$1$directory/" ;; esac
    mount --bind "$1$directory" "$directory"
done
exec "$2" --ignored --exact inside --nocapture
"#;

fn missing() -> Option<String> {
    if std::env::var_os("INGOT_HOST_TESTS").is_none() {
        return Some("INGOT_HOST_TESTS=1".into());
    }
    if !nix::unistd::Uid::effective().is_root() {
        return Some("root".into());
    }
    let tools = [
        "unshare", "useradd", "groupadd", "mount", "dpkg", "dpkg-deb",
    ];
    let found = |tool: &&str| {
        let lookup = format!("command -v {tool} >/dev/null");
        Command::new("sh")
            .args(["-c", &lookup])
            .status()
            .is_ok_and(|status| status.success())
    };
    tools
        .iter()
        .find(|tool| !found(tool))
        .map(|tool| (*tool).to_owned())
}

#[test]
fn the_tools_of_this_host_obey_the_laws() {
    if let Some(missing) = missing() {
        println!("skipped: {missing} is missing");
        return;
    }
    let memory = tempfile::tempdir().unwrap();
    let output = Command::new("unshare")
        .args(["--mount", "sh", "-c", COVER, "sh"])
        .arg(memory.path())
        .arg(std::env::current_exe().unwrap())
        .env(INSIDE, "yes")
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success(),
        "{}\n{}",
        text(&output.stdout),
        text(&output.stderr)
    );
    assert!(
        text(&output.stdout).contains("1 passed"),
        "{}",
        text(&output.stdout)
    );
}

struct Packages(PathBuf);

impl BlobSource for Packages {
    fn open(&self, digest: &str) -> std::io::Result<Box<dyn Read>> {
        let name = digest.trim_start_matches("sha256:");
        Ok(Box::new(std::fs::File::open(self.0.join(name))?))
    }
}

/// Builds a .deb of one file below /opt.
fn build(directory: &Path, version: &str) {
    let tree = directory.join(format!("tree-{version}"));
    std::fs::create_dir_all(tree.join("DEBIAN")).unwrap();
    std::fs::create_dir_all(tree.join("opt/ingot-test")).unwrap();
    std::fs::write(tree.join("opt/ingot-test/version"), version).unwrap();
    let control = format!(
        "Package: ingot-test\nVersion: {version}\nArchitecture: all\nMaintainer: nobody <nobody@example.com>\nDescription: nothing\n"
    );
    std::fs::write(tree.join("DEBIAN/control"), control).unwrap();
    let file = directory.join(version);
    let built = Command::new("dpkg-deb")
        .args(["--build", "-Znone"])
        .arg(&tree)
        .arg(file)
        .output();
    assert!(built.unwrap().status.success());
}

/// What the resources below may change and undo must put back.
fn files() -> Vec<(&'static str, String)> {
    [
        "/etc/passwd",
        "/etc/group",
        "/etc/shadow",
        "/etc/gshadow",
        "/etc/fstab",
        "/proc/mounts",
    ]
    .into_iter()
    .map(|path| (path, std::fs::read_to_string(path).unwrap_or_default()))
    .collect()
}

const STATE: &str = "\
resources:
  - id: group
    group: { name: ingot-test, gid: 64123 }
  - id: others
    group: { name: ingot-others }
  - id: user
    user: { name: ingot-test, group: ingot-test, groups: [ingot-others], uid: 64123 }
    require: [group, others]
  - id: directory
    directory: { path: /opt/owned, owner: ingot-test, group: ingot-test }
    require: [user]
  - id: package
    package: { name: ingot-test, version: '1.0', digest: 'sha256:1.0' }
  - id: mount
    mount: { path: '/opt/my data', device: tmpfs, type: tmpfs, options: [nosuid, nodev, size=1m] }
  - id: bind
    mount: { path: /opt/bound, device: /opt/owned, type: none, options: [bind] }
    require: [directory]
";

#[test]
#[ignore = "run by the_tools_of_this_host_obey_the_laws in a mount namespace of its own"]
fn inside() {
    assert_eq!(
        std::env::var(INSIDE).as_deref(),
        Ok("yes"),
        "would change this machine"
    );
    let work = tempfile::tempdir().unwrap();
    build(work.path(), "1.0");
    build(work.path(), "2.0~rc1");
    std::fs::write("/etc/fstab", "# empty\n").unwrap();
    let system = System::this_host(Arc::new(Packages(work.path().into())));
    let journal = Journal::open(&work.path().join("journal")).unwrap();
    let graph = |text: &str| {
        let catalog = Catalog::from_files([("s/state.yaml", text)]);
        let settings = serde_json::json!({});
        Graph::resolve(document::load(&catalog, &["s".into()], &settings).unwrap()).unwrap()
    };
    let run = |graph: &Graph| {
        let planned = plan(&system, graph, Some(&journal)).unwrap();
        let report = apply(&system, graph, &planned, &journal, &|_| {}).unwrap();
        assert_eq!(report.failures(), []);
        let again = plan(&system, graph, Some(&journal)).unwrap();
        assert!(again.is_empty(), "{again:?}");
        report.changed()
    };
    let version = || std::fs::read_to_string("/opt/ingot-test/version").unwrap_or_default();

    let before = files();
    assert_eq!(run(&graph(STATE)), 7);
    assert_eq!(version(), "1.0");
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap();
    assert!(passwd.contains("ingot-test:x:64123:64123::/nonexistent:/usr/sbin/nologin"));
    let fstab = std::fs::read_to_string("/etc/fstab").unwrap();
    assert!(
        fstab.contains("tmpfs /opt/my\\040data tmpfs nosuid,nodev,size=1m 0 0\n"),
        "{fstab}"
    );

    // An update, a moved account and a changed option are found and mended.
    let newer = STATE
        .replace(
            "version: '1.0', digest: 'sha256:1.0'",
            "version: '2.0~rc1', digest: 'sha256:2.0~rc1'",
        )
        .replace("nosuid, nodev", "nosuid, noexec");
    let usermod = [
        "--home",
        "/root",
        "--groups",
        "",
        "--shell",
        "/bin/sh",
        "ingot-test",
    ];
    assert!(
        Command::new("usermod")
            .args(usermod)
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(run(&graph(&newer)), 3);
    assert_eq!(version(), "2.0~rc1");
    // The older version is no reason to go back.
    assert!(
        plan(
            &system,
            &graph(&STATE.replace("nosuid, nodev", "nosuid, noexec")),
            None
        )
        .unwrap()
        .is_empty()
    );

    let failures = undo::undo(&system, &journal, &|_| {}).unwrap().failures;
    assert!(failures.is_empty(), "{failures:?}");
    for ((path, before), (_, after)) in before.iter().zip(files()) {
        assert_eq!(*before, after, "{path}");
    }
    let left: Vec<_> = std::fs::read_dir("/opt")
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    assert!(left.is_empty(), "{left:?}");
    let known = Command::new("dpkg-query")
        .args(["--show", "ingot-test"])
        .output()
        .unwrap();
    assert!(!known.status.success());
}
