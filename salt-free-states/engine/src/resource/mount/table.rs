//! Lines of /proc/mounts and of /etc/fstab (fstab(5)): what is mounted, and what is to be.

use super::super::{ResourceError, io};
use crate::system::System;
use std::path::Path;

/// Stands above the entries that are ours.
pub(super) const MARK: &str = "# by ingot: the next line is written anew when it is changed";

/// What is mounted somewhere, as a line of /proc/mounts shows it.
pub(super) struct Mounted {
    pub device: String,
    pub r#type: String,
    pub options: Vec<String>,
}

const MOUNTS: &str = "/proc/mounts";

/// What is mounted at `path`; of several, the last one, which hides the others.
pub(super) fn mounted(system: &System, path: &Path) -> Result<Option<Mounted>, ResourceError> {
    let table = Path::new(MOUNTS);
    let text = std::fs::read_to_string(system.path(table)).map_err(io("read", table))?;
    Ok(text.lines().rev().find_map(|line| {
        let mut fields = line.split(' ').map(unescape);
        let (device, at) = (fields.next()?, fields.next()?);
        (Path::new(&at) == path).then(|| {
            let r#type = fields.next().unwrap_or_default();
            let options = fields.next().unwrap_or_default();
            let options = options.split(',').map(str::to_owned).collect();
            Mounted {
                device,
                r#type,
                options,
            }
        })
    }))
}

/// fstab(5): a blank is written `\040`, a tab `\011`, a backslash `\134`.
fn unescape(field: &str) -> String {
    let mut parts = field.split('\\');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let code = part
            .get(..3)
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match code {
            Some(code) => {
                text.push(code.into());
                text.push_str(&part[3..]);
            }
            None => {
                text.push('\\');
                text.push_str(part);
            }
        }
    }
    text
}

pub(super) fn escape(text: &str) -> String {
    text.replace('\\', "\\134")
        .replace(' ', "\\040")
        .replace('\t', "\\011")
}

/// The entry for a path in the text of fstab: its place, and whether it is ours.
pub(super) fn entry<'t>(text: &'t str, path: &Path) -> Option<(usize, &'t str, bool)> {
    let mut before = "";
    for (index, line) in text.lines().enumerate() {
        let at = line.split_whitespace().nth(1).map(unescape);
        if !line.trim_start().starts_with('#') && at.is_some_and(|at| Path::new(&at) == path) {
            return Some((index, line, before == MARK));
        }
        before = line;
    }
    None
}

/// Whether two entries say the same; blanks and the last two fields, which may be left out, aside.
pub(super) fn same_entry(one: &str, other: &str) -> bool {
    one.split_whitespace()
        .take(4)
        .eq(other.split_whitespace().take(4))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_found_by_their_path_and_known_as_ours() {
        let text = format!(
            "# x\n/dev/a / ext4 defaults 0 1\n{MARK}\n/dev/b /my\\040data ext4 defaults 0 2\n"
        );
        assert_eq!(
            entry(&text, Path::new("/")).map(|e| (e.0, e.2)),
            Some((1, false))
        );
        assert_eq!(
            entry(&text, Path::new("/my data")).map(|e| (e.0, e.2)),
            Some((3, true))
        );
        assert!(entry(&text, Path::new("/other")).is_none());
    }

    #[test]
    fn blanks_survive_the_way_to_fstab_and_back() {
        for text in ["/plain", "/a b", "/a\\b", "/tab\there"] {
            assert_eq!(unescape(&escape(text)), text);
        }
        assert_eq!(unescape("/ends\\"), "/ends\\");
    }
}
