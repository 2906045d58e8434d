//! Cgroups of a host: one in every hierarchy the machine has mounted.
//!
//! Made below the caller's own cgroups, removed with the host. It never changes a cgroup that
//! existed before, with one exception on machines with cgroup v2 only, see [`Layout::create`].
//!
//! Two layouts are known. Machines with v1 hierarchies (with or without an empty v2 one beside
//! them, "hybrid") are what this was tested on. The pure v2 layout follows cgroups(7) and
//! systemd's CGROUP_DELEGATION page and **has not run on such a machine yet**.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use thiserror::Error;

use crate::process::kill_number;

/// Where every Linux with systemd keeps its hierarchies.
const CGROUP_ROOT: &str = "/sys/fs/cgroup";

/// A host's cgroups could not be made, entered or removed.
#[derive(Debug, Error)]
pub enum CgroupError {
    /// The machine has neither systemd's v1 hierarchies nor cgroup v2.
    #[error(
        "the machine has no usable cgroups: neither a v1 hierarchy named systemd nor cgroup v2 is \
         mounted below {CGROUP_ROOT}"
    )]
    NoHierarchy,
    /// The kernel refused a step.
    #[error("cannot {action} {}", path.display())]
    Access {
        /// What was tried.
        action: &'static str,
        /// The cgroup or the file in it.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
}

/// Limits of a host.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Limits {
    /// Processors' worth of time.
    pub(crate) cpus: Option<u32>,
    /// Bytes.
    pub(crate) memory: Option<u64>,
}

/// One mounted hierarchy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hierarchy {
    /// Where it is mounted on the machine.
    pub(crate) mount: PathBuf,
    /// v1: the mount options that name it (`memory`, `cpu,cpuacct`, `name=systemd`); v2: nothing.
    pub(crate) v1_options: Option<String>,
    /// Our own cgroup in it, as a path below `mount`.
    own: PathBuf,
}

impl Hierarchy {
    fn has(&self, controller: &str) -> bool {
        self.v1_options
            .as_deref()
            .is_some_and(|o| o.split(',').any(|c| c == controller))
    }
}

/// The hierarchies of the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) hierarchies: Vec<Hierarchy>,
}

impl Layout {
    /// Reads the layout from the mount table and our own membership.
    pub(crate) fn read() -> Result<Layout, CgroupError> {
        let read = |path: &str| {
            fs::read_to_string(path).map_err(|source| CgroupError::Access {
                action: "read",
                path: path.into(),
                source,
            })
        };
        Layout::parse(&read("/proc/self/mountinfo")?, &read("/proc/self/cgroup")?)
    }

    fn parse(mountinfo: &str, membership: &str) -> Result<Layout, CgroupError> {
        let mut hierarchies: Vec<Hierarchy> = Vec::new();
        for line in mountinfo.lines() {
            // proc(5): id parent major:minor root mountpoint options [optional...] - type source super
            let Some((left, right)) = line.split_once(" - ") else {
                continue;
            };
            let left: Vec<&str> = left.split(' ').collect();
            let right: Vec<&str> = right.split(' ').collect();
            let (Some(root), Some(mount)) = (left.get(3), left.get(4)) else {
                continue;
            };
            let (Some(kind), Some(options)) = (right.first(), right.get(2)) else {
                continue;
            };
            if !Path::new(mount).starts_with(CGROUP_ROOT) {
                continue;
            }
            let v1_options = match *kind {
                "cgroup" => Some(v1_identity(options)),
                "cgroup2" => None,
                _ => continue,
            };
            if hierarchies.iter().any(|h| h.v1_options == v1_options) {
                continue;
            }
            let path = own_path(membership, v1_options.as_deref());
            let own = Path::new(&path)
                .strip_prefix(root)
                .unwrap_or(Path::new(""))
                .to_owned();
            hierarchies.push(Hierarchy {
                mount: mount.into(),
                v1_options,
                own,
            });
        }
        let usable = hierarchies.iter().any(|h| match &h.v1_options {
            Some(options) => options == "name=systemd",
            None => h.mount == Path::new(CGROUP_ROOT),
        });
        if usable {
            Ok(Layout { hierarchies })
        } else {
            Err(CgroupError::NoHierarchy)
        }
    }

    /// Whether the machine has cgroup v2 and nothing else.
    pub(crate) fn is_v2(&self) -> bool {
        self.hierarchies.iter().all(|h| h.v1_options.is_none())
    }

    /// The cgroups a host of this name has: one in each hierarchy.
    ///
    /// They lie below our own, so that whoever limits us limits our hosts. On pure v2 a cgroup
    /// with processes cannot have children with controllers, and ours has processes, so there the
    /// host's lies below the root.
    pub(crate) fn paths(&self, name: &str) -> Vec<PathBuf> {
        let below = |h: &Hierarchy| match self.is_v2() {
            true => h.mount.join(name),
            false => h.mount.join(&h.own).join(name),
        };
        self.hierarchies.iter().map(below).collect()
    }

    /// Makes a host's cgroups and sets its limits.
    ///
    /// On pure v2 this also enables the controllers for children of the root cgroup; systemd does
    /// the same for its own slices, and enabling one twice changes nothing.
    pub(crate) fn create(&self, name: &str, limits: Limits) -> Result<(), CgroupError> {
        if self.is_v2() {
            let root = Path::new(CGROUP_ROOT);
            for controller in ["cpuset", "cpu", "io", "memory", "pids"] {
                // One that the kernel lacks is one the host will lack.
                let _ = fs::write(
                    root.join("cgroup.subtree_control"),
                    format!("+{controller}"),
                );
            }
        }
        for (hierarchy, path) in self.hierarchies.iter().zip(self.paths(name)) {
            match fs::create_dir(&path) {
                Err(e) if e.kind() != io::ErrorKind::AlreadyExists => {
                    return Err(access("create", &path, e));
                }
                _ => {}
            }
            if hierarchy.has("cpuset") {
                // A v1 cpuset starts empty, and no process may enter an empty one.
                for file in ["cpuset.cpus", "cpuset.mems"] {
                    let parent = path.parent().unwrap_or(&path).join(file);
                    let value =
                        fs::read_to_string(&parent).map_err(|e| access("read", &parent, e))?;
                    write(&path.join(file), value.trim())?;
                }
            }
            let v2 = self.is_v2();
            if let Some(memory) = limits.memory {
                match () {
                    () if hierarchy.has("memory") => {
                        write(&path.join("memory.limit_in_bytes"), &memory.to_string())?;
                    }
                    () if v2 => write(&path.join("memory.max"), &memory.to_string())?,
                    () => {}
                }
            }
            if let Some(cpus) = limits.cpus {
                let quota = u64::from(cpus) * 100_000;
                match () {
                    () if hierarchy.has("cpu") => {
                        write(&path.join("cpu.cfs_period_us"), "100000")?;
                        write(&path.join("cpu.cfs_quota_us"), &quota.to_string())?;
                    }
                    () if v2 => write(&path.join("cpu.max"), &format!("{quota} 100000"))?,
                    () => {}
                }
            }
        }
        Ok(())
    }
}

/// Moves the calling process into the cgroups.
pub(crate) fn enter(paths: &[PathBuf]) -> Result<(), CgroupError> {
    // "0" means the writer itself, in both versions, whatever its number is in other namespaces.
    paths
        .iter()
        .try_for_each(|path| write(&path.join("cgroup.procs"), "0"))
}

/// Kills every process in the cgroups and below, then removes them. Absent ones are fine.
pub(crate) fn remove(paths: &[PathBuf]) -> Result<(), CgroupError> {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let mut blocked = None;
        for path in paths.iter().filter(|path| path.is_dir()) {
            kill_all(path);
            if let Err(error) = remove_dirs(path) {
                blocked = Some((path.clone(), error));
            }
        }
        match blocked {
            None => return Ok(()),
            Some((path, source)) if Instant::now() >= deadline => {
                return Err(access("remove", &path, source));
            }
            Some(_) => std::thread::sleep(Duration::from_millis(10)),
        }
    }
}

/// All cgroups of the machine whose name begins with the prefix, found by looking below our own
/// and the root ones. For mending when no record says where they are.
pub(crate) fn find(prefix: &str) -> Vec<PathBuf> {
    fn visit(dir: &Path, prefix: &str, depth: u8, found: &mut Vec<PathBuf>) {
        let Ok(entries) = fs::read_dir(dir) else {
            return;
        };
        for path in entries.flatten().map(|e| e.path()).filter(|p| p.is_dir()) {
            let ours = path
                .file_name()
                .is_some_and(|n| n.to_string_lossy().starts_with(prefix));
            if ours {
                found.push(path);
            } else if depth > 0 {
                visit(&path, prefix, depth - 1, found);
            }
        }
    }
    let mut found = Vec::new();
    visit(Path::new(CGROUP_ROOT), prefix, 6, &mut found);
    found.sort();
    found
}

fn kill_all(path: &Path) {
    let numbers = fs::read_to_string(path.join("cgroup.procs")).unwrap_or_default();
    // 0 is a process of a namespace we cannot see; there is none for the machine's own root.
    for pid in numbers
        .lines()
        .filter_map(|l| l.parse().ok())
        .filter(|pid| *pid > 0)
    {
        let _ = kill_number(pid);
    }
    for child in child_dirs(path) {
        kill_all(&child);
    }
}

/// Removes a cgroup and those below it, innermost first. The files in them are not removed: they
/// go with the directory.
fn remove_dirs(path: &Path) -> io::Result<()> {
    for child in child_dirs(path) {
        remove_dirs(&child)?;
    }
    match fs::remove_dir(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn child_dirs(path: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(path) else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter(|e| e.file_type().is_ok_and(|t| t.is_dir()))
        .map(|e| e.path())
        .collect()
}

/// The options that name a v1 hierarchy: its controllers, or its name.
fn v1_identity(options: &str) -> String {
    let flags = [
        "rw",
        "ro",
        "xattr",
        "noprefix",
        "clone_children",
        "cpuset_v2_mode",
        "none",
    ];
    let kept = |o: &&str| !flags.contains(o) && !o.starts_with("release_agent=");
    options
        .split(',')
        .filter(kept)
        .collect::<Vec<_>>()
        .join(",")
}

/// Our cgroup in a hierarchy, from /proc/self/cgroup (cgroups(7)).
fn own_path(membership: &str, v1_options: Option<&str>) -> String {
    for line in membership.lines() {
        let mut parts = line.splitn(3, ':');
        let (Some(_), Some(names), Some(path)) = (parts.next(), parts.next(), parts.next()) else {
            continue;
        };
        let matches = match v1_options {
            None => names.is_empty(),
            Some(options) => !names.is_empty() && same_set(names, options),
        };
        if matches {
            return path.to_owned();
        }
    }
    "/".to_owned()
}

fn same_set(a: &str, b: &str) -> bool {
    let sorted = |text: &str| {
        let mut parts: Vec<String> = text.split(',').map(str::to_owned).collect();
        parts.sort();
        parts
    };
    sorted(a) == sorted(b)
}

fn write(path: &Path, value: &str) -> Result<(), CgroupError> {
    fs::write(path, value).map_err(|e| access("write", path, e))
}

fn access(action: &'static str, path: &Path, source: io::Error) -> CgroupError {
    CgroupError::Access {
        action,
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID_MOUNTS: &str = "\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:5 - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,xattr,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
99 31 0:32 / /mnt/elsewhere rw,relatime - cgroup cgroup rw,memory
";
    const HYBRID_MEMBERSHIP: &str =
        "9:name=systemd:/user.slice\n4:memory:/job/7\n2:cpuacct,cpu:/\n0::/\n";

    #[test]
    fn hosts_lie_below_our_own_cgroup_in_every_v1_hierarchy() {
        let layout = Layout::parse(HYBRID_MOUNTS, HYBRID_MEMBERSHIP).unwrap();
        assert!(!layout.is_v2());
        let paths: Vec<String> = layout
            .paths("x")
            .iter()
            .map(|p| p.display().to_string())
            .collect();
        assert_eq!(
            paths,
            [
                "/sys/fs/cgroup/cpu,cpuacct/x",
                "/sys/fs/cgroup/memory/job/7/x",
                "/sys/fs/cgroup/systemd/user.slice/x",
                "/sys/fs/cgroup/unified/x",
            ]
        );
        let options: Vec<_> = layout
            .hierarchies
            .iter()
            .map(|h| h.v1_options.as_deref().unwrap_or("v2"))
            .collect();
        assert_eq!(options, ["cpu,cpuacct", "memory", "name=systemd", "v2"]);
    }

    #[test]
    fn hosts_lie_below_the_root_on_pure_v2() {
        let mounts =
            "31 23 0:28 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";
        let layout = Layout::parse(mounts, "0::/user.slice/session-1.scope\n").unwrap();
        assert!(layout.is_v2());
        assert_eq!(layout.paths("x"), [PathBuf::from("/sys/fs/cgroup/x")]);
    }

    #[test]
    fn a_machine_without_systemds_hierarchy_is_refused() {
        let mounts = "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n";
        let error = Layout::parse(mounts, "4:memory:/\n").unwrap_err();
        assert!(matches!(error, CgroupError::NoHierarchy));
    }
}
