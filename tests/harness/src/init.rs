//! PID 1 of a host until systemd takes over: cgroups, namespaces, file systems, then exec.
//!
//! The order is the content of this file; where a step must come before another, it says why.
//! Nothing here may change a setting of the machine: what the kernel does not keep per namespace is
//! read-only or hidden behind a copy.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::sys::stat::{Mode, SFlag, makedev, mknod, umask};
use nix::unistd::{pivot_root, sethostname};

use crate::boot::INIT_FAILED;
use crate::cgroup::{self, Layout};
use crate::state::{HostDir, HostRecord};
use crate::sysctl;

/// Untouched proc and sysfs lie here. A pod with a user namespace of its own may mount these file
/// systems only if the host shows them whole somewhere. containerd skips exactly this directory
/// when it copies /dev into privileged pods.
const UNTOUCHED: &str = "dev/.lxc";

/// Role `init`; returns only if something failed.
pub(crate) fn run(host: &HostDir) -> i32 {
    let error = match prepare(host) {
        Ok(mut systemd) => format!("cannot execute systemd: {}", systemd.exec()),
        Err(text) => text,
    };
    eprintln!("{error}");
    INIT_FAILED
}

/// Makes the host's world and returns the systemd to execute in it.
fn prepare(host: &HostDir) -> Result<Command, String> {
    step(
        "tie PID 1 to its supervisor",
        set_pdeathsig(Signal::SIGKILL),
    )?;
    let record = host
        .record()
        .map_err(|e| e.to_string())?
        .ok_or("the host is gone")?;
    let layout = Layout::read().map_err(|e| e.to_string())?;

    // Into the cgroups first: the cgroup namespace takes what we are in as its root.
    cgroup::enter(&layout.paths(&host.cgroup_name())).map_err(|e| format!("{e:?}"))?;
    let namespaces = CloneFlags::CLONE_NEWNS
        | CloneFlags::CLONE_NEWUTS
        | CloneFlags::CLONE_NEWIPC
        | CloneFlags::CLONE_NEWCGROUP;
    step("make the host's namespaces", unshare(namespaces))?;
    // Private until the pivot: pivot_root(2) refuses shared mounts, and a shared one would carry
    // the host's mounts out to the machine.
    remount(Path::new("/"), MsFlags::MS_REC | MsFlags::MS_PRIVATE)?;
    umask(Mode::empty());

    let root = mount_root(host, &record)?;
    mount_dev(&root)?;
    mount_proc_and_sys(&root)?;
    mount_cgroups(&root, &layout)?;
    sysctl::cover(&root, &root.join(UNTOUCHED).join("sysctl"))?;
    for (dir, data) in [("run", "mode=755,size=20%"), ("tmp", "mode=1777,size=50%")] {
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
        mount_new("tmpfs", &root.join(dir), flags, Some(data))?;
    }
    step("name the host", sethostname(host.name().as_str()))?;

    enter_root(&root)?;
    // Shared only now that the machine's mounts are out of sight. kubelet and runc need it for
    // mounts that pods hand to the host.
    remount(Path::new("/"), MsFlags::MS_REC | MsFlags::MS_SHARED)?;
    umask(Mode::from_bits_truncate(0o022));

    let mut systemd = Command::new("/sbin/init");
    let unified = u8::from(layout.is_v2());
    systemd
        .arg(format!("systemd.unified_cgroup_hierarchy={unified}"))
        .env_clear()
        .env(
            "PATH",
            "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        )
        .env("container", "ingot-lab");
    Ok(systemd)
}

/// The shared tree with the host's own layer above it; /var/lib is a plain directory, since
/// container runtimes put overlays there, and an overlay cannot be the upper layer of another.
fn mount_root(host: &HostDir, record: &HostRecord) -> Result<PathBuf, String> {
    let escaped = |path: &Path| {
        let text = path.to_string_lossy().into_owned();
        text.replace('\\', "\\\\")
            .replace(':', "\\:")
            .replace(',', "\\,")
    };
    let data = format!(
        "lowerdir={},upperdir={},workdir={}",
        escaped(&record.base),
        escaped(&host.upper()),
        escaped(&host.work()),
    );
    let root = host.merged();
    mount_new("overlay", &root, MsFlags::empty(), Some(&data))?;
    bind(&host.var_lib(), &root.join("var/lib"))?;
    Ok(root)
}

/// A /dev with what a container host needs and none of the machine's disks.
fn mount_dev(root: &Path) -> Result<(), String> {
    let dev = root.join("dev");
    mount_new("tmpfs", &dev, MsFlags::MS_NOSUID, Some("mode=755,size=16m"))?;
    // Numbers from the kernel's Documentation/admin-guide/devices.txt.
    let devices = [
        ("null", 1, 3, 0o666),
        ("zero", 1, 5, 0o666),
        ("full", 1, 7, 0o666),
        ("random", 1, 8, 0o666),
        ("urandom", 1, 9, 0o666),
        ("kmsg", 1, 11, 0o644),
        ("tty", 5, 0, 0o666),
        ("fuse", 10, 229, 0o666),
        ("net/tun", 10, 200, 0o666),
    ];
    make_dir(&dev.join("net"))?;
    for (name, major, minor, mode) in devices {
        let mode = Mode::from_bits_truncate(mode);
        step(
            name,
            mknod(&dev.join(name), SFlag::S_IFCHR, mode, makedev(major, minor)),
        )?;
    }
    let links = [
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
        ("ptmx", "pts/ptmx"),
    ];
    for (name, target) in links {
        step(name, symlink(target, dev.join(name)))?;
    }
    let nosuid = MsFlags::MS_NOSUID;
    make_dir(&dev.join("pts"))?;
    let pts = "newinstance,ptmxmode=0666,mode=620,gid=5";
    mount_new(
        "devpts",
        &dev.join("pts"),
        nosuid | MsFlags::MS_NOEXEC,
        Some(pts),
    )?;
    make_dir(&dev.join("shm"))?;
    mount_new(
        "tmpfs",
        &dev.join("shm"),
        nosuid | MsFlags::MS_NODEV,
        Some("mode=1777"),
    )
}

fn mount_proc_and_sys(root: &Path) -> Result<(), String> {
    let hardened = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    let (proc, sys) = (root.join("proc"), root.join("sys"));
    let untouched = root.join(UNTOUCHED);
    for (kind, visible) in [("proc", &proc), ("sysfs", &sys)] {
        let whole = untouched.join(visible.file_name().unwrap_or_default());
        make_dir(&whole)?;
        mount_new(kind, &whole, hardened, None)?;
        mount_new(kind, visible, hardened, None)?;
    }
    step(
        "hide the untouched file systems",
        fs::set_permissions(&untouched, fs::Permissions::from_mode(0o700)),
    )?;

    // Settings of the machine are read-only, those of the network namespace are the host's own.
    let sysctls = proc.join("sys");
    bind(&sysctls, &sysctls)?;
    remount(&sysctls, MsFlags::MS_BIND | MsFlags::MS_RDONLY | hardened)?;
    bind(&untouched.join("proc/sys/net"), &sysctls.join("net"))?;
    // A letter written here would reboot the machine itself; some kernels do not have it.
    let trigger = proc.join("sysrq-trigger");
    if trigger.exists() {
        bind(&root.join("dev/null"), &trigger)?;
    }
    remount(
        &sys,
        MsFlags::MS_REMOUNT | MsFlags::MS_BIND | MsFlags::MS_RDONLY | hardened,
    )
}

/// The hierarchies as systemd expects them, rooted at the host's cgroups by the namespace.
fn mount_cgroups(root: &Path, layout: &Layout) -> Result<(), String> {
    let hardened = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    let top = root.join("sys/fs/cgroup");
    if layout.is_v2() {
        return mount_new("cgroup2", &top, hardened, None);
    }
    mount_new("tmpfs", &top, hardened, Some("mode=755"))?;
    for hierarchy in &layout.hierarchies {
        let name = hierarchy.mount.file_name().unwrap_or_default();
        let target = top.join(name);
        make_dir(&target)?;
        match &hierarchy.v1_options {
            None => mount_new("cgroup2", &target, hardened, None)?,
            Some(options) => {
                mount_new("cgroup", &target, hardened, Some(options))?;
                // Controllers mounted together are also found by each one's name.
                for controller in options
                    .split(',')
                    .filter(|c| options.contains(',') && *c != name)
                {
                    step(controller, symlink(name, top.join(controller)))?;
                }
            }
        }
    }
    remount(
        &top,
        MsFlags::MS_REMOUNT | MsFlags::MS_BIND | MsFlags::MS_RDONLY | hardened,
    )
}

/// pivot_root(2), "pivot_root(".", ".")": the old root is stacked below the new one and let go.
fn enter_root(root: &Path) -> Result<(), String> {
    step("go to the host's root", std::env::set_current_dir(root))?;
    step("make it the root", pivot_root(".", "."))?;
    step(
        "leave the machine's root",
        umount2(".", MntFlags::MNT_DETACH),
    )?;
    step("go to the root", std::env::set_current_dir("/"))
}

fn mount_new(kind: &str, target: &Path, flags: MsFlags, data: Option<&str>) -> Result<(), String> {
    step(
        &format!(
            "mount {kind} on {} ({})",
            target.display(),
            data.unwrap_or("no options")
        ),
        mount(Some(kind), target, Some(kind), flags, data),
    )
}

pub(crate) fn bind(source: &Path, target: &Path) -> Result<(), String> {
    step(
        &format!("bind {} to {}", source.display(), target.display()),
        mount(
            Some(source),
            target,
            None::<&str>,
            MsFlags::MS_BIND,
            None::<&str>,
        ),
    )
}

fn remount(target: &Path, flags: MsFlags) -> Result<(), String> {
    let flags = if flags.contains(MsFlags::MS_RDONLY) {
        flags | MsFlags::MS_REMOUNT
    } else {
        flags
    };
    step(
        &format!("change the mount at {}", target.display()),
        mount(None::<&str>, target, None::<&str>, flags, None::<&str>),
    )
}

fn make_dir(path: &Path) -> Result<(), String> {
    step(
        &format!("create {}", path.display()),
        fs::create_dir_all(path),
    )?;
    // The mask is empty here, for the device nodes' sake.
    step(
        "set its mode",
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)),
    )
}

/// This process has one reader, the console log, so an error is a line of text.
fn step<T, E: std::fmt::Display>(what: &str, result: Result<T, E>) -> Result<T, String> {
    result.map_err(|error| format!("{what}: {error}"))
}
