//! Runs the suite and reads what it reports.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use ingot_harness::Host;
use serde_json::Value;

use crate::images::TestBundle;

/// How often the story says how far it is.
const PROGRESS: Duration = Duration::from_secs(60);

/// Where the suite runs and what it talks to.
pub struct Suite<'a> {
    /// The suite and its runner.
    pub bundle: &'a TestBundle,
    /// In whose network it runs.
    pub host: &'a Host,
    /// Where kubeconfig and kubectl are.
    pub access: PathBuf,
    /// Where reports and logs go.
    pub reports: PathBuf,
}

/// One test as it was reported.
#[derive(Debug)]
pub struct Tested {
    /// Its whole name.
    pub name: String,
    /// `passed`, `failed`, `timedout`, `skipped` ...
    pub state: String,
    /// How long it took.
    pub took: Duration,
    /// Why it failed; empty when it did not.
    pub why: String,
}

impl Suite<'_> {
    /// Runs the tests that `labels` select, but for those in `left_out`, in so many processes at a time.
    ///
    /// # Panics
    /// When the suite itself cannot run.
    pub fn run(
        &self,
        word: &str,
        labels: &str,
        left_out: &[String],
        processes: u32,
    ) -> Vec<Tested> {
        let log = self.reports.join(format!("{word}.log"));
        let report = format!("{word}.json");
        let mut command = self.command();
        command
            .args(["--no-color", "--timeout=6h", "--keep-going"])
            .arg(format!("--label-filter={labels}"))
            .arg(format!("--procs={processes}"))
            .arg(format!("--json-report={report}"))
            .arg(format!("--output-dir={}", self.reports.display()));
        if let Some(focus) = focus() {
            command.arg(format!("--focus={focus}"));
        }
        for name in left_out {
            command.arg(format!("--skip={}", literal(name)));
        }
        let out = File::create(&log).expect("a log");
        command
            .arg(&self.bundle.suite)
            .arg("--")
            .arg(format!(
                "--kubeconfig={}",
                self.access.join("kubeconfig").display()
            ))
            .arg(format!(
                "--kubectl-path={}",
                self.access.join("kubectl").display()
            ))
            .args(["--provider=local", "--disable-log-dump"])
            .stdin(Stdio::null())
            .stderr(out.try_clone().expect("the log"))
            .stdout(out);
        println!("  {word}: {processes} at a time, log in {}", log.display());
        let mut child = command.spawn().expect("ginkgo");
        let begin = Instant::now();
        let mut said = begin;
        let status = loop {
            if let Some(status) = child.try_wait().expect("ginkgo") {
                break status;
            }
            if said.elapsed() > PROGRESS {
                said = Instant::now();
                // The runner writes one of these for each test that passed.
                let passed = fs::read_to_string(&log).unwrap_or_default();
                println!(
                    "  {word}: {} passed after {} min",
                    passed.matches('•').count(),
                    begin.elapsed().as_secs() / 60
                );
            }
            std::thread::sleep(Duration::from_secs(1));
        };
        let specs = specs(&self.reports.join(report));
        for name in left_out {
            assert!(
                specs.is_empty() || specs.iter().any(|spec| name_of(spec) == *name),
                "no test is called `{name}`: correct left-out.txt"
            );
        }
        let tested = tested(&specs);
        assert!(
            !tested.is_empty() || focus().is_some(),
            "the suite ended with {status} and no report; read {}",
            log.display()
        );
        println!("  {word}: done in {} s", begin.elapsed().as_secs());
        tested
    }

    /// ginkgo in the network of the host.
    fn command(&self) -> Command {
        let root = self.host.root_dir().expect("a running host");
        let process = root.parent().expect("a process").to_path_buf();
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--net={}", process.join("ns/net").display()))
            .arg("--")
            .arg(&self.bundle.ginkgo)
            .env("HOME", &self.access)
            .env_remove("KUBECONFIG");
        command
    }
}

/// A regular expression for the names of the few tests that somebody looks at.
pub fn focus() -> Option<String> {
    std::env::var("INGOT_CONFORMANCE_FOCUS").ok()
}

/// What a report says of each part of the suite (Ginkgo's types.Report as JSON); empty when there is none.
fn specs(report: &Path) -> Vec<Value> {
    let text = fs::read_to_string(report).unwrap_or_default();
    let suites: Value = serde_json::from_str(&text).unwrap_or_default();
    let specs = suites[0]["SpecReports"].as_array();
    specs.cloned().unwrap_or_default()
}

/// The whole name of a test.
fn name_of(spec: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let above = spec["ContainerHierarchyTexts"].as_array();
    let mut words: Vec<String> = above.into_iter().flatten().map(text).collect();
    words.push(text(&spec["LeafNodeText"]));
    words.join(" ").trim().to_owned()
}

/// The tests that were to run, and preparations of the suite that failed.
fn tested(specs: &[Value]) -> Vec<Tested> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut tested: BTreeMap<String, Tested> = BTreeMap::new();
    for spec in specs {
        let state = text(&spec["State"]);
        let not_selected = state == "skipped" && spec["Failure"]["Message"].is_null();
        if not_selected || (spec["LeafNodeType"] != "It" && state == "passed") {
            continue;
        }
        let name = name_of(spec);
        tested.insert(
            name.clone(),
            Tested {
                name,
                state,
                took: Duration::from_nanos(spec["RunTime"].as_u64().unwrap_or_default()),
                why: text(&spec["Failure"]["Message"]),
            },
        );
    }
    tested.into_values().collect()
}

/// A regular expression (RE2) that matches this text and no other.
fn literal(text: &str) -> String {
    text.chars()
        .flat_map(|one| {
            let special = r"\.+*?()|[]{}^$".contains(one);
            special.then_some('\\').into_iter().chain([one])
        })
        .collect()
}
