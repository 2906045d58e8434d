//! The trait every way of reaching a host implements, and what is built on it.

use crate::TransportError;
use futures::future::{BoxFuture, Either};
use std::pin::pin;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// How a process ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exit {
    /// Its status; `None` for a signal or a broken connection.
    pub status: Option<u32>,
    /// The last 8 KiB of its standard error.
    pub stderr: String,
}

/// A process started on a host.
pub struct Process {
    /// Its standard input; dropping it after `shutdown` ends the input.
    pub stdin: Box<dyn AsyncWrite + Send + Unpin>,
    /// Its standard output.
    pub stdout: Box<dyn AsyncRead + Send + Unpin>,
    /// Resolves when it has ended.
    pub exit: BoxFuture<'static, Exit>,
}

/// The collected output of a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// How it ended.
    pub exit: Exit,
    /// Its standard output.
    pub stdout: Vec<u8>,
}

/// A host commands can be started on, as root.
pub trait Host: Send + Sync {
    /// How the host is reached, for messages: `10.0.0.1:22`.
    fn address(&self) -> String;

    /// Starts `command` (for `/bin/sh`) as root.
    fn start<'a>(&'a self, command: &'a str) -> BoxFuture<'a, Result<Process, TransportError>>;
}

/// Quotes a word for `/bin/sh`.
pub fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.into();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// Runs `command` with `input` and collects what it prints.
///
/// # Errors
/// When it cannot be started; a failing status is in the output.
pub async fn run(host: &dyn Host, command: &str, input: &[u8]) -> Result<Output, TransportError> {
    let process = host.start(command).await?;
    collect(host, process, input).await
}

/// Gives `input` to a process of `host` and collects what it prints.
pub(crate) async fn collect(
    host: &dyn Host,
    process: Process,
    input: &[u8],
) -> Result<Output, TransportError> {
    let Process {
        mut stdin,
        mut stdout,
        exit,
    } = process;
    let mut collected = Vec::new();
    let feed = async move {
        // A command that ends early without reading closes the pipe; its status tells why.
        let _ = stdin.write_all(input).await;
        let _ = stdin.shutdown().await;
        // A pipe ends when it is dropped, a channel when it is shut down.
        drop(stdin);
    };
    let end = async {
        let read = stdout.read_to_end(&mut collected).await;
        (read, exit.await)
    };
    // A command that has ended (its disk was full) reads no more, so its input must not be waited for.
    let (read, exit) = match futures::future::select(pin!(end), pin!(feed)).await {
        Either::Left((ended, _)) => ended,
        Either::Right(((), end)) => end.await,
    };
    if let Err(error) = read {
        return Err(TransportError::Broken {
            address: host.address(),
            reason: error.to_string(),
        });
    }
    Ok(Output {
        exit,
        stdout: collected,
    })
}

/// Writes `content`, whose SHA-256 is `digest`, to `path` with the given mode, in one step: beside it first,
/// under a name that nobody else uses (it ends with a process id, which tells what a power cut left), then
/// renamed over it. A connection that breaks in the middle ends the input like a whole file does, so what
/// arrived is compared before it counts.
///
/// # Errors
/// When the host refuses or something else arrived; the old file is then still there.
pub async fn write_file(
    host: &dyn Host,
    path: &str,
    mode: u32,
    content: &[u8],
    digest: &str,
) -> Result<(), TransportError> {
    let target = quote(path);
    let digest = quote(digest);
    let command = format!(
        "set -e; umask 077; mkdir -p -m 0755 \"$(dirname {target})\"; fresh={target}.new.$$; \
         for torn in {target}.new.*; do kill -0 \"${{torn##*.}}\" 2>/dev/null || rm -f \"$torn\"; done; \
         trap 'rm -f \"$fresh\"' EXIT; cat > \"$fresh\"; \
         if [ \"$(sha256sum < \"$fresh\" | cut -c1-64)\" != {digest} ]; then \
         echo 'it did not arrive whole; run the same command again' >&2; exit 1; fi; \
         chmod {mode:o} \"$fresh\"; mv -f \"$fresh\" {target}"
    );
    must(host, &format!("write {path}"), &command, content).await
}

/// Runs `command`, which is told as `what`, with `input`; what it prints does not matter.
///
/// # Errors
/// When it cannot be started or fails.
pub async fn must(
    host: &dyn Host,
    what: &str,
    command: &str,
    input: &[u8],
) -> Result<(), TransportError> {
    let exit = run(host, command, input).await?.exit;
    if exit.status == Some(0) {
        return Ok(());
    }
    let status = exit.status;
    Err(TransportError::Command {
        address: host.address(),
        command: what.into(),
        status: status.map_or("a signal".into(), |s| format!("status {s}")),
        stderr: exit.stderr.trim().to_owned(),
    })
}

/// Keeps the end of a stream, at most 8 KiB.
pub(crate) async fn tail(mut stream: impl AsyncRead + Unpin) -> String {
    let mut kept: Vec<u8> = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = stream.read(&mut buffer).await {
        kept.extend_from_slice(&buffer[..count]);
        if kept.len() > 16384 {
            kept.drain(..kept.len() - 8192);
        }
    }
    String::from_utf8_lossy(&kept).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LocalHost;

    #[test]
    fn words_are_quoted_when_they_need_it() {
        assert_eq!(quote("/usr/bin/x-1"), "/usr/bin/x-1");
        assert_eq!(quote("it's"), r"'it'\''s'");
        assert_eq!(quote(""), "''");
    }

    #[tokio::test]
    async fn output_status_and_last_words_are_collected() {
        let output = run(&LocalHost, "cat; echo oops >&2; exit 3", b"in")
            .await
            .unwrap();
        assert_eq!(output.stdout, b"in");
        assert_eq!(
            output.exit,
            Exit {
                status: Some(3),
                stderr: "oops\n".into()
            }
        );
    }

    #[tokio::test]
    async fn a_command_that_ends_without_reading_is_not_waited_for() {
        let input = vec![0; 64 << 20];
        let output = run(&LocalHost, "echo full >&2; exit 1", &input)
            .await
            .unwrap();
        assert_eq!(output.exit.status, Some(1));
        assert_eq!(output.exit.stderr, "full\n");
    }

    #[tokio::test]
    async fn a_file_is_written_with_its_mode_and_refusals_are_told() {
        use std::os::unix::fs::PermissionsExt;
        use std::path::Path;
        // Of "content".
        let digest = "ed7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9f73";
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sub dir/f");
        let text = path.to_str().unwrap();
        write_file(&LocalHost, text, 0o640, b"content", digest)
            .await
            .unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"content");
        assert_eq!(
            std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o640
        );
        let error = write_file(&LocalHost, text, 0o640, b"cont", digest)
            .await
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "`write {text}` failed on this machine with status 1: it did not arrive whole; run the same command again"
            )
        );
        assert_eq!(std::fs::read(&path).unwrap(), b"content");
        let beside = || std::fs::read_dir(path.parent().unwrap()).unwrap().count();
        assert_eq!(beside(), 1, "something is left beside it");
        // One that a power cut left, and one that somebody is writing now.
        for process in [u32::MAX, std::process::id()] {
            std::fs::write(format!("{text}.new.{process}"), "cont").unwrap();
        }
        write_file(&LocalHost, text, 0o640, b"content", digest)
            .await
            .unwrap();
        assert_eq!(beside(), 2);
        assert!(Path::new(&format!("{text}.new.{}", std::process::id())).exists());
        let error = write_file(&LocalHost, "/proc/no/file", 0o640, b"", digest)
            .await
            .unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("`write /proc/no/file` failed on this machine with status 1"),
            "{error}"
        );
    }
}
