//! The program itself: controller and agent as two processes over one directory, on a simulated node
//! that is kept in a file, so that a killed agent finds what it left.

use crate::bed::request::{GIB, create, mount};
use ingot_csi_proto::v1;
use ingot_csi_proto::v1::controller_client::ControllerClient;
use ingot_csi_proto::v1::node_client::NodeClient;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tonic::transport::{Channel, Endpoint};

const CONFIG: &str = "
node: node-1
pools:
  - name: thin
    volumeGroup: ingot-thin
    devices: [/dev/disk/by-id/sim-0, /dev/disk/by-id/sim-1]
    thin: { pool: pool, size: 100GiB, guard: { ratio: 2 } }
  - name: thick
    volumeGroup: ingot-thick
    devices: [/dev/disk/by-id/sim-2]
";

/// The same as the specification of a StorageNode.
pub fn specification() -> serde_json::Value {
    let mut config: serde_json::Value = serde_yaml::from_str(CONFIG).expect("a configuration");
    let fields = config.as_object_mut().expect("an object");
    fields.remove("node");
    config
}

/// Where the processes have their objects.
#[derive(Debug, Clone)]
pub enum Objects {
    /// In a directory of theirs.
    Directory,
    /// In the Kubernetes API, which that file leads to.
    Kubernetes(PathBuf),
}

/// Two processes and where they are.
pub struct Processes {
    folder: tempfile::TempDir,
    objects: Objects,
    agent: Child,
    controller: Child,
}

impl Processes {
    /// Starts both and waits until they answer and the controller knows the agent's pools.
    pub async fn start() -> Self {
        Self::over(Objects::Directory).await
    }

    /// The same with the objects there.
    pub async fn over(objects: Objects) -> Self {
        let folder = tempfile::tempdir().expect("a directory");
        std::fs::write(folder.path().join("storage.yaml"), CONFIG).expect("written");
        let controller = program(folder.path(), &objects, "controller")
            // A machine whose disk is busy with other work is no reason to fail.
            .args(["--patience", "60"])
            .spawn()
            .expect("started");
        let agent = program(folder.path(), &objects, "agent").spawn();
        let agent = agent.expect("started");
        let processes = Self {
            folder,
            objects,
            agent,
            controller,
        };
        answer(&processes.node_socket()).await;
        pools_are_told(answer(&processes.controller_socket()).await).await;
        processes
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn node_socket(&self) -> PathBuf {
        self.folder().join("agent.sock")
    }

    pub fn controller_socket(&self) -> PathBuf {
        self.folder().join("controller.sock")
    }

    async fn kill_agent(&mut self) {
        self.agent.kill().expect("killed");
        self.agent.wait().expect("ended");
        let agent = program(self.folder(), &self.objects, "agent").spawn();
        self.agent = agent.expect("started");
        answer(&self.node_socket()).await;
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        for child in [&mut self.agent, &mut self.controller] {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn program(folder: &Path, objects: &Objects, part: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lvm-csi-driver"));
    command
        .arg(part)
        .arg("--socket")
        .arg(folder.join(part).with_extension("sock"));
    match objects {
        Objects::Directory => command.arg("--store").arg(folder.join("objects")),
        Objects::Kubernetes(config) => command.args(["--kubernetes", "--kubeconfig"]).arg(config),
    };
    if part == "agent" {
        match objects {
            Objects::Directory => command.arg("--config").arg(folder.join("storage.yaml")),
            Objects::Kubernetes(_) => command.args(["--node", "node-1"]),
        };
        command.arg("--simulate").arg(folder.join("node.json"));
    }
    command.stderr(Stdio::inherit());
    command
}

async fn channel(socket: &Path) -> Result<Channel, tonic::transport::Error> {
    Endpoint::try_from(format!("unix://{}", socket.display()))?
        .connect()
        .await
}

/// Waits until somebody answers.
async fn answer(socket: &Path) -> Channel {
    for _ in 0..500 {
        if let Ok(channel) = channel(socket).await {
            return channel;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("nobody answers on {}", socket.display());
}

/// Waits until the controller has room in all pools: the agent tells of them once it has made them, after its
/// socket is there.
async fn pools_are_told(channel: Channel) {
    let mut client = ControllerClient::new(channel);
    for pool in ["thin", "thick"] {
        let mut last = None;
        for _ in 0..6000 {
            let request = v1::GetCapacityRequest {
                parameters: [("pool".to_owned(), pool.to_owned())].into(),
                ..v1::GetCapacityRequest::default()
            };
            let answer = client.get_capacity(request).await;
            last = Some(answer.map(|answer| answer.into_inner().available_capacity));
            if matches!(last, Some(Ok(room)) if room > 0) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert!(
            matches!(last, Some(Ok(room)) if room > 0),
            "the controller has no room in {pool}: {last:?}"
        );
    }
}

async fn create_until_made(channel: Channel, name: String) -> v1::Volume {
    let mut client = ControllerClient::new(channel);
    let mut last = None;
    for _ in 0..200 {
        match client
            .create_volume(create(&name, GIB, &[("pool", "thin")]))
            .await
        {
            Ok(volume) => return volume.into_inner().volume.expect("one"),
            // The agent may not have published its pools yet, or be dead just now.
            Err(error) => last = Some(error),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{name}: {last:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_killed_under_load_goes_on_where_it_was() {
    let mut processes = Processes::start().await;
    let channel = answer(&processes.controller_socket()).await;
    create_until_made(channel.clone(), "first".into()).await;
    let tasks: Vec<_> = (0..20)
        .map(|n| tokio::spawn(create_until_made(channel.clone(), format!("v{n}"))))
        .collect();
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(30)).await;
        processes.kill_agent().await;
    }
    let mut volumes = Vec::new();
    for task in tasks {
        volumes.push(task.await.expect("created"));
    }
    let mut controller = ControllerClient::new(channel);
    let list = controller
        .list_volumes(v1::ListVolumesRequest::default())
        .await
        .expect("a list");
    assert_eq!(list.into_inner().entries.len(), 21, "each once");
    let mut node = NodeClient::new(answer(&processes.node_socket()).await);
    let volume = &volumes[7];
    let staging = processes.folder().join("staging").display().to_string();
    let stage = v1::NodeStageVolumeRequest {
        volume_id: volume.volume_id.clone(),
        staging_target_path: staging.clone(),
        volume_capability: Some(mount("ext4")),
        ..v1::NodeStageVolumeRequest::default()
    };
    node.node_stage_volume(stage.clone()).await.expect("staged");
    processes.kill_agent().await;
    let mut node = NodeClient::new(answer(&processes.node_socket()).await);
    node.node_stage_volume(stage).await.expect("staged still");
    let unstage = v1::NodeUnstageVolumeRequest {
        volume_id: volume.volume_id.clone(),
        staging_target_path: staging,
    };
    node.node_unstage_volume(unstage).await.expect("unstaged");
    for volume in volumes {
        let delete = v1::DeleteVolumeRequest {
            volume_id: volume.volume_id,
            ..v1::DeleteVolumeRequest::default()
        };
        controller.delete_volume(delete).await.expect("deleted");
    }
}

#[tokio::test]
async fn a_second_agent_of_a_node_is_refused() {
    let processes = Processes::start().await;
    let output = program(processes.folder(), &processes.objects, "agent")
        .stderr(Stdio::piped())
        .output();
    let output = output.expect("started");
    assert!(!output.status.success());
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(
        text.contains("is held by another agent of this node; stop it first"),
        "{text}"
    );
}

/// Memory of a process, in KiB.
fn resident(process: &Child) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.id()));
    let status = status.expect("the process runs");
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .expect("a line");
    line.split_whitespace()
        .nth(1)
        .and_then(|kib| kib.parse().ok())
        .expect("a number")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_with_two_hundred_volumes_stays_small() {
    let processes = Processes::start().await;
    let channel = answer(&processes.controller_socket()).await;
    create_until_made(channel.clone(), "first".into()).await;
    let mut taken = Vec::new();
    for round in 0..20 {
        let tasks: Vec<_> = (0..10)
            .map(|n| {
                let channel = channel.clone();
                tokio::spawn(async move {
                    let begin = std::time::Instant::now();
                    let name = format!("v{round}-{n}");
                    let request = create(&name, GIB / 2, &[("pool", "thin")]);
                    let mut client = ControllerClient::new(channel);
                    client.create_volume(request).await.expect("created");
                    begin.elapsed()
                })
            })
            .collect();
        for task in tasks {
            taken.push(task.await.expect("no panic"));
        }
    }
    taken.sort();
    let agent = resident(&processes.agent);
    println!(
        "200 volumes, 10 at a time, on the simulator: p50 {:?}, p99 {:?}; agent {:.1} MiB",
        taken[100],
        taken[198],
        agent as f64 / 1024.0
    );
    assert!(agent < 25 << 10, "the agent takes {agent} KiB");
}

#[test]
fn an_agent_that_lacks_programs_names_them_all_and_does_not_begin() {
    let folder = tempfile::tempdir().expect("a directory");
    let config = folder.path().join("storage.yaml");
    std::fs::write(&config, CONFIG).expect("written");
    let output = Command::new(env!("CARGO_BIN_EXE_lvm-csi-driver"))
        .arg("agent")
        .arg("--config")
        .arg(&config)
        .arg("--socket")
        .arg(folder.path().join("agent.sock"))
        .arg("--store")
        .arg(folder.path().join("objects"))
        .env("PATH", folder.path())
        .output()
        .expect("ran");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    for words in [
        "dmsetup (Debian: dmsetup)",
        "lvm (Debian: lvm2)",
        "install them and start the agent again",
    ] {
        assert!(said.contains(words), "{said}");
    }
}
