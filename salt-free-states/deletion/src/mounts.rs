//! The kernel's list of mounts (proc_pid_mountinfo(5)), read as data. It mounts and unmounts nothing.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// One mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// Its ID, as `mnt_id` in /proc/self/fdinfo shows it.
    pub id: u64,
    /// The ID of the mount it is mounted on.
    pub parent: u64,
    /// `major:minor` of its device.
    pub device: String,
    /// What of the file system is mounted: `/` for all of it, another directory for a bind mount.
    pub root: PathBuf,
    /// Where it is mounted.
    pub target: PathBuf,
    /// Its options, separated by commas.
    pub options: String,
    /// The type of the file system.
    pub filesystem: String,
    /// What is mounted: a device, a remote share, or a name without meaning.
    pub source: String,
}

/// All mounts that this process sees, in the order of the kernel.
#[derive(Debug, Clone, Default)]
pub struct MountTable {
    mounts: Vec<Mount>,
}

impl MountTable {
    /// Reads the list.
    ///
    /// # Errors
    /// When /proc is not mounted or cannot be read.
    pub fn of_this_process() -> io::Result<Self> {
        std::fs::read("/proc/self/mountinfo").map(|text| Self::parse(&text))
    }

    /// Reads the text of a mountinfo file. Lines of another shape are skipped, as the manual page asks.
    pub fn parse(text: &[u8]) -> Self {
        let mounts = text.split(|byte| *byte == b'\n').filter_map(line).collect();
        Self { mounts }
    }

    /// All mounts.
    pub fn all(&self) -> &[Mount] {
        &self.mounts
    }

    /// The mount that is seen at `path`, if `path` is a mount point: of several on top of each other, the
    /// uppermost.
    pub fn at(&self, path: &Path) -> Option<&Mount> {
        let here = || self.mounts.iter().filter(|mount| mount.target == path);
        here().find(|mount| !here().any(|other| other.parent == mount.id))
    }

    /// Mounts strictly below `path`.
    pub fn below<'a>(&'a self, path: &'a Path) -> impl Iterator<Item = &'a Mount> {
        self.mounts
            .iter()
            .filter(move |mount| mount.target != path && mount.target.starts_with(path))
    }
}

fn line(line: &[u8]) -> Option<Mount> {
    let mut fields = line.split(|byte| *byte == b' ').filter(|f| !f.is_empty());
    let number = |field: &[u8]| std::str::from_utf8(field).ok()?.parse().ok();
    let text = |field: &[u8]| unescape(field).to_string_lossy().into_owned();
    let id = number(fields.next()?)?;
    let parent = number(fields.next()?)?;
    let device = text(fields.next()?);
    let root = unescape(fields.next()?).into();
    let target = unescape(fields.next()?).into();
    let options = text(fields.next()?);
    // Optional fields end at a single hyphen.
    let mut fields = fields.skip_while(|field| *field != b"-").skip(1);
    let filesystem = text(fields.next()?);
    let source = text(fields.next()?);
    Some(Mount {
        id,
        parent,
        device,
        root,
        target,
        options,
        filesystem,
        source,
    })
}

/// Blanks, tabs, newlines, backslashes and number signs are written as a backslash and three octal digits.
fn unescape(field: &[u8]) -> OsString {
    let mut bytes = Vec::with_capacity(field.len());
    let mut at = 0;
    while at < field.len() {
        let code = field
            .get(at + 1..at + 4)
            .filter(|_| field[at] == b'\\')
            .filter(|digits| digits.iter().all(|digit| (b'0'..=b'7').contains(digit)))
            .map(|digits| {
                digits
                    .iter()
                    .fold(0_u16, |sum, digit| sum * 8 + u16::from(digit - b'0'))
            })
            .and_then(|code| u8::try_from(code).ok());
        match code {
            Some(code) => {
                bytes.push(code);
                at += 4;
            }
            None => {
                bytes.push(field[at]);
                at += 1;
            }
        }
    }
    OsString::from_vec(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_manual_page_are_read() {
        let text = b"36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 propagate_from:2 - ext3 /dev/root rw,errors=continue\n\
            1 0 0:1 / / rw - rootfs none rw\nshort\n";
        let table = MountTable::parse(text);
        let found = table.at(Path::new("/mnt2")).unwrap();
        assert_eq!(
            (found.id, found.parent, found.device.as_str()),
            (36, 35, "98:0")
        );
        assert_eq!(
            (found.filesystem.as_str(), found.source.as_str()),
            ("ext3", "/dev/root")
        );
        assert_eq!(found.root, Path::new("/mnt1"));
        assert_eq!(table.all().len(), 2);
    }

    #[test]
    fn every_escape_is_read_and_other_backslashes_stay() {
        let read = |text: &[u8]| unescape(text).into_vec();
        assert_eq!(read(br"/a\040b\011c\012d\134e\043"), b"/a b\tc\nd\\e#");
        assert_eq!(read(br"/a\04\999\"), br"/a\04\999\");
        assert_eq!(read(b"/\xff\\040"), b"/\xff ");
    }

    #[test]
    fn of_mounts_on_top_of_each_other_the_uppermost_is_seen() {
        let text = b"7 1 8:1 / /srv rw - ext4 /dev/sda1 rw\n9 7 8:2 / /srv rw - xfs /dev/sdb1 rw\n\
            10 9 0:9 / /srv/a rw - tmpfs t rw\n11 1 0:9 / /srvb rw - tmpfs t rw\n";
        let table = MountTable::parse(text);
        assert_eq!(table.at(Path::new("/srv")).unwrap().source, "/dev/sdb1");
        let below: Vec<_> = table.below(Path::new("/srv")).map(|m| m.id).collect();
        assert_eq!(below, [10]);
    }
}
