//! The driver on real LVM, on a virtual machine with disks that nobody misses.
//!
//! Opt-in with `INGOT_GUEST_TESTS=1`, as root. The machine is emulated: a command of LVM takes a
//! second, so each story has one machine and makes the most of it. Agent and controller run as
//! services of the machine, which starts them again whenever they die; requests reach them through
//! their sockets, as those of kubelet and the sidecars do.

mod audit;
mod bench;
mod changed;
mod conformance;
mod crash;
mod faults;
mod power;
mod raid;
mod story;
mod witness;

use crate::bed::request::{from_snapshot, key, range};
use ingot_csi_proto::v1;
use ingot_csi_proto::v1::controller_client::ControllerClient;
use ingot_csi_proto::v1::node_client::NodeClient;
use ingot_harness::guest::{DiskSpec, Guest, GuestSpec};
use ingot_lvm_csi::object::Object;
use std::error::Error;
use std::path::Path;
use std::time::{Duration, Instant};
use tonic::Status;
use tonic::transport::{Channel, Endpoint};

/// What goes wrong in a story, or is found wrong.
pub type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// For what an emulated machine does in seconds when nothing is wrong.
pub const SOON: Duration = Duration::from_secs(180);

/// The port of the agent's metrics in the machine.
const METRICS: u16 = 9090;

/// Where it is written down which volumes have a filesystem until their tags say so.
const RECORDS: &str = "/var/lib/ingot/formatted";

/// Where pods have their volumes.
const PODS: &str = "/root/pods";

/// Whether to run; says so if not.
pub fn asked_for() -> bool {
    let asked = std::env::var_os("INGOT_GUEST_TESTS").is_some();
    if !asked {
        eprintln!("skipped: set INGOT_GUEST_TESTS=1 to run it on a virtual machine");
    }
    asked
}

/// A machine with the driver.
pub struct Node {
    pub guest: Guest,
    folder: tempfile::TempDir,
}

/// A pool of a node, as its configuration has it.
pub fn pool(name: &str, disks: &[String], rest: &str) -> String {
    let disks = disks.join(", ");
    format!("  - name: {name}\n    volumeGroup: ingot-{name}\n    devices: [{disks}]\n{rest}")
}

fn unit(words: &str, variables: &[(&str, &str)]) -> String {
    let variables: String = variables
        .iter()
        .map(|(name, value)| format!("Environment={name}={value}\n"))
        .collect();
    format!(
        "[Unit]\nStartLimitIntervalSec=0\n\n[Service]\n{variables}RuntimeDirectory=ingot\n\
         RuntimeDirectoryPreserve=yes\nStateDirectory=ingot/storage\nRestart=always\nRestartSec=100ms\n\
         ExecStart=/usr/local/bin/lvm-csi-driver {words}\n\n[Install]\nWantedBy=multi-user.target\n"
    )
}

impl Node {
    /// Boots a machine with those disks and starts the driver with the pools that `pools` makes of them.
    pub async fn boot(
        spec: GuestSpec,
        pools: impl FnOnce(&[String]) -> String,
        variables: &[(&str, &str)],
    ) -> Outcome<Self> {
        let disks: Vec<String> = spec.disks.iter().map(DiskSpec::path).collect();
        let node = Self {
            guest: Guest::create(spec, &|line| println!("  {line}"))?,
            folder: tempfile::tempdir()?,
        };
        let program = Path::new(env!("CARGO_BIN_EXE_lvm-csi-driver"));
        node.guest.install_program(program)?;
        node.put(
            "/root/storage.yaml",
            &format!(
                "node: guest\nmetrics: 127.0.0.1:{METRICS}\npools:\n{}",
                pools(&disks)
            ),
        )?;
        let agent = unit(
            &format!("agent --config /root/storage.yaml --records {RECORDS}"),
            variables,
        );
        // Emulated, each command of LVM takes a second.
        let controller = unit("controller --patience 60", variables);
        node.put("/etc/systemd/system/csi-agent.service", &agent)?;
        node.put("/etc/systemd/system/csi-controller.service", &controller)?;
        // The power may go before the kernel writes by itself what was installed.
        node.sh(&format!(
            "mkdir -p {PODS}; systemctl enable --quiet --now csi-agent csi-controller; sync"
        ))?;
        node.connect().await?;
        Ok(node)
    }

    /// A file of the machine.
    pub fn put(&self, path: &str, text: &str) -> Outcome {
        let name = Path::new(path).file_name().unwrap_or_default();
        let here = self.folder.path().join(name);
        std::fs::write(&here, text)?;
        Ok(self.guest.copy_in(&here, path)?)
    }

    /// Runs a script and gives what it prints.
    pub fn sh(&self, script: &str) -> Outcome<String> {
        let output = self.guest.run(&["bash", "-euc", script])?;
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// Whether a script succeeds.
    pub fn succeeds(&self, script: &str) -> Outcome<bool> {
        Ok(self.guest.exec(&["bash", "-euc", script])?.status.success())
    }

    /// Leads the driver's sockets here and waits until both answer; again after a time without power.
    pub async fn connect(&self) -> Outcome {
        for part in ["node", "controller"] {
            let socket = format!("/run/ingot/csi-{part}.sock");
            self.guest.forward(&socket, &self.socket(part))?;
        }
        self.until("the driver answers", async || {
            let node = v1::NodeGetInfoRequest::default();
            self.node().await?.node_get_info(node).await?;
            let all = v1::ControllerGetCapabilitiesRequest::default();
            let mut controller = self.controller().await?;
            controller.controller_get_capabilities(all).await
        })
        .await
        .map(drop)
    }

    fn socket(&self, part: &str) -> std::path::PathBuf {
        self.folder.path().join(part).with_extension("sock")
    }

    async fn channel(&self, part: &str) -> Result<Channel, Status> {
        let uri = format!("unix://{}", self.socket(part).display());
        let endpoint = Endpoint::try_from(uri).map_err(|e| Status::internal(e.to_string()))?;
        let endpoint = endpoint.timeout(SOON);
        let channel = endpoint.connect().await;
        channel.map_err(|error| Status::unavailable(error.to_string()))
    }

    pub async fn node(&self) -> Result<NodeClient<Channel>, Status> {
        Ok(NodeClient::new(self.channel("node").await?))
    }

    pub async fn controller(&self) -> Result<ControllerClient<Channel>, Status> {
        Ok(ControllerClient::new(self.channel("controller").await?))
    }

    /// Asks again until the answer is good, as kubelet and the sidecars do.
    pub async fn until<T>(
        &self,
        what: &str,
        mut ask: impl AsyncFnMut() -> Result<T, Status>,
    ) -> Outcome<T> {
        let end = Instant::now() + SOON;
        loop {
            match ask().await {
                Ok(answer) => return Ok(answer),
                Err(status) if Instant::now() >= end => {
                    let log = "journalctl --no-pager -b -n 60 -u csi-agent -u csi-controller
                        systemctl --no-pager status csi-agent csi-controller || true
                        ls -l /dev/disk/by-id; timeout 20 pvs -a 2>&1
                        cat /var/lib/ingot/storage/disks/*.json";
                    let log = self.sh(log).unwrap_or_else(|error| error.to_string());
                    return Err(format!("{what}: after {SOON:?} still {status}\n{log}").into());
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(250)).await,
            }
        }
    }

    /// Waits until no disk shows any more what was on it before it joined its pool.
    pub async fn overwritten(&self) -> Outcome {
        #[derive(serde::Deserialize)]
        struct OnFile {
            object: Object,
        }
        // Some seconds for each GiB.
        let end = Instant::now() + 5 * SOON;
        loop {
            let text = self.sh("cat /var/lib/ingot/storage/nodepools/*.json || true")?;
            let pools = serde_json::Deserializer::from_str(&text).into_iter::<OnFile>();
            let pools: Result<Vec<OnFile>, _> = pools.collect();
            let done = |found: &OnFile| {
                let pool = found.object.pool();
                pool.is_some_and(|pool| pool.trouble.is_none() && pool.overwriting.0 == 0)
            };
            // Between the making of a pool and the first overwriting its object tells of none.
            let begun = !self.succeeds("pvs --noheadings -o pv_tags | grep -qv ingot1.erased")?;
            if begun && pools.is_ok_and(|pools| !pools.is_empty() && pools.iter().all(done)) {
                return Ok(());
            }
            if Instant::now() >= end {
                return Err(format!("disks are still being overwritten: {text}").into());
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    /// A metric of the agent, by its name without the prefix, with its labels.
    pub fn metric(&self, name: &str) -> Outcome<f64> {
        let text = self.sh(&format!(
            "exec 3<>/dev/tcp/127.0.0.1/{METRICS}
            printf 'GET /metrics HTTP/1.1\\r\\nHost: guest\\r\\nConnection: close\\r\\n\\r\\n' >&3
            cat <&3"
        ))?;
        let name = format!("ingot_storage_{name} ");
        let found = text.lines().find_map(|line| line.strip_prefix(&name));
        let value = found.ok_or_else(|| format!("no metric {name}in:\n{text}"))?;
        Ok(value.trim().parse()?)
    }

    /// Makes the directories of a pod.
    pub fn pod(&self, name: &str) -> Outcome {
        self.sh(&format!("mkdir -p {PODS}/{name}")).map(drop)
    }

    pub async fn create(&self, request: v1::CreateVolumeRequest) -> Result<String, Status> {
        let answer = self.controller().await?.create_volume(request).await?;
        let volume = answer.into_inner().volume;
        Ok(volume.expect("an answer has a volume").volume_id)
    }

    pub async fn copy(
        &self,
        mut request: v1::CreateVolumeRequest,
        snapshot: &str,
    ) -> Result<String, Status> {
        request.volume_content_source = from_snapshot(snapshot);
        self.create(request).await
    }

    pub async fn delete(&self, id: &str) -> Result<(), Status> {
        let request = v1::DeleteVolumeRequest {
            volume_id: id.into(),
            ..v1::DeleteVolumeRequest::default()
        };
        let mut controller = self.controller().await?;
        controller.delete_volume(request).await.map(drop)
    }

    pub async fn snapshot(&self, name: &str, volume: &str) -> Result<String, Status> {
        let request = v1::CreateSnapshotRequest {
            name: name.into(),
            source_volume_id: volume.into(),
            ..v1::CreateSnapshotRequest::default()
        };
        let answer = self.controller().await?.create_snapshot(request).await?;
        let snapshot = answer.into_inner().snapshot;
        Ok(snapshot.expect("an answer has a snapshot").snapshot_id)
    }

    pub async fn delete_snapshot(&self, id: &str) -> Result<(), Status> {
        let request = v1::DeleteSnapshotRequest {
            snapshot_id: id.into(),
            ..v1::DeleteSnapshotRequest::default()
        };
        let mut controller = self.controller().await?;
        controller.delete_snapshot(request).await.map(drop)
    }

    pub async fn expand(&self, id: &str, size: i64) -> Result<(), Status> {
        let request = v1::ControllerExpandVolumeRequest {
            volume_id: id.into(),
            capacity_range: range(size),
            ..v1::ControllerExpandVolumeRequest::default()
        };
        let mut controller = self.controller().await?;
        controller.controller_expand_volume(request).await.map(drop)
    }

    pub async fn expand_node(&self, id: &str, pod: &str) -> Result<(), Status> {
        let request = v1::NodeExpandVolumeRequest {
            volume_id: id.into(),
            volume_path: target(pod),
            ..v1::NodeExpandVolumeRequest::default()
        };
        let mut node = self.node().await?;
        node.node_expand_volume(request).await.map(drop)
    }

    pub async fn stage(
        &self,
        id: &str,
        pod: &str,
        what: &v1::VolumeCapability,
    ) -> Result<(), Status> {
        let mut node = self.node().await?;
        let staged = node.node_stage_volume(stage_request(id, pod, what)).await;
        staged.map(drop)
    }

    pub async fn publish(
        &self,
        id: &str,
        pod: &str,
        what: &v1::VolumeCapability,
    ) -> Result<(), Status> {
        let mut node = self.node().await?;
        let published = node
            .node_publish_volume(publish_request(id, pod, what))
            .await;
        published.map(drop)
    }

    pub async fn unpublish(&self, id: &str, pod: &str) -> Result<(), Status> {
        let request = v1::NodeUnpublishVolumeRequest {
            volume_id: id.into(),
            target_path: target(pod),
        };
        let mut node = self.node().await?;
        node.node_unpublish_volume(request).await.map(drop)
    }

    pub async fn unstage(&self, id: &str, pod: &str) -> Result<(), Status> {
        let request = v1::NodeUnstageVolumeRequest {
            volume_id: id.into(),
            staging_target_path: staging(pod),
        };
        let mut node = self.node().await?;
        node.node_unstage_volume(request).await.map(drop)
    }
}

/// What kubelet asks for once a volume and node.
pub fn stage_request(
    id: &str,
    pod: &str,
    what: &v1::VolumeCapability,
) -> v1::NodeStageVolumeRequest {
    v1::NodeStageVolumeRequest {
        volume_id: id.into(),
        staging_target_path: staging(pod),
        volume_capability: Some(what.clone()),
        secrets: key("correct horse"),
        ..v1::NodeStageVolumeRequest::default()
    }
}

/// What kubelet asks for once a pod.
pub fn publish_request(
    id: &str,
    pod: &str,
    what: &v1::VolumeCapability,
) -> v1::NodePublishVolumeRequest {
    v1::NodePublishVolumeRequest {
        volume_id: id.into(),
        staging_target_path: staging(pod),
        target_path: target(pod),
        volume_capability: Some(what.clone()),
        ..v1::NodePublishVolumeRequest::default()
    }
}

/// Where kubelet has a pod's volume staged.
pub fn staging(pod: &str) -> String {
    format!("{PODS}/{pod}/staging")
}

/// Where the pod has it.
pub fn target(pod: &str) -> String {
    format!("{PODS}/{pod}/target")
}
