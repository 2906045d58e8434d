//! The official suite, csi-sanity, against the driver on a simulated node; no root needed. One run has
//! its objects in a real API server, if there is a bundle to take that from.
//!
//! Opt-in with `INGOT_TOOL_TESTS=1`: it builds csi-sanity with Go, from the network the first time,
//! into the cache in `~/.cache/ingot`. Every skipped specification must be in [`SKIPS`] with the reason.

mod report;

pub use self::report::{judge, outcomes, taken_out};
use crate::bed::Bed;
use crate::cluster::Cluster;
use crate::process::{Objects, Processes, specification};
use ingot_lvm_csi::server::{ServeError, Services, serve};
use ingot_lvm_csi::snapshot_metadata::SnapshotMetadataService;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

const VERSION: &str = "v5.6.0";

/// Storage classes the suite is run with: name, access type, parameters.
const RUNS: [(&str, &str, &str); 4] = [
    ("thin", "mount", "pool: thin\n"),
    ("thick", "mount", "pool: thick\n"),
    ("raw block", "block", "pool: thin\n"),
    ("two processes", "mount", "pool: thin\n"),
];

fn wanted() -> bool {
    let wanted = std::env::var_os("INGOT_TOOL_TESTS").is_some_and(|value| value == "1");
    if !wanted {
        eprintln!("skipped: set INGOT_TOOL_TESTS=1 to run it");
    }
    wanted
}

/// The suite's program, built once a version.
pub fn program() -> Result<PathBuf, Box<dyn Error>> {
    let home = std::env::var("HOME")?;
    let folder = Path::new(&home)
        .join(".cache/ingot/tools")
        .join(format!("csi-sanity-{VERSION}"));
    let program = folder.join("csi-sanity");
    if program.exists() {
        return Ok(program);
    }
    let package = format!("github.com/kubernetes-csi/csi-test/v5/cmd/csi-sanity@{VERSION}");
    let output = Command::new("go")
        .args(["install", &package])
        .env("GOBIN", &folder)
        .output()?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(format!("go install {package}: {text}").into());
    }
    Ok(program)
}

/// The driver as the suite meets it: in this process, or as two of its own.
enum UnderTest {
    Here {
        socket: PathBuf,
        end: tokio::sync::oneshot::Sender<()>,
        server: tokio::task::JoinHandle<Result<(), ServeError>>,
        _bed: Box<Bed>,
    },
    Apart(Processes),
}

impl UnderTest {
    async fn start(run: &str, folder: &Path) -> Self {
        if run == "two processes" {
            return Self::Apart(Processes::start().await);
        }
        let socket = folder.join("csi.sock");
        let bed = Bed::new();
        let services = Services {
            controller: Some(bed.controller.clone()),
            node: Some(bed.node.clone()),
            snapshot_metadata: Some(SnapshotMetadataService::new(Arc::clone(&bed.agent))),
            metrics: None,
        };
        let (end, ended) = tokio::sync::oneshot::channel::<()>();
        let path = socket.clone();
        let server = tokio::spawn(async move {
            let ended = async { drop(ended.await) };
            serve(&path, services, ended).await
        });
        Self::Here {
            socket,
            end,
            server,
            _bed: Box::new(bed),
        }
    }

    fn endpoints(&self) -> Vec<String> {
        match self {
            Self::Here { socket, .. } => vec![format!("--csi.endpoint={}", socket.display())],
            Self::Apart(processes) => vec![
                format!("--csi.endpoint={}", processes.node_socket().display()),
                format!(
                    "--csi.controllerendpoint={}",
                    processes.controller_socket().display()
                ),
            ],
        }
    }

    async fn stop(self) -> Result<(), Box<dyn Error>> {
        if let Self::Here { end, server, .. } = self {
            let _ = end.send(());
            server.await??;
        }
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn csi_sanity_passes_on_the_simulator() -> Result<(), Box<dyn Error>> {
    if !wanted() {
        return Ok(());
    }
    let program = tokio::task::spawn_blocking(|| program().map_err(|e| e.to_string())).await??;
    let mut table = Table::default();
    for run in RUNS {
        let folder = tempfile::tempdir()?;
        let under_test = UnderTest::start(run.0, folder.path()).await;
        table.play(&program, folder.path(), run, under_test).await?;
    }
    table.end()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn csi_sanity_passes_with_its_objects_in_a_real_api_server()
-> Result<(), Box<dyn Error + Send + Sync>> {
    if !wanted() {
        return Ok(());
    }
    let Some(cluster) = Cluster::start().await? else {
        return Ok(());
    };
    let program = tokio::task::spawn_blocking(|| program().map_err(|e| e.to_string())).await??;
    assert_eq!(cluster.define().await?, 7, "kinds of objects");
    cluster.configure("node-1", &specification()).await?;
    let folder = tempfile::tempdir()?;
    let objects = Objects::Kubernetes(cluster.kubeconfig());
    let under_test = UnderTest::Apart(Processes::over(objects).await);
    let run = ("objects in Kubernetes", "mount", "pool: thin\n");
    let mut table = Table::default();
    let played = table.play(&program, folder.path(), run, under_test).await;
    played.map_err(|error| error.to_string())?;
    for kind in ["volumes", "snapshots", "groupsnapshots"] {
        let left = cluster.list(kind).await?;
        assert!(left.is_empty(), "{kind} are left: {left:?}");
    }
    assert_eq!(cluster.list("nodepools").await?.len(), 2, "pools");
    table.end().map_err(|error| error.to_string().into())
}

/// What came of the runs.
#[derive(Default)]
struct Table {
    rows: String,
    skips: String,
    complaints: Vec<String>,
}

impl Table {
    /// Runs the suite once, in that folder.
    async fn play(
        &mut self,
        program: &Path,
        folder: &Path,
        (run, access, parameters): (&str, &str, &str),
        under_test: UnderTest,
    ) -> Result<(), Box<dyn Error>> {
        let class = folder.join("class.yaml");
        std::fs::write(&class, parameters)?;
        let attributes = folder.join("attributes.yaml");
        std::fs::write(&attributes, "readBytesPerSecond: 10MiB\n")?;
        let report = folder.join("report.json");
        let mut command = tokio::process::Command::new(program);
        command
            .args(under_test.endpoints())
            .arg(format!("--csi.mountdir={}/target", folder.display()))
            .arg(format!("--csi.stagingdir={}/staging", folder.display()))
            .arg(format!("--csi.testvolumeparameters={}", class.display()))
            .arg(format!(
                "--csi.testvolumemutableparameters={}",
                attributes.display()
            ))
            .arg(format!("--csi.testvolumeaccesstype={access}"))
            .arg("--csi.testvolumesize=1073741824")
            .arg("--csi.testvolumeexpandsize=2147483648")
            .arg(format!("--ginkgo.json-report={}", report.display()))
            .args(taken_out(run))
            .arg("--ginkgo.no-color");
        let output = command.output().await?;
        under_test.stop().await?;
        let (row, told) = judge(run, &outcomes(&report)?, &mut self.complaints);
        self.rows += &row;
        self.rows.push('\n');
        self.skips += &told;
        if !output.status.success() {
            let text = String::from_utf8_lossy(&output.stdout);
            self.complaints.push(format!("{run}: {text}"));
        }
        Ok(())
    }

    fn end(self) -> Result<(), Box<dyn Error>> {
        println!(
            "| Run | Passed | Skipped | Failed |\n|---|---|---|---|\n{}",
            self.rows
        );
        println!("| Run | Skipped | Reason |\n|---|---|---|\n{}", self.skips);
        match self.complaints.is_empty() {
            true => Ok(()),
            false => Err(self.complaints.join("\n").into()),
        }
    }
}
