//! Takes the Kubernetes program out of the verified bundle and asks it. The only place that starts a
//! program of the bundle on the installer's machine.
//!
//! It runs from memory, without an environment, and serves nothing. An answer is kept under the digest
//! of program and question, so that the same cluster.yaml is asked about once.

use super::question::{Answer, Question};
use ingot_bundle::{BlobError, Descriptor, Digest, VerifiedBundle};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::channel;
use std::time::Duration;
use thiserror::Error;

/// Under this name the program judges settings; under others it is a component of Kubernetes.
const NAME: &str = "check-settings";
/// The component of the bundle that holds it, and its file.
const COMPONENT: &str = "kubelet";
/// It needs less than a second.
const PATIENCE: Duration = Duration::from_secs(120);
/// What it may say; a sound answer is far smaller.
const LONGEST: usize = 4 << 20;

/// Why the program could not be asked.
#[derive(Debug, Error)]
pub enum AskError {
    /// The bundle has no such program.
    #[error("the bundle has no component `{COMPONENT}`")]
    Missing,
    /// The bundle cannot be read.
    #[error("cannot read the program `{COMPONENT}` of the bundle")]
    Blob {
        /// What is wrong with it.
        source: BlobError,
    },
    /// The program cannot be unpacked into memory.
    #[error("cannot unpack the program `{COMPONENT}` of the bundle")]
    Unpack {
        /// What the system said.
        source: io::Error,
    },
    /// The program cannot be started.
    #[error("cannot start the program `{COMPONENT}` of the bundle on this machine")]
    Start {
        /// What the system said.
        source: io::Error,
    },
    /// The program ended badly.
    #[error("the program `{COMPONENT}` of the bundle ended with {status}: {words}")]
    Ended {
        /// How.
        status: String,
        /// What it said.
        words: String,
    },
    /// It answered with something else.
    #[error("the program `{COMPONENT}` of the bundle gave an answer that cannot be read")]
    Answer {
        /// Why.
        source: serde_json::Error,
    },
}

/// Asks the Kubernetes program of one bundle.
#[derive(Debug)]
pub struct Judge<'a> {
    bundle: &'a VerifiedBundle,
    /// Where answers are kept, if anywhere.
    answers: Option<PathBuf>,
    program: OnceLock<File>,
}

impl<'a> Judge<'a> {
    /// For the program of `bundle`; answers are kept below `answers`.
    pub fn new(bundle: &'a VerifiedBundle, answers: Option<PathBuf>) -> Self {
        Self {
            bundle,
            answers,
            program: OnceLock::new(),
        }
    }

    /// The program's answer.
    ///
    /// # Errors
    /// Why there is none.
    pub fn ask(&self, question: &Question) -> Result<Answer, AskError> {
        let layer = self
            .bundle
            .component(COMPONENT)
            .and_then(|component| component.layers().first())
            .ok_or(AskError::Missing)?;
        let text = serde_json::to_vec(question).map_err(|source| AskError::Answer { source })?;
        let kept = self.kept(layer, &text);
        if let Some(answer) = kept.as_ref().and_then(|path| std::fs::read(path).ok())
            && let Ok(answer) = serde_json::from_slice(&answer)
        {
            return Ok(answer);
        }
        let answered = run(self.program(layer)?, text)?;
        let answer =
            serde_json::from_slice(&answered).map_err(|source| AskError::Answer { source })?;
        if let Some(path) = kept {
            // An answer that is not kept is asked for again.
            let _ = path.parent().map(std::fs::create_dir_all);
            let _ = std::fs::write(path, answered);
        }
        Ok(answer)
    }

    fn kept(&self, layer: &Descriptor, question: &[u8]) -> Option<PathBuf> {
        let mut asked = layer.digest.to_string().into_bytes();
        asked.push(b'\n');
        asked.extend_from_slice(question);
        let name = format!("{}.json", Digest::of(&asked).hex());
        self.answers.as_ref().map(|directory| directory.join(name))
    }

    fn program(&self, layer: &Descriptor) -> Result<&File, AskError> {
        if let Some(program) = self.program.get() {
            return Ok(program);
        }
        let blob = self
            .bundle
            .blob(&layer.digest)
            .map_err(|source| AskError::Blob { source })?;
        let program = unpack(blob).map_err(|source| AskError::Unpack { source })?;
        Ok(self.program.get_or_init(|| program))
    }
}

/// The program, in a file that is in memory only.
fn unpack(layer: impl Read) -> io::Result<File> {
    let mut archive = tar::Archive::new(zstd::Decoder::new(layer)?);
    let mut file = File::from(memfd_create(NAME, MFdFlags::MFD_CLOEXEC)?);
    let mut found = false;
    for entry in archive.entries()? {
        let mut entry = entry?;
        if entry.path()?.as_os_str() == COMPONENT {
            io::copy(&mut entry, &mut file)?;
            found = true;
        }
    }
    // To its end, where the digest of the layer shows.
    io::copy(&mut archive.into_inner(), &mut io::sink())?;
    if !found {
        let words = format!("the layer has no file `{COMPONENT}`");
        return Err(io::Error::new(io::ErrorKind::NotFound, words));
    }
    // A file that is open for writing is not started.
    File::open(format!("/proc/self/fd/{}", file.as_raw_fd()))
}

fn run(program: &File, question: Vec<u8>) -> Result<Vec<u8>, AskError> {
    let mut command = Command::new(format!("/proc/self/fd/{}", program.as_raw_fd()));
    command
        .arg0(NAME)
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command
        .spawn()
        .map_err(|source| AskError::Start { source })?;
    let id = child.id();
    let stdin = child.stdin.take();
    let (done, ended) = channel();
    std::thread::spawn(move || {
        if let Some(mut stdin) = stdin {
            // One that ends before it has read says why.
            let _ = stdin.write_all(&question);
        }
    });
    std::thread::spawn(move || done.send(child.wait_with_output()));
    let output = match ended.recv_timeout(PATIENCE) {
        Ok(output) => output.map_err(|source| AskError::Start { source })?,
        Err(_) => {
            let _ = i32::try_from(id).map(|id| kill(Pid::from_raw(id), Signal::SIGKILL));
            let seconds = PATIENCE.as_secs();
            return Err(AskError::Ended {
                status: "nothing".into(),
                words: format!("no answer within {seconds} s"),
            });
        }
    };
    answered(output)
}

fn answered(output: Output) -> Result<Vec<u8>, AskError> {
    if output.status.success() && output.stdout.len() <= LONGEST {
        return Ok(output.stdout);
    }
    let words = String::from_utf8_lossy(&output.stderr);
    let last = words.trim().lines().last().unwrap_or("without a word");
    Err(AskError::Ended {
        status: output.status.to_string(),
        words: last.chars().take(500).collect(),
    })
}
