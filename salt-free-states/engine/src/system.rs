//! The boundary to the host: where its root is, how programs are run, where blobs come from.
//!
//! Only this module starts programs. Tests put a fake [`Commands`] that keeps state behind it; files
//! are real files below [`System::root`] in tests too.

use std::io::Read;
use std::path::{Component, Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

/// The result of a program that ran to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandOutput {
    /// The exit status; `None` when a signal ended it.
    pub status: Option<i32>,
    /// Standard output, as text.
    pub stdout: String,
    /// Standard error, as text.
    pub stderr: String,
}

impl CommandOutput {
    /// Whether it ended with status 0.
    pub fn success(&self) -> bool {
        self.status == Some(0)
    }
}

/// A program could not be run, or refused.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The program is not on the host, or cannot be executed.
    #[error("cannot run `{program}`: is it installed and in PATH?")]
    Start {
        /// The program as it was named.
        program: String,
        /// Why the kernel refused.
        source: std::io::Error,
    },
    /// The program ended with a failure.
    #[error("`{command}` failed with {status}: {stderr}")]
    Failed {
        /// The whole command line.
        command: String,
        /// `status N` or `a signal`.
        status: String,
        /// The last lines it wrote.
        stderr: String,
    },
}

/// Runs programs on the host.
pub trait Commands: Send + Sync {
    /// Runs `program` with `args` and waits for it.
    ///
    /// # Errors
    /// [`CommandError::Start`] when it cannot be started; a failing exit status is not an error here.
    fn run(&self, program: &str, args: &[&str]) -> Result<CommandOutput, CommandError>;
}

impl dyn Commands + '_ {
    /// Runs a program that must succeed, and returns its standard output.
    ///
    /// # Errors
    /// As [`Commands::run`], and [`CommandError::Failed`] for a failing exit status.
    pub fn must(&self, program: &str, args: &[&str]) -> Result<String, CommandError> {
        let output = self.run(program, args)?;
        if output.success() {
            return Ok(output.stdout);
        }
        let tail: Vec<&str> = output.stderr.trim().lines().rev().take(5).collect();
        Err(CommandError::Failed {
            command: std::iter::once(program)
                .chain(args.iter().copied())
                .collect::<Vec<_>>()
                .join(" "),
            status: output
                .status
                .map_or("a signal".into(), |status| format!("status {status}")),
            stderr: tail.into_iter().rev().collect::<Vec<_>>().join("; "),
        })
    }
}

/// Runs programs of the machine this process is on.
#[derive(Debug, Default)]
pub struct HostCommands {
    /// Directories searched before the `PATH` of the process.
    pub search_first: Vec<PathBuf>,
}

impl Commands for HostCommands {
    fn run(&self, program: &str, args: &[&str]) -> Result<CommandOutput, CommandError> {
        let inherited = std::env::var_os("PATH").unwrap_or_default();
        // A login over SSH as a sudo user often lacks the sbin directories.
        let standard = [
            "/usr/local/sbin",
            "/usr/local/bin",
            "/usr/sbin",
            "/usr/bin",
            "/sbin",
            "/bin",
        ];
        let dirs = self
            .search_first
            .iter()
            .cloned()
            .chain(std::env::split_paths(&inherited))
            .chain(standard.iter().map(PathBuf::from));
        let path = std::env::join_paths(dirs).unwrap_or(inherited);
        let output = Command::new(program)
            .args(args)
            .env("PATH", path)
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .output()
            .map_err(|source| CommandError::Start {
                program: program.into(),
                source,
            })?;
        Ok(CommandOutput {
            status: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }
}

/// Gives out content by its SHA-256 digest.
pub trait BlobSource: Send + Sync {
    /// Opens the blob whose digest is `sha256:<hex>`.
    ///
    /// # Errors
    /// When the blob is absent or cannot be opened.
    fn open(&self, digest: &str) -> std::io::Result<Box<dyn Read>>;
}

/// A host without blobs: every request is refused.
#[derive(Debug)]
pub struct NoBlobs;

impl BlobSource for NoBlobs {
    fn open(&self, digest: &str) -> std::io::Result<Box<dyn Read>> {
        Err(std::io::Error::new(
            std::io::ErrorKind::NotFound,
            format!("no blob store is configured, {digest} is wanted"),
        ))
    }
}

/// The host the engine works on.
#[derive(Clone)]
pub struct System {
    root: PathBuf,
    /// How programs are run.
    pub commands: Arc<dyn Commands>,
    /// Where blobs come from.
    pub blobs: Arc<dyn BlobSource>,
}

impl System {
    /// The machine this process runs on, with blobs from `blobs`.
    pub fn this_host(blobs: Arc<dyn BlobSource>) -> Self {
        Self {
            root: "/".into(),
            commands: Arc::new(HostCommands::default()),
            blobs,
        }
    }

    /// A host whose files lie below `root`; programs are run by `commands`.
    pub fn below(
        root: impl Into<PathBuf>,
        commands: Arc<dyn Commands>,
        blobs: Arc<dyn BlobSource>,
    ) -> Self {
        Self {
            root: root.into(),
            commands,
            blobs,
        }
    }

    /// Where the absolute path `path` of the host lies for this process.
    ///
    /// Components `..` are dropped, so a description cannot leave the root.
    pub fn path(&self, path: &Path) -> PathBuf {
        let mut full = self.root.clone();
        full.extend(
            path.components()
                .filter(|c| matches!(c, Component::Normal(_))),
        );
        full
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_below_the_root() {
        let system = System::below("/r", Arc::new(HostCommands::default()), Arc::new(NoBlobs));
        assert_eq!(
            system.path(Path::new("/etc/../../x")),
            PathBuf::from("/r/etc/x")
        );
        assert_eq!(
            System::this_host(Arc::new(NoBlobs)).path(Path::new("/etc")),
            PathBuf::from("/etc")
        );
    }

    #[test]
    fn a_failing_program_is_reported_with_its_last_words() {
        let commands: &dyn Commands = &HostCommands::default();
        let error = commands
            .must("sh", &["-c", "echo no space left >&2; exit 4"])
            .unwrap_err();
        assert!(
            error
                .to_string()
                .ends_with("failed with status 4: no space left"),
            "{error}"
        );
    }

    #[test]
    fn a_missing_program_is_named() {
        let commands: &dyn Commands = &HostCommands::default();
        let error = commands.must("no-such-program", &[]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot run `no-such-program`: is it installed and in PATH?"
        );
    }
}
