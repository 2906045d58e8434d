//! A control plane leaves its cluster: its API server ends what it serves, its Node and its member of etcd go. The
//! others go on without it.

use crate::agent::etcd::leaving::{self, Extent, Way};
use crate::agent::kube;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::process::Command;
use std::time::{Duration, Instant};

/// How long an API server may take to end: its delay before it stops to listen, and its last requests.
const PATIENCE: Duration = Duration::from_secs(40);

/// Leaves the cluster, where the host has a member of etcd and others go on without it.
///
/// # Errors
/// When the cluster would lose its data, or nobody can say that it would not: nothing was touched.
pub(super) fn cluster(node: &str, extent: &Extent) -> Result<(), String> {
    if !leaving::concerns_this_host() {
        return Ok(());
    }
    let Ok(runtime) = tokio::runtime::Handle::try_current() else {
        return Err("the agent has no runtime".into());
    };
    let found = runtime.block_on(leaving::find(&extent.control_planes));
    if leaving::judge(node, extent, &found)? == Way::Nothing {
        return Ok(());
    }
    // Through another API server it would be as good, but this one is here.
    let _ = runtime.block_on(kube::delete_node(node));
    // The kubelet would start again what ends.
    let _ = Command::new("systemctl")
        .args(["stop", "kubelet.service"])
        .status();
    end_api_server();
    runtime.block_on(leaving::leave(node, &found))
}

/// Lets the API server end by itself: load balancers see that it is not ready before it stops to listen.
fn end_api_server() {
    let deadline = Instant::now() + PATIENCE;
    for pid in running() {
        let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
    }
    while !running().is_empty() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn running() -> Vec<i32> {
    crate::agent::health::instance::pids_of("kube-apiserver")
}
