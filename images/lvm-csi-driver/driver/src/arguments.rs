//! What the program can be told.

use clap::{Args, Parser, Subcommand};
use ingot_volume_brain::NodeName;
use std::net::IpAddr;
use std::path::PathBuf;

/// CSI driver for LVM on each node.
#[derive(Parser)]
#[command(name = "lvm-csi-driver", version)]
pub struct Arguments {
    #[command(subcommand)]
    pub part: Part,
}

#[derive(Subcommand)]
pub enum Part {
    /// Own the volumes of this node and serve the CSI Node service.
    Agent(AgentOptions),
    /// Serve the CSI Controller service.
    Controller(ControllerOptions),
    /// Let pods go on that stand still, at the end of the input or after so many seconds.
    #[command(hide = true)]
    Guardian { seconds: f64, groups: Vec<PathBuf> },
}

/// Where the objects are.
#[derive(Args)]
pub struct Objects {
    /// Keep the objects in the Kubernetes API.
    #[arg(long, conflicts_with = "store")]
    pub kubernetes: bool,
    /// How to reach it; without one, as the service account of the pod.
    #[arg(long, requires = "kubernetes")]
    pub kubeconfig: Option<PathBuf>,
    /// Keep the objects in this directory, for a single machine.
    #[arg(long, default_value = "/var/lib/ingot/storage")]
    pub store: PathBuf,
}

#[derive(Args)]
pub struct AgentOptions {
    #[command(flatten)]
    pub objects: Objects,
    /// The node's configuration, unless it is in the Kubernetes API.
    #[arg(
        long,
        default_value = "/etc/ingot/storage.yaml",
        conflicts_with = "kubernetes"
    )]
    pub config: PathBuf,
    /// Name of the node, whose StorageNode is the configuration.
    #[arg(long, env = "NODE_NAME", required_if_eq("kubernetes", "true"))]
    pub node: Option<NodeName>,
    /// Socket that kubelet connects to.
    #[arg(long, default_value = "/run/ingot/csi-node.sock")]
    pub socket: PathBuf,
    /// Where the kubelet looks for plugins; without it the driver is not made known to it.
    #[arg(long)]
    pub plugins_registry: Option<PathBuf>,
    /// Where it is written down which volumes have a filesystem until their tags say so. On a disk that
    /// outlives the program and the power; without it a pod waits for the tag.
    #[arg(long)]
    pub records: Option<PathBuf>,
    /// Use a simulated node, kept in this file, instead of LVM.
    #[arg(long)]
    pub simulate: Option<PathBuf>,
    /// Serve Kubernetes' SnapshotMetadata service for backup programs on that port, over TLS.
    #[arg(long, value_name = "PORT", requires_all = ["kubernetes", "address"])]
    pub snapshot_metadata: Option<u16>,
    /// The address of the node, on which the agents of others reach this one.
    #[arg(long, env = "NODE_ADDRESS")]
    pub address: Option<IpAddr>,
    /// Serve the Controller service on the same socket, for a single machine.
    #[arg(long)]
    pub with_controller: bool,
}

#[derive(Args)]
pub struct ControllerOptions {
    #[command(flatten)]
    pub objects: Objects,
    /// Socket that the sidecars connect to.
    #[arg(long, default_value = "/run/ingot/csi-controller.sock")]
    pub socket: PathBuf,
    /// Seconds a request waits for the owner of a volume, before it is to be asked again.
    #[arg(long, default_value_t = PATIENCE)]
    pub patience: u64,
    /// Where backup programs reach the agents' SnapshotMetadata service: makes its certificate, and tells them.
    #[arg(long, value_name = "HOST:PORT", requires = "kubernetes")]
    pub snapshot_metadata: Option<String>,
}

/// Seconds a request waits for the owner of a volume.
pub const PATIENCE: u64 = 10;
