//! Files the document refers to: where they are, that they are there, and that secrets are closed.

use crate::files::{FileProbe, FileStatus};
use crate::finding::Report;
use std::path::{Path, PathBuf};

/// Who may read a file.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Openness {
    /// Only its owner: it is a secret.
    Secret,
    /// Anybody.
    Public,
}

/// Finds files from where the document is.
pub(super) struct Paths<'f> {
    directory: PathBuf,
    files: &'f dyn FileProbe,
}

impl<'f> Paths<'f> {
    pub(super) fn new(file_name: &str, files: &'f dyn FileProbe) -> Self {
        let directory = Path::new(file_name)
            .parent()
            .unwrap_or(Path::new(""))
            .to_owned();
        Self { directory, files }
    }

    /// The path of a file that can be used; what is wrong with it is reported at `place`.
    pub(super) fn usable(
        &self,
        place: &str,
        text: &str,
        openness: Openness,
        report: &mut Report,
    ) -> Option<PathBuf> {
        if text.is_empty() {
            report.error(
                place,
                "the path is empty",
                "name a file, or remove the field",
            );
            return None;
        }
        let path = self.resolve(place, text, report)?;
        let shown = path.display();
        match self.files.status(&path) {
            FileStatus::Readable { mode } => {
                if openness == Openness::Secret && mode & 0o077 != 0 {
                    report.error(
                        place,
                        format!("{shown} is open to others than its owner (mode {mode:04o})"),
                        format!("run `chmod 600 {shown}`"),
                    );
                    return None;
                }
                return Some(path);
            }
            FileStatus::Missing => report.error(
                place,
                format!("there is no file {shown}"),
                if text.starts_with(['/', '~']) {
                    "check the path"
                } else {
                    "check the path; it is relative to the directory of this file"
                },
            ),
            FileStatus::NotAFile => {
                report.error(
                    place,
                    format!("{shown} is not a file"),
                    "name the file itself",
                );
            }
            FileStatus::Unreadable => report.error(
                place,
                format!("you may not read {shown}"),
                "change its owner or mode, or run as its owner",
            ),
        }
        None
    }

    fn resolve(&self, place: &str, text: &str, report: &mut Report) -> Option<PathBuf> {
        if let Some(rest) = text.strip_prefix("~/") {
            let home = self.files.home();
            if home.is_none() {
                report.error(
                    place,
                    format!("the home directory of `{text}` is not known"),
                    "set HOME, or write the whole path",
                );
            }
            return Some(home?.join(rest));
        }
        if text.starts_with('~') {
            report.error(
                place,
                format!("`{text}` names the home of another user, which is not looked up"),
                "write the whole path",
            );
            return None;
        }
        Some(self.directory.join(text))
    }
}
