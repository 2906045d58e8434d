//! Files and programs into a guest and out of it.
//!
//! What goes in travels on a disk that is plugged in for the purpose: an emulated processor needs
//! eight seconds to decrypt what it reads from a disk in a tenth of one.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::json;

use super::disk::remove_node;
use super::spec::{MAX_DISKS, path_of};
use super::{Guest, GuestError, session};
use crate::program;
use crate::state;

/// Place on the controller of the first disk that carries a copy; data disks come before it.
const FIRST_ID: u64 = MAX_DISKS as u64;

/// In the guest: waits for the disk `$1`, unpacks it beside `$2`, and puts the member `$3` there.
const UNPACK: &str = r#"
set -eu
for _ in $(seq 600); do [ -e "$1" ] && break; sleep 0.1; done
parent=$(dirname "$2")
mkdir -p "$parent"
partial=$(mktemp -d "$parent/.copy-XXXXXX")
trap 'rm -rf "$partial"' EXIT
tar -x -C "$partial" -f "$1"
if [ -d "$2" ] && [ -d "$partial/$3" ]; then cp -a "$partial/$3/." "$2/"
elif [ -d "$2" ]; then mv "$partial/$3" "$2/"
else mv -T "$partial/$3" "$2"; fi
"#;

impl Guest {
    /// Copies a file or a directory of the machine to `to` in the guest, owned by root, with its
    /// modes. Parents are made; into a directory that exists, a directory's content is merged and a
    /// file is placed; a file is replaced.
    pub fn copy_in(&self, from: &Path, to: &str) -> Result<(), GuestError> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let dir = &self.dir;
        let from = from
            .canonicalize()
            .map_err(|e| GuestError::state(dir.name(), state::access("find", from, e)))?;
        let (Some(parent), Some(member)) = (from.parent(), from.file_name()) else {
            return Err(GuestError::Spec {
                guest: dir.name().clone(),
                what: "a copy of the machine's root directory; name a directory below it".into(),
            });
        };
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let serial = format!("copy-{count}");
        let archive = dir.path().join(&serial);
        let mut tar = Command::new("tar");
        tar.arg("-C")
            .arg(parent)
            .args(["--owner=0", "--group=0", "-c", "-f"]);
        tar.arg(&archive).arg("--").arg(member);
        program::run(&mut tar).map_err(|source| GuestError::program(dir.name(), source))?;
        self.on_monitor(|monitor| {
            let file = json!({
                "driver": "file", "node-name": serial, "filename": serial, "read-only": true,
            });
            monitor.run("blockdev-add", file)?;
            let device = json!({
                "driver": "scsi-hd", "bus": "scsi.0", "scsi-id": FIRST_ID + count % 100,
                "id": format!("{serial}-device"), "drive": serial, "serial": serial,
            });
            monitor.run("device_add", device)
        })?;
        let member = member.to_string_lossy();
        let unpacked = self.run(&["sh", "-c", UNPACK, "copy", &path_of(&serial), to, &member]);
        self.on_monitor(|monitor| {
            monitor.run("device_del", json!({"id": format!("{serial}-device")}))?;
            remove_node(monitor, &serial)
        })?;
        std::fs::remove_file(&archive)
            .map_err(|e| GuestError::state(dir.name(), state::access("remove", &archive, e)))?;
        unpacked.map(drop)
    }

    /// Copies a file or a directory of the guest to `to` on the machine, which must not exist yet.
    /// Goes through SSH, at two or three MB a second.
    pub fn copy_out(&self, from: &str, to: &Path) -> Result<(), GuestError> {
        let dir = &self.dir;
        let place = |action, e| GuestError::state(dir.name(), state::access(action, to, e));
        if to.exists() {
            return Err(place("create", std::io::ErrorKind::AlreadyExists.into()));
        }
        let script = r#"tar -c -C "$(dirname "$1")" -f - -- "$(basename "$1")""#;
        let output = self.run(&["sh", "-c", script, "copy", from])?;
        let mut partial = to.as_os_str().to_owned();
        partial.push(".partial");
        let partial = PathBuf::from(partial);
        std::fs::create_dir(&partial).map_err(|e| place("create", e))?;
        let archive = partial.join("archive");
        std::fs::write(&archive, output.stdout).map_err(|e| place("write", e))?;
        let mut tar = Command::new("tar");
        tar.arg("-C")
            .arg(&partial)
            .args(["--no-same-owner", "-x", "-f"])
            .arg(&archive);
        let unpacked = program::run(&mut tar);
        let moved = unpacked
            .map_err(|source| GuestError::program(dir.name(), source))
            .and_then(|_| {
                let member = partial.join(Path::new(from).file_name().unwrap_or_default());
                std::fs::rename(member, to).map_err(|e| place("create", e))
            });
        state::remove_tree(&partial).map_err(|source| GuestError::state(dir.name(), source))?;
        moved
    }

    /// Copies a program of the machine to /usr/local/bin, with the shared libraries that the guest
    /// lacks, and returns its path there. The C library is the guest's own.
    pub fn install_program(&self, program: &Path) -> Result<String, GuestError> {
        let file = program.file_name().unwrap_or_default().to_string_lossy();
        let path = format!("/usr/local/bin/{file}");
        self.copy_in(program, &path)?;
        self.run(&["chmod", "755", &path])?;
        // ldd fails for a static program, which is fine, and prints nothing to search for then.
        let script = r#"ldd "$1" 2>/dev/null | sed -n 's/^\s*\(\S*\) => not found$/\1/p'"#;
        let missing = self.run(&["sh", "-c", script, "ldd", &path])?;
        let missing = String::from_utf8_lossy(&missing.stdout).into_owned();
        if missing.trim().is_empty() {
            return Ok(path);
        }
        let own = program::run(Command::new("ldd").arg(program))
            .map_err(|source| GuestError::program(self.dir.name(), source))?;
        let own = String::from_utf8_lossy(&own.stdout).into_owned();
        for library in missing.lines() {
            let found = own
                .lines()
                .find_map(|line| line.trim().strip_prefix(library)?.strip_prefix(" => "))
                .and_then(|rest| rest.split(' ').next());
            let Some(found) = found.filter(|found| found.starts_with('/')) else {
                return Err(GuestError::Spec {
                    guest: self.dir.name().clone(),
                    what: format!("the program {file}: this machine lacks its library {library}"),
                });
            };
            self.copy_in(Path::new(found), &format!("/usr/local/lib/{library}"))?;
        }
        self.run(&["ldconfig"])?;
        Ok(path)
    }

    /// Installs a program of the machine and runs it as root; what it prints appears here while it
    /// runs. `variables` are its environment besides that of a login.
    pub fn run_program(
        &self,
        program: &Path,
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> Result<ExitStatus, GuestError> {
        let path = self.install_program(program)?;
        let variables: Vec<String> = variables
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let mut words = vec!["env"];
        words.extend(variables.iter().map(String::as_str));
        words.push(&path);
        words.extend(arguments);
        self.stream(&words)
    }

    /// Runs a command as root; what it prints appears here while it runs.
    pub fn stream(&self, words: &[&str]) -> Result<ExitStatus, GuestError> {
        let mut command = self.command(words)?;
        let status = command
            .stdin(Stdio::null())
            .status()
            .map_err(|source| session::start_error(&self.dir, source))?;
        self.refuse_lost(words, status, b"")?;
        Ok(status)
    }

    /// As [`Guest::stream`], with everything it prints going to a file of the machine.
    pub fn stream_to(&self, words: &[&str], log: File) -> Result<ExitStatus, GuestError> {
        let failed = |source| session::start_error(&self.dir, source);
        let mut command = self.command(words)?;
        command.stderr(log.try_clone().map_err(failed)?).stdout(log);
        let status = command.stdin(Stdio::null()).status().map_err(failed)?;
        self.refuse_lost(words, status, b"")?;
        Ok(status)
    }
}
