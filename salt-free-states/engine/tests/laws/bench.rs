//! A host to apply states to: real files below a directory, systemd and the tools of a host in memory.

use crate::tools;
use ingot_engine::plan::Action;
use ingot_engine::system::{BlobSource, CommandError, CommandOutput, Commands, System};
use ingot_engine::{Catalog, Graph, Journal, Plan, Report, apply, document, plan, undo};
use serde_json::json;
use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// A systemd that keeps the state of its units, and records what it was asked for.
#[derive(Default)]
pub struct FakeHost {
    pub units: Mutex<BTreeMap<String, (bool, bool)>>,
    pub asked: Mutex<Vec<String>>,
    /// How often it was asked for the state of units.
    pub looks: AtomicUsize,
    /// The command of this number from now on, from 1, is refused; 0 for none.
    pub fail_after: AtomicUsize,
    /// Unit files as systemd has read them last.
    pub loaded: Mutex<BTreeMap<String, String>>,
    /// The units that were started or restarted, and with which unit file.
    pub started: Mutex<Vec<(String, Option<String>)>>,
    pub root: PathBuf,
}

impl FakeHost {
    /// The unit files that are there now.
    pub fn unit_files(&self) -> BTreeMap<String, String> {
        let all = std::fs::read_dir(self.root.join("etc/systemd/system")).unwrap();
        let content = |path: PathBuf| std::fs::read_to_string(path).unwrap_or_default();
        all.map(|entry| entry.unwrap())
            .map(|entry| {
                (
                    entry.file_name().into_string().unwrap(),
                    content(entry.path()),
                )
            })
            .collect()
    }

    /// What a unit that systemd does not know yet is read for.
    fn start(&self, unit: &str) {
        let mut loaded = self.loaded.lock().unwrap();
        if !loaded.contains_key(unit)
            && let Some(content) = self.unit_files().remove(unit)
        {
            loaded.insert(unit.to_owned(), content);
        }
        let with = (unit.to_owned(), loaded.get(unit).cloned());
        self.started.lock().unwrap().push(with);
    }
}

impl Commands for FakeHost {
    fn run(&self, program: &str, args: &[&str]) -> Result<CommandOutput, CommandError> {
        let left = self.fail_after.load(Ordering::Relaxed);
        self.fail_after
            .store(left.saturating_sub(1), Ordering::Relaxed);
        if left == 1 {
            return Ok(CommandOutput {
                status: Some(1),
                stdout: String::new(),
                stderr: "refused".into(),
            });
        }
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
        let mut stdout = String::new();
        let mut status = 0;
        match (program, args.first().copied()) {
            ("systemctl", Some("daemon-reload" | "enable" | "disable")) => {
                *self.loaded.lock().unwrap() = self.unit_files();
            }
            ("systemctl", Some("start" | "restart")) => self.start(&unit),
            _ => {}
        }
        match (program, args.first().copied()) {
            ("systemctl", Some("show")) => {
                self.looks.fetch_add(1, Ordering::Relaxed);
                let asked = args.iter().skip_while(|word| **word != "--").skip(1);
                let told = asked.map(|unit| {
                    let (enabled, active) = units.get(*unit).copied().unwrap_or_default();
                    let file = self.root.join("etc/systemd/system").join(unit);
                    let loaded = if units.contains_key(*unit) || file.exists() {
                        "LoadState=loaded\n"
                    } else {
                        "LoadState=not-found\n"
                    };
                    if args[1] == "--property=LoadState" {
                        return loaded.to_owned();
                    }
                    let active = if active { "active" } else { "inactive" };
                    let enabled = if enabled { "enabled" } else { "disabled" };
                    format!(
                        "{loaded}ActiveState={active}\nUnitFileState={enabled}\nNeedDaemonReload=no\n"
                    )
                });
                stdout = told.collect::<Vec<_>>().join("\n");
            }
            ("systemctl", Some("enable")) => _ = units.insert(unit, (true, active)),
            ("systemctl", Some("disable")) => _ = units.insert(unit, (false, active)),
            ("systemctl", Some("start")) => _ = units.insert(unit, (enabled, true)),
            ("systemctl", Some("stop")) => _ = units.insert(unit, (enabled, false)),
            ("systemctl", Some("daemon-reload" | "restart" | "reset-failed"))
            | ("swapoff" | "swapon", _) => {}
            ("modprobe", _) => {
                std::fs::create_dir_all(self.root.join("sys/module").join(&unit)).unwrap();
                if unit == "br_netfilter" {
                    let settings = self.root.join("proc/sys/net/bridge");
                    std::fs::create_dir_all(&settings).unwrap();
                    std::fs::write(settings.join("bridge-nf-call-iptables"), "0\n").unwrap();
                }
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

pub struct Blobs(pub Vec<u8>);

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

/// A catalog applied to a directory that stands for a host.
pub struct Bench {
    pub root: tempfile::TempDir,
    pub host: Arc<FakeHost>,
    pub system: System,
    pub journal: Journal,
}

impl Bench {
    pub fn new() -> Self {
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

    pub fn journal_directory(&self) -> PathBuf {
        self.root.path().join("journal")
    }

    /// Keeps the content of a file, as a change does before it is made.
    pub fn keep(&self, path: &str) -> ingot_engine::undo::UndoStep {
        let saved = self.journal.saved();
        saved.keep(&self.system, Path::new(path)).unwrap()
    }

    pub fn graph(&self, resources: &str) -> Graph {
        let catalog = Catalog::from_files([("s/state.yaml", format!("resources:\n{resources}"))]);
        let declared = document::load(&catalog, &["s".into()], &json!({})).unwrap();
        Graph::resolve(declared).unwrap()
    }

    pub fn plan(&self, graph: &Graph) -> Plan {
        plan(&self.system, graph, Some(&self.journal)).unwrap()
    }

    /// Applies; resources may fail.
    pub fn try_apply(&self, graph: &Graph) -> Report {
        let plan = self.plan(graph);
        apply(&self.system, graph, &plan, &self.journal, &|_| {}).unwrap()
    }

    pub fn apply(&self, graph: &Graph) -> Report {
        let report = self.try_apply(graph);
        assert_eq!(report.failures(), []);
        report
    }

    /// Everything below the root but the journal and the fake kernel: path -> kind, mode, content.
    pub fn snapshot(&self) -> BTreeMap<PathBuf, String> {
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
    pub fn laws(&self, resources: &str) {
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
        let undone = undo::undo(&self.system, &self.journal, &|_| {}).unwrap();
        assert!(undone.failures.is_empty(), "{:?}", undone.failures);
        assert_eq!(undone.kept, [], "nobody else changed anything");
        assert_eq!(
            self.snapshot(),
            before,
            "undo left something of {resources}"
        );
        let loaded = self.host.loaded.lock().unwrap().clone();
        let files = self.host.unit_files();
        assert!(
            loaded.is_empty() || loaded == files,
            "systemd has other units than are there: {loaded:?}"
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
    pub fn drift(&self, graph: &Graph) -> Vec<String> {
        let plan = self.plan(graph);
        plan.work()
            .flat_map(|p| match &p.action {
                Action::Change { changes } => changes.iter().map(|c| c.attribute.clone()).collect(),
                _ => vec![],
            })
            .collect()
    }

    pub fn at(&self, path: &str) -> PathBuf {
        self.root.path().join(path)
    }
}
