//! How a command is begun on a host, whatever shell the user has there. The login shell is given one constant
//! line that sh, bash, zsh, dash, fish, csh, tcsh, ksh and busybox read alike; /bin/sh takes over and reads
//! what it shall do from the channel. What start-up files print is told apart by a mark that only the two
//! ends of this command know.
//!
//! A password goes to sudo and to nobody else: it is sent when sudo has asked for it, with a prompt that
//! nobody else knows, and only once.

use super::Sudo;
use crate::host::quote;
use crate::{Secret, words};
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};

/// What the login shell is given: no shell finds anything in it to expand, and none of its quotes is a
/// special one of csh (`!`, a line's end) or fish (a backslash).
pub(super) const LOGIN: &str = "exec /bin/sh -c 'IFS= read -r ingot && eval \"$ingot\"'";

/// How commands become root's.
#[derive(Debug, Clone)]
pub(super) struct Way {
    /// Whether they go through sudo, and with which password.
    pub(super) sudo: Sudo,
    /// Whether sudo is given a terminal, since it demands one (`requiretty`). The command has none: its
    /// streams stay as they are.
    pub(super) terminal: bool,
}

/// The lines that begin one command, and what is said when.
pub(super) struct Opening {
    nonce: String,
    /// For /bin/sh, the first line of the channel.
    first: String,
    /// For the shell below sudo, once it is there.
    second: Option<String>,
    password: Option<Secret>,
}

impl Way {
    /// Begins `command` (for `/bin/sh`).
    pub(super) fn open(&self, command: &str) -> Opening {
        // Not to be known before, so that nothing that a host prints by itself is taken for it.
        let nonce = format!("{:016x}", RandomState::new().build_hasher().finish());
        let command = one_line(command);
        let mark = format!("printf '%s-%s\\n' ingot {nonce}");
        let marks = format!("{mark}; {mark} >&2; ");
        let (asks, password) = match &self.sudo {
            Sudo::No => {
                return Opening {
                    nonce,
                    first: format!("{marks}{command}"),
                    second: None,
                    password: None,
                };
            }
            Sudo::WithoutPassword => ("-n".to_owned(), None),
            // -k: neither used nor left behind is a time stamp that lets the user in without being asked.
            Sudo::WithPassword(password) => (
                format!("-k -S -p ingot-asks-{nonce}:"),
                Some(password.clone()),
            ),
        };
        let inner = quote(&format!("{marks}IFS= read -r ingot && eval \"$ingot\""));
        let sudo = format!("exec sudo {asks} -- /bin/sh -c {inner}");
        // sudo speaks the host's language, and what it says is looked at.
        let shell = format!("printf '%s-%s\\n' shell {nonce} >&2; LC_ALL=C; export LC_ALL; ");
        let first = match self.terminal {
            false => format!("{shell}{sudo}"),
            // script(1) makes a terminal and gives it to sudo as the controlling one, which is all that sudo
            // looks at; input and output go past it.
            true => format!(
                "{shell}command -v script >/dev/null || {{ echo 'script(1) is not installed' >&2; exit 127; }}; \
                 SHELL=/bin/sh; export SHELL; exec script -qec {} /dev/null 3<&0 4>&1 5>&2 </dev/null >/dev/null 2>&1",
                quote(&format!("{sudo} <&3 >&4 2>&5 3<&- 4>&- 5>&-"))
            ),
        };
        Opening {
            nonce,
            first,
            second: Some(command),
            password,
        }
    }
}

/// The same command without line breaks: it is read as one line.
fn one_line(command: &str) -> String {
    if !command.contains('\n') {
        return command.into();
    }
    let mut octal = String::new();
    for byte in command.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b' ' | b'/' | b'.' | b'-' => octal.push(char::from(byte)),
            other => octal.push_str(&format!("\\0{other:03o}")),
        }
    }
    format!("eval \"$(printf '%b' '{octal}')\"")
}

/// What to do next while a command begins.
#[derive(Debug)]
pub(super) enum Step {
    /// Nothing yet.
    Wait,
    /// Send this; for the password, a copy that is wiped.
    Send(Secret),
    /// sudo has refused the password: send no more, and end its input.
    Refused,
    /// The command runs; this is the beginning of its output.
    Runs(Vec<u8>),
}

/// What came while a command began.
pub(super) struct Beginning {
    opening: Opening,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    asked: bool,
    refused: bool,
}

/// More noise than this is not looked through.
const NOISE: usize = 1 << 20;

impl Beginning {
    /// What is sent at once, and who watches what comes then.
    pub(super) fn new(opening: Opening) -> (Secret, Self) {
        let mut lines = format!("{}\n", opening.first);
        let mut opening = opening;
        // Without a password there is nobody who might take this line for one.
        if opening.password.is_none()
            && let Some(second) = opening.second.take()
        {
            lines.push_str(&second);
            lines.push('\n');
        }
        let beginning = Self {
            opening,
            stdout: Vec::new(),
            stderr: Vec::new(),
            asked: false,
            refused: false,
        };
        (Secret::new(lines), beginning)
    }

    fn mark(&self) -> Vec<u8> {
        format!("ingot-{}\n", self.opening.nonce).into_bytes()
    }

    fn prompt(&self) -> Vec<u8> {
        format!("ingot-asks-{}:", self.opening.nonce).into_bytes()
    }

    /// Some standard output.
    pub(super) fn output(&mut self, data: &[u8]) -> Step {
        self.stdout.extend_from_slice(data);
        let mark = self.mark();
        if let Some(at) = find(&self.stdout, &mark) {
            return Step::Runs(self.stdout.split_off(at + mark.len()));
        }
        forget(&mut self.stdout, NOISE);
        Step::Wait
    }

    /// Some standard error.
    pub(super) fn error(&mut self, data: &[u8]) -> Step {
        self.stderr.extend_from_slice(data);
        forget(&mut self.stderr, NOISE);
        let prompt = self.prompt();
        let Some(at) = find(&self.stderr, &prompt) else {
            return Step::Wait;
        };
        self.stderr.drain(at..at + prompt.len());
        match (&self.opening.password, self.asked) {
            (Some(password), false) => {
                self.asked = true;
                Step::Send(Secret::new(format!("{}\n", password.expose())))
            }
            _ if self.refused => Step::Wait,
            // The password is wrong: what comes next must not be tried as another one.
            _ => {
                self.refused = true;
                Step::Refused
            }
        }
    }

    /// The command itself, where it could not be sent before.
    pub(super) fn command(&mut self) -> Option<Secret> {
        let second = self.opening.second.take()?;
        Some(Secret::new(format!("{second}\n")))
    }

    /// What remains of standard error once the command runs, and the mark that it may still begin with.
    pub(super) fn errors(self) -> Errors {
        let mark = self.mark();
        let mut errors = Errors {
            mark: Some(mark),
            kept: Vec::new(),
        };
        errors.add(&self.stderr);
        errors
    }

    /// Why the command never ran.
    pub(super) fn failed(self, status: Option<u32>) -> NotStarted {
        let shell = format!("shell-{}\n", self.opening.nonce).into_bytes();
        let (reached, stderr) = match find(&self.stderr, &shell) {
            Some(at) => (true, self.stderr[at + shell.len()..].to_vec()),
            None => (false, self.stderr),
        };
        let both = match reached {
            // What start-up files printed is not what sudo says.
            true => stderr.clone(),
            false => [self.stdout, b"\n".to_vec(), stderr.clone()].concat(),
        };
        NotStarted {
            sudo: reached,
            refused: self.refused,
            status,
            last: last_line(&stderr),
            said: words::said(&both),
        }
    }
}

/// A command that never ran.
#[derive(Debug)]
pub(super) struct NotStarted {
    /// Whether it came as far as sudo; if not, something else ran instead of the login shell.
    pub(super) sudo: bool,
    /// Whether sudo has asked for the password a second time.
    pub(super) refused: bool,
    /// How what ran instead has ended.
    pub(super) status: Option<u32>,
    /// The last line of standard error, without sudo's name.
    pub(super) last: String,
    /// All that was said.
    pub(super) said: Option<String>,
}

/// The last line tells; those before are for someone who would type again.
fn last_line(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let last = text.trim().lines().last().unwrap_or_default().trim();
    let last = last.strip_prefix("sudo: ").unwrap_or(last);
    words::said(last.as_bytes()).unwrap_or_default()
}

/// The end of a command's standard error, without what came before the command.
pub(super) struct Errors {
    mark: Option<Vec<u8>>,
    kept: Vec<u8>,
}

/// This much of standard error is kept.
const KEPT: usize = 8192;

impl Errors {
    /// Some more.
    pub(super) fn add(&mut self, data: &[u8]) {
        self.kept.extend_from_slice(data);
        let Some(mark) = &self.mark else {
            return forget(&mut self.kept, 2 * KEPT);
        };
        if let Some(at) = find(&self.kept, mark) {
            self.kept.drain(..at + mark.len());
            self.mark = None;
        }
        forget(&mut self.kept, NOISE);
    }

    /// The end of it.
    pub(super) fn text(self) -> String {
        // Without the mark, all of it came before.
        let kept = match self.mark {
            Some(_) => Vec::new(),
            None => self.kept,
        };
        let text = String::from_utf8_lossy(&kept);
        let cut = text.len().saturating_sub(KEPT);
        let from = (cut..=text.len()).find(|at| text.is_char_boundary(*at));
        text[from.unwrap_or_default()..].to_owned()
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes
        .windows(wanted.len())
        .position(|window| window == wanted)
}

fn forget(bytes: &mut Vec<u8>, most: usize) {
    if bytes.len() > most {
        bytes.drain(..bytes.len() - most / 2);
    }
}

#[cfg(test)]
mod tests;
