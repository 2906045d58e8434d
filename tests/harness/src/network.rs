//! The lab's network namespace: its bridges, the cables to hosts, and the way into it.
//!
//! One namespace belongs to each lab, so two labs use the same addresses without meeting. No route
//! and no cable leads out of it: that is what makes the hosts air-gapped. Nothing here touches an
//! interface, route or rule of the machine itself.

use std::fs::{self, File};
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::statfs::{FsType, statfs};
use thiserror::Error;

use crate::program::{self, ProgramError};

/// Prefix length of every bridge's network.
pub(crate) const PREFIX_LEN: u8 = 24;

/// The most bridges a lab may have.
pub const MAX_BRIDGES: u8 = 8;

/// The most hosts a lab may have.
pub const MAX_HOSTS: u8 = 200;

/// `NSFS_MAGIC` of linux/magic.h: what statfs says of a file that a namespace is bound to.
const NSFS_MAGIC: FsType = FsType(0x6e73_6673);

/// The lab's network could not be made, entered or changed.
#[derive(Debug, Error)]
pub enum NetworkError {
    /// The kernel refused a step.
    #[error("cannot {action} the lab's network namespace ({})", path.display())]
    Namespace {
        /// What was tried.
        action: &'static str,
        /// The file the namespace is, or should be, bound to.
        path: PathBuf,
        /// What the kernel said.
        source: std::io::Error,
    },
    /// `ip` refused a bridge, cable or address.
    #[error("cannot set up the lab's network")]
    Ip(#[source] ProgramError),
}

/// The address of host `index` (from 1) on a bridge (from 0).
pub(crate) fn host_address(bridge: u8, index: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(10, 77, bridge, 10 + index))
}

/// The address of the lab itself on a bridge: where commands run by [`enter`] come from.
fn lab_address(bridge: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(10, 77, bridge, 1))
}

/// A host keeps its MAC over reboots, as a machine does: a changed one would leave its neighbours
/// with stale ARP entries for ten seconds.
pub(crate) fn mac(bridge: u8, index: u8) -> String {
    format!("02:49:4e:47:{bridge:02x}:{index:02x}")
}

/// The lab's end of a host's cable.
pub(crate) fn cable(bridge: u8, index: u8) -> String {
    format!("host{index}-{bridge}")
}

fn bridge_name(bridge: u8) -> String {
    format!("br{bridge}")
}

/// Whether a namespace is bound to the file (it is not after the machine itself rebooted).
pub(crate) fn exists(path: &Path) -> bool {
    statfs(path).is_ok_and(|fs| fs.filesystem_type() == NSFS_MAGIC)
}

/// Creates the namespace with its bridges and binds it to the file.
pub(crate) fn create(path: &Path, bridges: u8) -> Result<(), NetworkError> {
    let error = |action| {
        move |source: std::io::Error| NetworkError::Namespace {
            action,
            path: path.to_owned(),
            source,
        }
    };
    File::create(path).map_err(error("create the file for"))?;
    // Only the calling thread changes its namespace, so a thread of its own leaves ours alone.
    on_thread(|| {
        unshare(CloneFlags::CLONE_NEWNET).map_err(|e| error("create")(e.into()))?;
        mount(
            Some("/proc/thread-self/ns/net"),
            path,
            None::<&str>,
            MsFlags::MS_BIND,
            None::<&str>,
        )
        .map_err(|e| error("bind")(e.into()))?;
        // Frames between hosts must not pass the namespace's packet filter hooks. The setting
        // belongs to this namespace; it is absent without br_netfilter, and then nothing is lost.
        for family in ["iptables", "ip6tables", "arptables"] {
            let _ = fs::write(format!("/proc/sys/net/bridge/bridge-nf-call-{family}"), "0");
        }
        let mut batch = String::from("link set lo up\n");
        for bridge in 0..bridges {
            let name = bridge_name(bridge);
            let address = lab_address(bridge);
            batch += &format!(
                "link add {name} type bridge forward_delay 0\n\
                 addr add {address}/{PREFIX_LEN} dev {name}\n\
                 link set {name} up\n"
            );
        }
        ip_batch(&mut Command::new("ip"), &batch)
    })
}

/// Connects a fresh network namespace, in which `pid` runs, to all bridges, and configures the
/// host's side: addresses, no routes beyond the bridges.
///
/// The host's side is set from outside since the minimal root has nothing that would do it.
pub(crate) fn attach(
    path: &Path,
    bridges: u8,
    index: u8,
    pid: u32,
    unplugged: bool,
) -> Result<(), NetworkError> {
    let mut outer = String::new();
    let mut inner = String::from("link set lo up\n");
    for bridge in 0..bridges {
        let (cable, mac, br) = (
            cable(bridge, index),
            mac(bridge, index),
            bridge_name(bridge),
        );
        let state = if unplugged { "down" } else { "up" };
        let address = host_address(bridge, index);
        // The cable of the last boot disappears when the kernel gets round to freeing its
        // namespace, which may be after the next boot began.
        detach_one(path, &cable);
        outer += &format!(
            "link add {cable} type veth peer name eth{bridge} address {mac} netns {pid}\n\
             link set {cable} master {br} {state}\n"
        );
        inner +=
            &format!("addr add {address}/{PREFIX_LEN} dev eth{bridge}\nlink set eth{bridge} up\n");
    }
    let mut command = Command::new("ip");
    enter(path, &mut command)?;
    ip_batch(&mut command, &outer)?;
    ip_batch(&mut Command::new("ip"), &inner)
}

/// Connects the taps of a guest, which has the number of no host, to all bridges.
pub(crate) fn connect_taps(path: &Path, bridges: u8, index: u8) -> Result<(), NetworkError> {
    let batch: String = (0..bridges)
        .map(|b| {
            format!(
                "link set {} master {} up\n",
                cable(b, index),
                bridge_name(b)
            )
        })
        .collect();
    let mut command = Command::new("ip");
    enter(path, &mut command)?;
    ip_batch(&mut command, &batch)
}

fn detach_one(path: &Path, cable: &str) {
    let mut command = Command::new("ip");
    if enter(path, &mut command).is_ok() {
        let _ = program::run(command.args(["link", "del", cable]));
    }
}

/// Pulls or plugs all cables of a host that is on.
pub(crate) fn set_cables(
    path: &Path,
    bridges: u8,
    index: u8,
    plugged: bool,
) -> Result<(), NetworkError> {
    let state = if plugged { "up" } else { "down" };
    let batch: String = (0..bridges)
        .map(|b| format!("link set {} {state}\n", cable(b, index)))
        .collect();
    let mut command = Command::new("ip");
    enter(path, &mut command)?;
    ip_batch(&mut command, &batch)
}

/// Makes `command` run in the namespace bound to the file.
pub(crate) fn enter(path: &Path, command: &mut Command) -> Result<(), NetworkError> {
    let namespace = open(path)?;
    let join = move || Ok(setns(&namespace, CloneFlags::CLONE_NEWNET)?);
    // SAFETY: between fork and exec only setns(2) is called, on a descriptor opened before; it
    // neither allocates nor takes locks.
    #[allow(unsafe_code)]
    unsafe {
        command.pre_exec(join);
    }
    Ok(())
}

/// Runs `work` on a thread inside the namespace bound to the file.
pub(crate) fn inside<T: Send>(
    path: &Path,
    work: impl FnOnce() -> T + Send,
) -> Result<T, NetworkError> {
    let namespace = open(path)?;
    on_thread(|| {
        setns(&namespace, CloneFlags::CLONE_NEWNET).map_err(|e| NetworkError::Namespace {
            action: "enter",
            path: path.to_owned(),
            source: e.into(),
        })?;
        Ok(work())
    })
}

fn open(path: &Path) -> Result<File, NetworkError> {
    let error = |source| NetworkError::Namespace {
        action: "open",
        path: path.to_owned(),
        source,
    };
    let file = File::open(path).map_err(error)?;
    if !exists(path) {
        let gone = "it is gone; did the machine reboot? Delete the lab and create it again";
        return Err(error(std::io::Error::other(gone)));
    }
    Ok(file)
}

fn on_thread<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| match scope.spawn(work).join() {
        Ok(value) => value,
        Err(panic) => std::panic::resume_unwind(panic),
    })
}

fn ip_batch(command: &mut Command, batch: &str) -> Result<(), NetworkError> {
    program::run_with_input(command.args(["-batch", "-"]), batch)
        .map(drop)
        .map_err(NetworkError::Ip)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_macs_and_cable_names_are_fixed_per_host_and_bridge() {
        assert_eq!(host_address(0, 1).to_string(), "10.77.0.11");
        assert_eq!(host_address(1, 200).to_string(), "10.77.1.210");
        assert_eq!(mac(1, 200), "02:49:4e:47:01:c8");
        // The kernel allows 15 bytes for an interface name.
        assert!(cable(MAX_BRIDGES - 1, MAX_HOSTS).len() <= 15);
    }

    #[test]
    fn a_plain_file_is_not_a_namespace() {
        assert!(!exists(Path::new("/proc/version")));
        assert!(!exists(Path::new("/nonexistent")));
        assert!(exists(Path::new("/proc/self/ns/net")));
    }
}
