//! The laws every kind of resource obeys: applied twice it changes nothing the second time, drift of
//! any attribute is found and named, and undo puts back what was there.

mod tools;

use ingot_engine::plan::Action;
use ingot_engine::system::{BlobSource, CommandError, CommandOutput, Commands, System};
use ingot_engine::{Catalog, Graph, Journal, Outcome, Plan, Report, apply, document, plan, undo};
use serde_json::json;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// A systemd that keeps the state of its units, and records what it was asked for.
#[derive(Default)]
struct FakeHost {
    units: Mutex<BTreeMap<String, (bool, bool)>>,
    asked: Mutex<Vec<String>>,
    root: PathBuf,
}

impl Commands for FakeHost {
    fn run(&self, program: &str, args: &[&str]) -> Result<CommandOutput, CommandError> {
        // One at a time, as the kernel and the locks of the real tools have it.
        let mut asked = self.asked.lock().unwrap();
        if let Some(output) = tools::run(&self.root, program, args) {
            asked.push(format!("{program} {}", args.join(" ")));
            return Ok(output);
        }
        drop(asked);
        let unit = args.last().copied().unwrap_or_default().to_owned();
        let mut units = self.units.lock().unwrap();
        let (enabled, active) = units.get(&unit).copied().unwrap_or_default();
        let exists =
            units.contains_key(&unit) || self.root.join("etc/systemd/system").join(&unit).exists();
        let mut stdout = String::new();
        let mut status = 0;
        match (program, args.first().copied()) {
            ("systemctl", Some("show")) => {
                stdout = format!(
                    "LoadState={}\nActiveState={}\nUnitFileState={}\nNeedDaemonReload=no\n",
                    if exists { "loaded" } else { "not-found" },
                    if active { "active" } else { "inactive" },
                    if enabled { "enabled" } else { "disabled" },
                );
                if args[1] == "--property=LoadState" {
                    stdout.truncate(stdout.find('\n').unwrap());
                }
            }
            ("systemctl", Some("enable")) => _ = units.insert(unit, (true, active)),
            ("systemctl", Some("disable")) => _ = units.insert(unit, (false, active)),
            ("systemctl", Some("start")) => _ = units.insert(unit, (enabled, true)),
            ("systemctl", Some("stop")) => _ = units.insert(unit, (enabled, false)),
            ("systemctl", Some("daemon-reload" | "restart")) | ("swapoff" | "swapon", _) => {}
            ("modprobe", _) => {
                std::fs::create_dir_all(self.root.join("sys/module").join(&unit)).unwrap()
            }
            ("ctr", _) if args.contains(&"pull") => _ = units.insert(unit, (true, true)),
            ("ctr", _) => {
                let name = unit.trim_start_matches("name==");
                stdout = if units.contains_key(name) {
                    format!("{name}\n")
                } else {
                    String::new()
                };
            }
            ("touch", _) => {
                std::fs::write(self.root.join(unit.trim_start_matches('/')), "").unwrap()
            }
            ("rm", _) => {
                std::fs::remove_file(self.root.join(unit.trim_start_matches('/'))).unwrap()
            }
            _ => status = 127,
        }
        if args.first() != Some(&"show") && args.get(2) != Some(&"ls") {
            self.asked
                .lock()
                .unwrap()
                .push(format!("{program} {}", args.join(" ")));
        }
        Ok(CommandOutput {
            status: Some(status),
            stdout,
            stderr: "refused".into(),
        })
    }
}

struct Blobs(Vec<u8>);

impl BlobSource for Blobs {
    fn open(&self, digest: &str) -> std::io::Result<Box<dyn Read>> {
        // A package stands for what the fake dpkg reads of it: `name:version`.
        if let Some(package) = digest.strip_prefix("sha256:deb-") {
            return Ok(Box::new(std::io::Cursor::new(package.to_owned())));
        }
        Ok(Box::new(std::io::Cursor::new(self.0.clone())))
    }
}

fn layer() -> Vec<u8> {
    let mut tar = tar::Builder::new(zstd::Encoder::new(Vec::new(), 1).unwrap());
    for (name, text) in [("kubelet", "binary"), ("ctr", "other")] {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o755);
        tar.append_data(&mut header, name, text.as_bytes()).unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap()
}

struct Bench {
    root: tempfile::TempDir,
    host: Arc<FakeHost>,
    system: System,
    journal: Journal,
}

impl Bench {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        for dir in [
            "etc/systemd/system",
            "proc/sys/net/ipv4",
            "proc/sys/vm",
            "sys/module",
            "var/cache",
            "var/lib",
            "srv",
        ] {
            std::fs::create_dir_all(root.path().join(dir)).unwrap();
        }
        std::fs::write(root.path().join("proc/sys/net/ipv4/ip_forward"), "0\n").unwrap();
        std::fs::write(
            root.path().join("etc/passwd"),
            "root:x:0:0::/:\nnobody:x:65534:65534::/:\nold:x:700:65534::/home:/bin/sh\n",
        )
        .unwrap();
        std::fs::write(
            root.path().join("etc/group"),
            "root:x:0:\nnogroup:x:65534:\nadm:x:4:old\nloners:x:701:\n",
        )
        .unwrap();
        std::fs::write(
            root.path().join("proc/mounts"),
            "/dev/b / ext4 rw,relatime 0 0\n",
        )
        .unwrap();
        std::fs::write(root.path().join("var/lib/packages"), "have:1.5\n").unwrap();
        std::fs::write(
            root.path().join("etc/fstab"),
            "/dev/a none swap sw 0 0\n/dev/b / ext4 defaults 0 1\n",
        )
        .unwrap();
        let host = Arc::new(FakeHost {
            root: root.path().into(),
            ..FakeHost::default()
        });
        let system = System::below(root.path(), host.clone(), Arc::new(Blobs(layer())));
        let journal = Journal::open(&root.path().join("journal")).unwrap();
        Self {
            root,
            host,
            system,
            journal,
        }
    }

    fn graph(&self, resources: &str) -> Graph {
        let catalog = Catalog::from_files([("s/state.yaml", format!("resources:\n{resources}"))]);
        let declared = document::load(&catalog, &["s".into()], &json!({})).unwrap();
        Graph::resolve(declared).unwrap()
    }

    fn plan(&self, graph: &Graph) -> Plan {
        plan(&self.system, graph, Some(&self.journal)).unwrap()
    }

    fn apply(&self, graph: &Graph) -> Report {
        let report = apply(
            &self.system,
            graph,
            &self.plan(graph),
            &self.journal,
            &|_| {},
        )
        .unwrap();
        assert_eq!(report.failures(), []);
        report
    }

    /// Everything below the root but the journal and the fake kernel: path -> kind, mode, content.
    fn snapshot(&self) -> BTreeMap<PathBuf, String> {
        use std::os::unix::fs::PermissionsExt;
        let mut all = BTreeMap::new();
        let mut pending = vec![self.root.path().to_path_buf()];
        while let Some(dir) = pending.pop() {
            for entry in std::fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                let meta = std::fs::symlink_metadata(&path).unwrap();
                let name = path.strip_prefix(self.root.path()).unwrap().to_path_buf();
                if name == Path::new("journal") || name == Path::new("sys") {
                    continue;
                }
                let content = if meta.is_dir() {
                    pending.push(path.clone());
                    "directory".into()
                } else if meta.is_symlink() {
                    std::fs::read_link(&path).unwrap().display().to_string()
                } else {
                    std::fs::read_to_string(&path).unwrap().trim().to_owned()
                };
                all.insert(name, format!("{:o} {content}", meta.permissions().mode()));
            }
        }
        all
    }

    /// Applies, checks that a second plan is empty, undoes, checks that everything is as before.
    fn laws(&self, resources: &str) {
        let before = self.snapshot();
        let units = self.host.units.lock().unwrap().clone();
        let graph = self.graph(resources);
        assert!(
            !self.plan(&graph).is_empty(),
            "nothing to do at first: {resources}"
        );
        assert!(self.apply(&graph).changed() > 0);
        let again = self.plan(&graph);
        assert!(again.is_empty(), "a second plan is not empty: {again:?}");
        let failures = undo::undo(&self.system, &self.journal, &|_| {}).unwrap();
        assert!(failures.is_empty(), "{failures:?}");
        assert_eq!(
            self.snapshot(),
            before,
            "undo left something of {resources}"
        );
        for (unit, state) in self
            .host
            .units
            .lock()
            .unwrap()
            .iter()
            .filter(|(unit, _)| !unit.contains('@'))
        {
            assert_eq!(
                *state,
                units.get(unit).copied().unwrap_or_default(),
                "{unit}"
            );
        }
    }

    /// The attributes that a plan finds different.
    fn drift(&self, graph: &Graph) -> Vec<String> {
        let plan = self.plan(graph);
        plan.work()
            .flat_map(|p| match &p.action {
                Action::Change { changes } => changes.iter().map(|c| c.attribute.clone()).collect(),
                _ => vec![],
            })
            .collect()
    }

    fn at(&self, path: &str) -> PathBuf {
        self.root.path().join(path)
    }
}

const KINDS: &[&str] = &[
    "  - id: a\n    file: {path: /etc/new.conf, content: 'x', mode: '0600'}\n",
    "  - id: a\n    file: {path: /etc/fstab, content: 'mine'}\n",
    "  - id: a\n    directory: {path: /var/lib/deep/er, mode: '0700'}\n",
    "  - id: a\n    directory: {path: /srv, mode: '0711'}\n",
    "  - id: a\n    symlink: {path: /srv/current, target: releases/1}\n",
    "  - id: a\n    sysctl: {key: net.ipv4.ip_forward, value: '1'}\n",
    "  - id: a\n    kernel_module: {name: overlay}\n",
    "  - id: a\n    unit: {name: x.service, content: '[Service]'}\n",
    "  - id: u\n    unit: {name: x.service, content: '[Service]'}\n  - id: a\n    service: {unit: x.service}\n    require: [u]\n",
    "  - id: a\n    archive: {digest: 'sha256:1', path: /srv/release}\n",
    "  - id: a\n    image: {reference: 'r/i@sha256:1', hosts_dir: /etc/certs.d}\n",
    "  - id: a\n    swap: {enabled: false}\n",
    "  - id: a\n    command: {run: [touch, /srv/done], creates: /srv/done, undo: [rm, /srv/done]}\n",
    "  - id: a\n    group: {name: etcd, gid: 812}\n",
    "  - id: g\n    group: {name: etcd}\n  - id: a\n    user: {name: etcd, group: etcd, groups: [adm], uid: 812}\n    require: [g]\n  - id: d\n    directory: {path: /srv, owner: etcd}\n    require: [a]\n",
    "  - id: a\n    user: {name: loners, group: loners}\n",
    "  - id: a\n    user: {name: old, group: adm, groups: [loners], home: /srv, shell: /bin/false}\n",
    "  - id: a\n    package: {name: socat, version: '1.7', digest: 'sha256:deb-socat:1.7'}\n",
    "  - id: a\n    mount: {path: /data/deep, device: tmpfs, type: tmpfs, options: [nosuid, size=1m]}\n",
    "  - id: a\n    mount: {path: '/my data', device: tmpfs, type: tmpfs}\n  - id: b\n    mount: {path: /srv, device: /dev/c, type: xfs}\n  - id: c\n    swap: {enabled: false}\n",
    "  - id: a\n    mount: {path: /srv, device: tmpfs, type: tmpfs, persistent: false}\n",
];

#[test]
fn every_kind_applies_once_and_can_be_undone() {
    for resources in KINDS {
        Bench::new().laws(resources);
    }
}

#[test]
fn every_kind_has_a_law_test() {
    for kind in ingot_engine::resource::KINDS {
        let named = KINDS
            .iter()
            .any(|text| text.contains(&format!(" {kind}: {{")));
        assert!(named, "no law test for `{kind}`");
    }
}

#[test]
fn drift_of_each_attribute_of_a_file_is_named() {
    use std::os::unix::fs::PermissionsExt;
    let bench = Bench::new();
    let graph = bench.graph("  - id: a\n    file: {path: /etc/f, content: one}\n");
    bench.apply(&graph);
    let path = bench.at("etc/f");
    std::fs::write(&path, "two").unwrap();
    assert_eq!(bench.drift(&graph), ["content"]);
    bench.apply(&graph);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(bench.drift(&graph), ["mode"]);
    bench.apply(&graph);
    if nix::unistd::Uid::effective().is_root() {
        std::os::unix::fs::chown(&path, Some(65534), Some(12)).unwrap();
        assert_eq!(bench.drift(&graph), ["owner", "group"]);
        bench.apply(&graph);
    }
    std::fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink("elsewhere", &path).unwrap();
    assert_eq!(bench.drift(&graph), ["type"]);
    bench.apply(&graph);
    std::fs::remove_file(&path).unwrap();
    assert_eq!(bench.drift(&graph), ["content"]);
    bench.apply(&graph);
    assert_eq!(bench.drift(&graph), [""; 0]);
}

#[test]
fn drift_of_an_archive_a_service_and_a_link_is_named() {
    let bench = Bench::new();
    let graph = bench.graph(
        "  - id: a\n    archive: {digest: 'sha256:1', path: /srv/r}\n  - id: u\n    unit: {name: x.service, content: '[Unit]'}\n  - id: s\n    service: {unit: x.service}\n    require: [u]\n  - id: l\n    symlink: {path: /srv/l, target: r}\n",
    );
    bench.apply(&graph);
    std::fs::remove_file(bench.at("srv/r/ctr")).unwrap();
    std::fs::write(bench.at("srv/r/kubelet"), "tampered").unwrap();
    bench
        .host
        .units
        .lock()
        .unwrap()
        .insert("x.service".into(), (false, false));
    std::fs::remove_file(bench.at("srv/l")).unwrap();
    std::os::unix::fs::symlink("other", bench.at("srv/l")).unwrap();
    let mut found = bench.drift(&graph);
    found.sort();
    assert_eq!(found, ["ctr", "enabled", "kubelet", "running", "target"]);
    bench.apply(&graph);
    assert!(bench.plan(&graph).is_empty());
    assert_eq!(
        std::fs::read_to_string(bench.at("srv/r/kubelet")).unwrap(),
        "binary"
    );
}

const WATCHED: &str = "  - id: c\n    file: {path: /etc/c, content: 'VALUE'}\n  - id: u\n    unit: {name: x.service, content: '[Unit]'}\n  - id: s\n    service: {unit: x.service}\n    require: [u]\n    watch: [c]\n";

#[test]
fn a_watched_change_restarts_a_running_service_and_only_then() {
    let bench = Bench::new();
    bench.apply(&bench.graph(&WATCHED.replace("VALUE", "1")));
    let restarts = || {
        bench
            .host
            .asked
            .lock()
            .unwrap()
            .iter()
            .filter(|a| a.contains("restart"))
            .count()
    };
    assert_eq!(
        restarts(),
        0,
        "a service that was just started needs no restart"
    );
    bench.apply(&bench.graph(&WATCHED.replace("VALUE", "2")));
    assert_eq!(restarts(), 1);
    bench.apply(&bench.graph(&WATCHED.replace("VALUE", "2")));
    assert_eq!(restarts(), 1);
}

#[test]
fn a_restart_that_a_crash_prevented_is_made_up_for() {
    let bench = Bench::new();
    bench.apply(&bench.graph(&WATCHED.replace("VALUE", "1")));
    // The crash: the file was changed and journaled, the restart never came.
    let journal_begin = ingot_engine::journal::Entry::Begin {
        resource: "s/c".into(),
        target: "file /etc/c".into(),
        undo: vec![],
        notify: vec!["s/s".into()],
    };
    bench.journal.append(journal_begin).unwrap();
    std::fs::write(bench.at("etc/c"), "2").unwrap();
    let graph = bench.graph(&WATCHED.replace("VALUE", "2"));
    assert_eq!(bench.apply(&graph).changed(), 1);
    assert!(
        bench
            .host
            .asked
            .lock()
            .unwrap()
            .iter()
            .any(|a| a == "systemctl restart -- x.service")
    );
    assert!(bench.plan(&graph).is_empty());
}

#[test]
fn what_stands_on_a_failure_is_left_alone_and_the_rest_goes_on() {
    let bench = Bench::new();
    let graph = bench.graph(
        "  - id: bad\n    command: {run: [no-such], creates: /srv/never}\n  - id: next\n    directory: {path: /srv/next}\n    require: [bad]\n  - id: after\n    directory: {path: /srv/after}\n    require: [next]\n  - id: other\n    directory: {path: /srv/other}\n",
    );
    let report = apply(
        &bench.system,
        &graph,
        &bench.plan(&graph),
        &bench.journal,
        &|_| {},
    )
    .unwrap();
    assert_eq!(
        report.failures(),
        [(
            "command no-such",
            "`no-such` failed with status 127: refused"
        )]
    );
    assert!(
        matches!(&report.resources[2].2, Outcome::Skipped { .. }),
        "{report:?}"
    );
    assert!(!bench.at("srv/next").exists() && !bench.at("srv/after").exists());
    assert!(bench.at("srv/other").is_dir());
}

#[test]
fn content_that_is_not_ours_is_not_replaced() {
    let bench = Bench::new();
    std::fs::create_dir(bench.at("etc/f")).unwrap();
    std::fs::write(bench.at("srv/d"), "").unwrap();
    let graph = bench.graph("  - id: a\n    file: {path: /etc/f, content: x}\n  - id: b\n    directory: {path: /srv/d}\n");
    let errors = plan(&bench.system, &graph, None).unwrap_err();
    let text: Vec<String> = errors
        .iter()
        .map(|e| format!("{e}: {}", e.source))
        .collect();
    assert_eq!(
        text,
        [
            "s/a (file /etc/f): /etc/f is a directory where a file is wanted; move it away",
            "s/b (directory /srv/d): /srv/d is a file where a directory is wanted; move it away",
        ]
    );
}

#[test]
fn secrets_do_not_show_in_plans() {
    let bench = Bench::new();
    std::fs::write(bench.at("etc/key"), "old-secret").unwrap();
    let graph = bench.graph(
        "  - id: a\n    file: {path: /etc/key, content: new-secret, mode: '0600', secret: true}\n",
    );
    let json = serde_json::to_string(&bench.plan(&graph)).unwrap();
    assert!(
        json.contains("10 bytes") && !json.contains("secret"),
        "{json}"
    );
    let mut old = String::new();
    bench.apply(&graph);
    std::fs::File::open(bench.at("etc/key"))
        .unwrap()
        .read_to_string(&mut old)
        .unwrap();
    assert_eq!(old, "new-secret");
    std::io::stdout().flush().unwrap();
}

#[test]
fn drift_of_a_user_is_named_and_another_id_is_refused() {
    let bench = Bench::new();
    let state = "  - id: g\n    group: {name: etcd, gid: 812}\n  - id: u\n    user: {name: etcd, group: etcd, groups: [adm], uid: 812}\n    require: [g]\n";
    let graph = bench.graph(state);
    bench.apply(&graph);
    let passwd = std::fs::read_to_string(bench.at("etc/passwd")).unwrap();
    assert!(
        passwd.contains("etcd:x:812:812::/nonexistent:/usr/sbin/nologin\n"),
        "{passwd}"
    );
    let drifted = passwd.replace(
        ":812:812::/nonexistent:/usr/sbin/nologin",
        ":812:4::/root:/bin/sh",
    );
    std::fs::write(bench.at("etc/passwd"), drifted).unwrap();
    let group = std::fs::read_to_string(bench.at("etc/group")).unwrap();
    std::fs::write(bench.at("etc/group"), group.replace("old,etcd", "old")).unwrap();
    assert_eq!(bench.drift(&graph), ["group", "groups", "home", "shell"]);
    bench.apply(&graph);
    assert!(bench.plan(&graph).is_empty());
    let graph = bench.graph(&state.replace("812", "813"));
    let errors = plan(&bench.system, &graph, None).unwrap_err();
    let text: Vec<String> = errors.iter().map(|e| e.source.to_string()).collect();
    assert_eq!(
        text,
        [
            "the group `etcd` has the id 812, and 813 is wanted; change it by hand together with the files that carry it, or drop `gid`",
            "the user `etcd` has the id 812, and 813 is wanted; change it by hand together with the files that carry it, or drop `uid`",
        ]
    );
}

#[test]
fn a_package_is_brought_up_to_its_version_and_never_down() {
    let bench = Bench::new();
    let state = |version: &str| {
        bench.graph(&format!("  - id: a\n    package: {{name: have, version: '{version}', digest: 'sha256:deb-have:{version}'}}\n"))
    };
    assert!(
        bench.plan(&state("1.4")).is_empty(),
        "a newer version is left alone"
    );
    std::fs::write(bench.at("var/lib/locked"), "yes").unwrap();
    assert_eq!(bench.drift(&state("1.6")), ["version"]);
    bench.apply(&state("1.6"));
    assert!(bench.plan(&state("1.6")).is_empty());
    assert!(!bench.at("var/cache/ingot").exists());
    let graph = bench
        .graph("  - id: a\n    package: {name: lone, version: '1', digest: 'sha256:deb-lone:1'}\n");
    let report = apply(
        &bench.system,
        &graph,
        &bench.plan(&graph),
        &bench.journal,
        &|_| {},
    )
    .unwrap();
    assert_eq!(
        report.failures(),
        [(
            "package lone",
            "dpkg did not install lone 1: dependency problems prevent configuration of lone; what it depends on must be in the bundle and required"
        )]
    );
}

#[test]
fn a_package_on_a_host_without_dpkg_is_refused_with_the_way_out() {
    struct NoDpkg;
    impl Commands for NoDpkg {
        fn run(&self, program: &str, _: &[&str]) -> Result<CommandOutput, CommandError> {
            let source = std::io::ErrorKind::NotFound.into();
            Err(CommandError::Start {
                program: program.into(),
                source,
            })
        }
    }
    let bench = Bench::new();
    let system = System::below(bench.root.path(), Arc::new(NoDpkg), Arc::new(Blobs(vec![])));
    let graph =
        bench.graph("  - id: a\n    package: {name: socat, version: '1.7', digest: 'sha256:1'}\n");
    let errors = plan(&system, &graph, None).unwrap_err();
    assert_eq!(
        errors[0].source.to_string(),
        "this host has no dpkg, and `socat` is a Debian package; give hosts of other distributions the program as an `archive`"
    );
}

#[test]
fn drift_of_a_mount_is_named_and_what_others_mounted_is_refused() {
    let bench = Bench::new();
    let state = "  - id: a\n    mount: {path: /srv, device: tmpfs, type: tmpfs, options: [nosuid, mode=700]}\n";
    let graph = bench.graph(state);
    bench.apply(&graph);
    let mounts = std::fs::read_to_string(bench.at("proc/mounts")).unwrap();
    std::fs::write(bench.at("proc/mounts"), mounts.replace("nosuid", "rw")).unwrap();
    assert_eq!(bench.drift(&graph), ["options"]);
    bench.apply(&graph);
    let fstab = std::fs::read_to_string(bench.at("etc/fstab")).unwrap();
    std::fs::write(bench.at("etc/fstab"), fstab.replace("mode=700", "mode=777")).unwrap();
    assert_eq!(bench.drift(&graph), ["/etc/fstab"]);
    bench.apply(&graph);
    assert_eq!(
        std::fs::read_to_string(bench.at("etc/fstab")).unwrap(),
        fstab
    );
    std::fs::write(bench.at("proc/mounts"), "").unwrap();
    assert_eq!(bench.drift(&graph), ["mounted"]);

    std::fs::write(bench.at("proc/mounts"), "/dev/z /srv ext4 rw 0 0\n").unwrap();
    let refusal = |bench: &Bench| {
        let graph = bench.graph(state);
        plan(&bench.system, &graph, None).unwrap_err()[0]
            .source
            .to_string()
    };
    assert_eq!(
        refusal(&bench),
        "/dev/z (ext4) is mounted at /srv, and tmpfs (tmpfs) is wanted; unmount it or change the state"
    );
    std::fs::write(bench.at("proc/mounts"), "").unwrap();
    std::fs::write(bench.at("etc/fstab"), "/dev/z /srv ext4 defaults 0 2\n").unwrap();
    assert_eq!(
        refusal(&bench),
        "/etc/fstab has another entry for /srv: `/dev/z /srv ext4 defaults 0 2`, and `tmpfs /srv tmpfs nosuid,mode=700 0 0` is wanted; remove the entry or change the state"
    );
}
