//! The disks of a node as the kernel and udev know them. Opens none of them and starts no program, so
//! a disk that hangs holds nobody up.

use ingot_volume_brain::Bytes;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// A whole disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockDisk {
    /// What the kernel calls it until the next reboot.
    pub kernel_name: String,
    /// The names that udev gives it, below /dev/disk/by-id.
    pub names: Vec<String>,
    /// Its size.
    pub size: Bytes,
    /// What its maker calls it.
    pub model: Option<String>,
    /// Its serial number.
    pub serial: Option<String>,
    /// Whether it turns.
    pub rotational: bool,
    /// What is on it, as udev has seen it last; nothing, if it is empty.
    pub content: Option<String>,
    /// Where it, or a part of it, is mounted.
    pub mounted: Option<PathBuf>,
    /// The kernel has given it up.
    pub failed: bool,
    /// It takes no writes.
    pub read_only: bool,
}

/// Names that only repeat a number, or that LVM and the like give: the worst to know a disk by.
const LAST: [&str; 5] = ["wwn-", "nvme-eui.", "nvme-uuid.", "lvm-pv-uuid-", "dm-"];

impl BlockDisk {
    /// The name to know it by: one that survives a reboot, if it has one.
    pub fn name(&self) -> Option<&str> {
        let last = |name: &&String| LAST.iter().any(|begin| name.starts_with(begin));
        let mut names: Vec<&String> = self.names.iter().collect();
        names.sort_by_key(|name| (last(name), name.len(), (*name).clone()));
        names.first().map(|name| name.as_str())
    }

    /// Its path by that name, else by the kernel's.
    pub fn path(&self) -> String {
        match self.name() {
            Some(name) => format!("/dev/disk/by-id/{name}"),
            None => format!("/dev/{}", self.kernel_name),
        }
    }
}

fn text(path: &Path) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// All disks below that root, which is `/` but for tests. What cannot be read is left out.
pub fn scan(root: &Path) -> Vec<BlockDisk> {
    let Ok(entries) = fs::read_dir(root.join("sys/block")) else {
        return Vec::new();
    };
    let links = links(root);
    let mounts = mounts(root);
    let mut disks: Vec<BlockDisk> = entries
        .filter_map(|entry| {
            let name = entry.ok()?.file_name().into_string().ok()?;
            disk(root, name, &links, &mounts)
        })
        .collect();
    disks.sort_by(|a, b| a.kernel_name.cmp(&b.kernel_name));
    disks
}

fn disk(
    root: &Path,
    kernel_name: String,
    links: &BTreeMap<String, Vec<String>>,
    mounts: &BTreeMap<String, PathBuf>,
) -> Option<BlockDisk> {
    let entry = root.join("sys/block").join(&kernel_name);
    // Loops, device-mapper and RAM disks; the many paths of one NVMe disk are virtual, too.
    let made_up = fs::read_link(&entry).is_ok_and(|to| to.to_string_lossy().contains("/virtual/"));
    if (made_up && !kernel_name.starts_with("nvme")) || kernel_name.starts_with("sr") {
        return None;
    }
    let sectors: u64 = text(&entry.join("size"))?.parse().ok()?;
    if sectors == 0 {
        return None;
    }
    let parts: Vec<PathBuf> = fs::read_dir(&entry)
        .ok()?
        .filter_map(|part| Some(part.ok()?.path()))
        .filter(|part| part.join("partition").exists())
        .collect();
    let number = text(&entry.join("dev"));
    let known = number
        .as_ref()
        .and_then(|number| text(&root.join(format!("run/udev/data/b{number}"))))
        .unwrap_or_default();
    let property = |key: &str| {
        let mut lines = known.lines().filter_map(|line| line.strip_prefix("E:"));
        let value = lines.find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        value.filter(|value| !value.is_empty()).map(str::to_owned)
    };
    let content = property("ID_FS_TYPE").or_else(|| {
        let table = property("ID_PART_TABLE_TYPE");
        let table = table.map(|table| format!("a {table} partition table"));
        table.or_else(|| (!parts.is_empty()).then(|| "partitions".to_owned()))
    });
    let numbers = parts.iter().filter_map(|part| text(&part.join("dev")));
    let mounted = number
        .clone()
        .into_iter()
        .chain(numbers)
        .find_map(|number| mounts.get(&number).cloned());
    let state = text(&entry.join("device/state")).unwrap_or_default();
    Some(BlockDisk {
        names: links.get(&kernel_name).cloned().unwrap_or_default(),
        size: Bytes(sectors * 512),
        model: text(&entry.join("device/model")).or_else(|| property("ID_MODEL")),
        serial: property("ID_SERIAL_SHORT")
            .or_else(|| text(&entry.join("device/serial")))
            .or_else(|| text(&entry.join("serial"))),
        rotational: text(&entry.join("queue/rotational")).as_deref() == Some("1"),
        content,
        mounted,
        failed: matches!(state.as_str(), "offline" | "dead"),
        read_only: text(&entry.join("ro")).as_deref() == Some("1"),
        kernel_name,
    })
}

/// The names below /dev/disk/by-id, by the kernel's.
fn links(root: &Path) -> BTreeMap<String, Vec<String>> {
    let mut links: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for entry in fs::read_dir(root.join("dev/disk/by-id"))
        .into_iter()
        .flatten()
    {
        let Ok(entry) = entry else { continue };
        if let Ok(target) = fs::read_link(entry.path())
            && let Some(kernel) = target.file_name().and_then(|name| name.to_str())
            && let Ok(name) = entry.file_name().into_string()
        {
            links.entry(kernel.to_owned()).or_default().push(name);
        }
    }
    for names in links.values_mut() {
        names.sort();
    }
    links
}

/// Where devices are mounted, by their numbers (proc_pid_mountinfo(5)).
///
/// In a container the node's own mounts are not to be seen, only what the container was given of them.
/// Where that has the same path inside as outside, the rest of the path is where the device is mounted.
fn mounts(root: &Path) -> BTreeMap<String, PathBuf> {
    let text = fs::read_to_string(root.join("proc/self/mountinfo")).unwrap_or_default();
    let mut mounts: BTreeMap<String, (u8, PathBuf)> = BTreeMap::new();
    for line in text.lines() {
        let mut fields = line.split(' ').skip(2);
        let (Some(number), Some(part), Some(target)) =
            (fields.next(), fields.next(), fields.next())
        else {
            continue;
        };
        let (doubt, place) = match target.strip_suffix(part) {
            _ if part == "/" => (0, target),
            Some("") => (1, "/"),
            Some(place) => (1, place),
            None => (2, target),
        };
        let known = mounts.get(number).map(|(doubt, _)| *doubt);
        if known.is_none_or(|known| doubt < known) {
            mounts.insert(number.to_owned(), (doubt, PathBuf::from(place)));
        }
    }
    let place = |(number, (_, place))| (number, place);
    mounts.into_iter().map(place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn put(root: &Path, path: &str, text: &str) {
        let path = root.join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::write(path, text).expect("written");
    }

    fn node() -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a directory");
        let root = folder.path();
        for (name, place) in [
            ("sda", "pci/ata1/block"),
            ("sdb", "pci/ata2/block"),
            ("dm-0", "virtual/block"),
            ("sr0", "pci/ata3/block"),
        ] {
            put(root, &format!("sys/devices/{place}/{name}/size"), "2048\n");
            fs::create_dir_all(root.join("sys/block")).expect("made");
            let to = format!("../devices/{place}/{name}");
            symlink(to, root.join("sys/block").join(name)).expect("linked");
        }
        let (a, b) = (
            "sys/devices/pci/ata1/block/sda",
            "sys/devices/pci/ata2/block/sdb",
        );
        put(root, &format!("{a}/dev"), "8:0\n");
        put(root, &format!("{a}/queue/rotational"), "1\n");
        put(root, &format!("{a}/sda1/partition"), "1\n");
        put(root, &format!("{a}/sda1/dev"), "8:1\n");
        put(
            root,
            "run/udev/data/b8:0",
            "S:disk/by-id/x\nE:ID_PART_TABLE_TYPE=gpt\n",
        );
        put(
            root,
            "proc/self/mountinfo",
            "22 1 8:1 / / rw shared:1 - ext4 /dev/sda1 rw\n",
        );
        put(root, &format!("{b}/dev"), "8:16\n");
        put(root, &format!("{b}/device/state"), "offline\n");
        put(root, &format!("{b}/device/model"), "Example SSD   \n");
        put(
            root,
            "run/udev/data/b8:16",
            "E:ID_SERIAL_SHORT=S1\nE:ID_FS_TYPE=LVM2_member\n",
        );
        fs::create_dir_all(root.join("dev/disk/by-id")).expect("made");
        for name in ["wwn-0x5", "ata-Example_S1", "lvm-pv-uuid-a"] {
            symlink("../../sdb", root.join("dev/disk/by-id").join(name)).expect("linked");
        }
        folder
    }

    #[test]
    fn disks_are_told_with_what_is_on_them_and_made_up_ones_are_not() {
        let folder = node();
        let disks = scan(folder.path());
        let [a, b] = disks.as_slice() else {
            panic!("{disks:?}")
        };
        assert_eq!(
            (a.kernel_name.as_str(), a.path().as_str()),
            ("sda", "/dev/sda")
        );
        assert_eq!(a.content.as_deref(), Some("a gpt partition table"));
        assert_eq!(a.mounted.as_deref(), Some(Path::new("/")));
        assert!(a.rotational && !a.failed && a.serial.is_none());
        assert_eq!(b.path(), "/dev/disk/by-id/ata-Example_S1");
        assert_eq!(
            (b.serial.as_deref(), b.model.as_deref()),
            (Some("S1"), Some("Example SSD"))
        );
        assert_eq!(b.content.as_deref(), Some("LVM2_member"));
        assert!(b.failed && !b.rotational && b.mounted.is_none());
        assert_eq!(b.size, Bytes::mib(1));
    }

    #[test]
    fn a_part_of_a_filesystem_shown_in_a_container_tells_where_the_whole_of_it_is() {
        let folder = tempfile::tempdir().expect("a directory");
        let root = folder.path();
        put(
            root,
            "proc/self/mountinfo",
            "90 80 8:1 /var/lib/kubelet/pods/a/etc-hosts /etc/hosts rw - ext4 /dev/sda1 rw\n\
             91 80 8:1 /usr/lib/modules /usr/lib/modules ro - ext4 /dev/sda1 rw\n\
             92 80 8:17 /lib/kubelet /var/lib/kubelet rw shared:4 - xfs /dev/sdb1 rw\n\
             93 92 8:33 / /var/lib/kubelet/data rw - ext4 /dev/sdc1 rw\n\
             94 80 8:33 /x /x rw - ext4 /dev/sdc1 rw\n\
             95 80 8:49 /@data /srv rw - btrfs /dev/sdd1 rw\n",
        );
        let places = mounts(root);
        for (number, place) in [
            ("8:1", "/"),
            ("8:17", "/var"),
            ("8:33", "/var/lib/kubelet/data"),
            ("8:49", "/srv"),
        ] {
            assert_eq!(places[number], Path::new(place), "{number}");
        }
    }
}
