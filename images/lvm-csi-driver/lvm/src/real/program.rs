//! Starts a program, waits for it, and keeps its last words.

use super::tool::Tool;
use crate::backend::Reply;
use crate::error::LvmError;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};

/// A program to start. Its name and arguments are shown in errors; its input never is.
pub(super) struct Program {
    tool: Tool,
    args: Vec<OsString>,
    input: Option<Vec<u8>>,
    share: Option<File>,
    end: End,
}

/// What becomes of a program when the agent dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Nothing that it leaves does harm.
    Killed,
    /// It would leave devices suspended. It is asked to end: LVM does so where it can.
    Asked,
}

/// A program that runs.
struct Begun {
    child: Child,
    shown: Shown,
}

/// A program in messages.
struct Shown {
    text: String,
    tool: Tool,
}

impl Shown {
    fn failed(&self, error: &std::io::Error) -> LvmError {
        LvmError::Failed {
            command: self.text.clone(),
            reason: format!(
                "{error}; see that {} is installed on the node",
                self.tool.name()
            ),
        }
    }
}

/// How it ended.
pub(super) struct Answer {
    shown: String,
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Program {
    pub fn new(tool: Tool) -> Self {
        Self {
            tool,
            args: Vec::new(),
            input: None,
            share: None,
            end: End::Killed,
        }
    }

    /// As long as it runs, it has a share in the agent's hold on the group.
    pub fn sharing(mut self, share: File) -> Self {
        self.share = Some(share);
        self
    }

    /// What becomes of it when the agent dies.
    pub fn when_orphaned(mut self, end: End) -> Self {
        self.end = end;
        self
    }

    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    pub fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args
            .extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    pub fn input(mut self, input: &[u8]) -> Self {
        self.input = Some(input.to_vec());
        self
    }

    /// Runs it to its end, however it ends.
    pub fn output(self) -> Result<Answer, LvmError> {
        let begun = self.begin()?;
        let output = begun.child.wait_with_output();
        let output = output.map_err(|error| begun.shown.failed(&error))?;
        Ok(Answer {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            shown: begun.shown.text,
        })
    }

    /// Runs it and hands out what it says line by line, so that none of it is kept. It is ended as soon as
    /// the next line is of no interest.
    pub fn lines(self, mut each: impl FnMut(&str) -> bool) -> Result<Answer, LvmError> {
        let Begun { mut child, shown } = self.begin()?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        // Beside the lines: a program that complains at length would wait for its reader.
        let complaints = std::thread::spawn(move || {
            let mut text = Vec::new();
            let _ = stderr.map(|mut stderr| stderr.read_to_end(&mut text));
            String::from_utf8_lossy(&text).into_owned()
        });
        let mut read = Ok(());
        for line in stdout
            .into_iter()
            .flat_map(|out| BufReader::new(out).lines())
        {
            match line {
                Ok(line) if each(&line) => continue,
                Ok(_) => {}
                Err(error) => read = Err(shown.failed(&error)),
            }
            // It may have ended by itself meanwhile.
            let _ = child.kill();
            break;
        }
        let ended = child.wait().map_err(|error| shown.failed(&error))?;
        read?;
        Ok(Answer {
            code: ended.code(),
            stdout: String::new(),
            stderr: complaints.join().unwrap_or_default(),
            shown: shown.text,
        })
    }

    fn begin(self) -> Result<Begun, LvmError> {
        let words = self.args.iter().map(|arg| arg.to_string_lossy());
        let text = std::iter::once(self.tool.name().into())
            .chain(words)
            .collect::<Vec<_>>()
            .join(" ");
        let shown = Shown {
            text,
            tool: self.tool,
        };
        // setpriv lets the kernel end it with us: what a dead agent began must not go on for long
        // while its successor waits.
        let signal = match self.end {
            End::Killed => "KILL",
            End::Asked => "TERM",
        };
        let stdin = match (&self.input, self.share) {
            (Some(_), _) => Stdio::piped(),
            // A file without content: it reads as nothing, as /dev/null does.
            (None, Some(share)) => Stdio::from(share),
            (None, None) => Stdio::null(),
        };
        let mut command = Command::new(Tool::Setpriv.name());
        command
            .args(["--pdeathsig", signal, "--", self.tool.name()])
            .args(&self.args)
            // Messages are read below, so they must be the untranslated ones.
            .env("LC_ALL", "C")
            .env("LVM_SUPPRESS_FD_WARNINGS", "1")
            .stdin(stdin)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| shown.failed(&error))?;
        if let (Some(input), Some(mut stdin)) = (&self.input, child.stdin.take()) {
            // One that ends before it reads says why in its own words.
            let _ = stdin.write_all(input);
        }
        Ok(Begun { child, shown })
    }

    /// Runs it; any end but success is an error.
    pub fn run(self) -> Result<Reply, LvmError> {
        let answer = self.output()?;
        match answer.code {
            Some(0) => Ok(Reply::Done),
            _ => Err(answer.failed()),
        }
    }
}

impl Answer {
    pub fn failed(&self) -> LvmError {
        let words = self.stderr.trim();
        let end = match self.code {
            Some(code) => format!("exit code {code}"),
            None => "killed".into(),
        };
        LvmError::Failed {
            command: self.shown.clone(),
            reason: if words.is_empty() {
                end
            } else {
                format!("{words} ({end})")
            },
        }
    }

    /// The value of a line KEY=value.
    pub fn value(&self, key: &str) -> Option<String> {
        let lines = self.stdout.lines();
        lines
            .filter_map(|line| line.split_once('='))
            .find(|(k, _)| *k == key)
            .map(|(_, v)| v.to_owned())
    }
}
