//! The programs that are started, and where they come from.

use std::env;
use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Where programs are looked for without a PATH, as `execvp` does.
const USUAL: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// One line a program, so that none is started that is not on the list.
macro_rules! tools {
    ($($tool:ident = $name:literal in $package:literal,)*) => {
        /// A program of the node.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Tool {
            $(#[doc = concat!("`", $name, "`")] $tool,)*
        }

        impl Tool {
            /// All that may be started.
            pub const ALL: &[Self] = &[$(Self::$tool,)*];

            /// Its file's name.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$tool => $name,)*
                }
            }

            /// The Debian package that it is in.
            pub fn package(self) -> &'static str {
                match self {
                    $(Self::$tool => $package,)*
                }
            }
        }
    };
}

tools! {
    Blkdiscard = "blkdiscard" in "util-linux",
    Blkid = "blkid" in "util-linux",
    Cryptsetup = "cryptsetup" in "cryptsetup-bin",
    Dmsetup = "dmsetup" in "dmsetup",
    Dumpe2fs = "dumpe2fs" in "e2fsprogs",
    Lvm = "lvm" in "lvm2",
    MakeExt4 = "mkfs.ext4" in "e2fsprogs",
    MakeXfs = "mkfs.xfs" in "xfsprogs",
    Mount = "mount" in "mount",
    Resize2fs = "resize2fs" in "e2fsprogs",
    Setpriv = "setpriv" in "util-linux",
    // LVM starts it before it activates a thin pool.
    ThinCheck = "thin_check" in "thin-provisioning-tools",
    ThinDelta = "thin_delta" in "thin-provisioning-tools",
    ThinDump = "thin_dump" in "thin-provisioning-tools",
    Wipefs = "wipefs" in "util-linux",
    XfsDb = "xfs_db" in "xfsprogs",
    XfsGrowfs = "xfs_growfs" in "xfsprogs",
}

impl Tool {
    /// Those that this process would not find.
    pub fn missing() -> Vec<Self> {
        let path = env::var_os("PATH");
        missing_in(path.as_deref().unwrap_or(OsStr::new(USUAL)))
    }
}

fn missing_in(path: &OsStr) -> Vec<Tool> {
    let found = |tool: &Tool| env::split_paths(path).any(|folder| runs(&folder.join(tool.name())));
    let all = Tool::ALL.iter().copied();
    all.filter(|tool| !found(tool)).collect()
}

fn runs(file: &Path) -> bool {
    let program =
        |meta: std::fs::Metadata| meta.is_file() && meta.permissions().mode() & 0o111 != 0;
    file.metadata().is_ok_and(program)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::fs::{self, Permissions};

    #[test]
    fn what_is_not_there_or_cannot_be_run_is_missing() {
        let folder = tempfile::tempdir().expect("a directory");
        for tool in Tool::ALL {
            let file = folder.path().join(tool.name());
            fs::write(&file, "").expect("written");
            let mode = if *tool == Tool::Lvm { 0o644 } else { 0o755 };
            fs::set_permissions(&file, Permissions::from_mode(mode)).expect("set");
        }
        fs::remove_file(folder.path().join("dmsetup")).expect("removed");
        let path = env::join_paths([Path::new("/nowhere"), folder.path()]).expect("a path");
        assert_eq!(missing_in(&path), [Tool::Dmsetup, Tool::Lvm]);
    }

    #[test]
    fn the_image_is_made_of_the_packages_of_all_of_them() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../component.yaml");
        let text = fs::read_to_string(file).expect("component.yaml");
        let component: serde_yaml::Value = serde_yaml::from_str(&text).expect("YAML");
        let sources = component["sources"].as_sequence().into_iter().flatten();
        let lists = sources.filter_map(|source| source["deb"]["packages"].as_sequence());
        let packages: BTreeSet<&str> = lists.flatten().filter_map(|name| name.as_str()).collect();
        for tool in Tool::ALL {
            let package = tool.package();
            assert!(packages.contains(package), "{} of {package}", tool.name());
        }
    }
}
