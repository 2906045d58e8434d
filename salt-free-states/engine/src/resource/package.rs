//! `package`: a Debian package of the bundle, installed by the dpkg of the host.
//!
//! The only place that runs dpkg. Nothing is fetched and no dependency is resolved: what a package
//! needs stands in the bundle too and is named by `require`.

use super::{Kind, ResourceError, Status, io, write_atomically};
use crate::change::Change;
use crate::journal::Saved;
use crate::system::{CommandError, CommandOutput, System};
use crate::undo::UndoStep;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A Debian package (deb(5)). A newer version that is installed already is left alone. Undo removes
/// a package that was not there before; an older version cannot be put back.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Package {
    /// Its name.
    #[serde(deserialize_with = "name")]
    pub name: String,
    /// Its version (deb-version(7)).
    #[serde(deserialize_with = "version")]
    pub version: String,
    /// The digest of the .deb in the blob store, `sha256:<hex>`.
    pub digest: String,
}

/// deb-control(5), `Package`: lower-case letters, digits and `+-.`, at least two characters.
fn name<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let name = String::deserialize(deserializer)?;
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "+-.".contains(c);
    let first = name.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
    if name.len() < 2 || !first || !name.chars().all(inner) {
        return Err(serde::de::Error::custom(format!(
            "`{name}` is not the name of a Debian package"
        )));
    }
    Ok(name)
}

fn version<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let version = String::deserialize(deserializer)?;
    let inner = |c: char| c.is_ascii_alphanumeric() || "+-.:~".contains(c);
    if !version.starts_with(|c: char| c.is_ascii_digit()) || !version.chars().all(inner) {
        return Err(serde::de::Error::custom(format!(
            "`{version}` is not the version of a Debian package; write it in quotes, such as \"1.2-3\""
        )));
    }
    Ok(version)
}

/// Where a .deb lies while dpkg reads it.
const CACHE: &str = "/var/cache/ingot";

/// dpkg does not wait for another dpkg; ours run one at a time.
static DPKG: Mutex<()> = Mutex::new(());

/// How long another program (unattended-upgrades, an administrator) may hold dpkg's lock.
const PATIENCE: Duration = Duration::from_secs(120);

impl Package {
    /// The installed version; `None` when it is not installed completely.
    fn installed(&self, system: &System) -> Result<Option<String>, ResourceError> {
        let format = "--showformat=${db:Status-Abbrev}|${Version}\\n";
        let asked = system
            .commands
            .run("dpkg-query", &["--show", format, "--", &self.name]);
        let output = match asked {
            Err(CommandError::Start { source, .. })
                if source.kind() == std::io::ErrorKind::NotFound =>
            {
                return Err(ResourceError::Conflict(format!(
                    "this host has no dpkg, and `{}` is a Debian package; give hosts of other distributions the program as an `archive`",
                    self.name
                )));
            }
            other => other?,
        };
        // Status 1: nothing of that name is known. The state `ii`: wanted and installed.
        Ok(output
            .stdout
            .lines()
            .filter_map(|line| line.split_once('|'))
            .find(|(state, _)| state.starts_with("ii"))
            .map(|(_, version)| version.trim().to_owned()))
    }

    fn is_enough(&self, system: &System, installed: &str) -> Result<bool, ResourceError> {
        if installed == self.version {
            return Ok(true);
        }
        let args = ["--compare-versions", installed, "ge", &self.version];
        Ok(system.commands.run("dpkg", &args)?.success())
    }

    fn install(&self, system: &System, file: &Path) -> Result<(), ResourceError> {
        let _held = DPKG.lock().unwrap_or_else(PoisonError::into_inner);
        let file = file.to_string_lossy();
        // Configuration that the administrator changed stays; nobody is there to be asked.
        let args = [
            "DEBIAN_FRONTEND=noninteractive",
            "dpkg",
            "--force-confdef",
            "--force-confold",
            "--install",
            &file,
        ];
        let deadline = Instant::now() + PATIENCE;
        loop {
            let output = system.commands.run("env", &args)?;
            if output.success() {
                return Ok(());
            }
            if !is_locked(&output) || Instant::now() > deadline {
                return Err(self.refused(&output));
            }
            std::thread::sleep(Duration::from_secs(1));
        }
    }

    fn refused(&self, output: &CommandOutput) -> ResourceError {
        let text = output.stderr.trim();
        let last: Vec<&str> = text.lines().rev().take(8).collect();
        let last = last
            .into_iter()
            .rev()
            .map(str::trim)
            .collect::<Vec<_>>()
            .join("; ");
        ResourceError::Conflict(format!(
            "dpkg did not install {} {}: {last}; what it depends on must be in the bundle and required",
            self.name, self.version
        ))
    }
}

/// dpkg's words in the C locale when another process holds its lock.
fn is_locked(output: &CommandOutput) -> bool {
    output.stderr.contains("lock") && output.stderr.contains("another process")
}

impl Kind for Package {
    fn target(&self) -> String {
        format!("package {}", self.name)
    }

    fn check(&self, system: &System) -> Result<Status, ResourceError> {
        let wanted = self.version.as_str();
        let change = match self.installed(system)? {
            None => Change::create("version", wanted),
            Some(found) if self.is_enough(system, &found)? => return Ok(Status::InSync),
            Some(found) => Change::new("version", found, wanted),
        };
        Ok(Status::Drifted(vec![change]))
    }

    fn way_back(&self, system: &System, _saved: &Saved) -> Result<Vec<UndoStep>, ResourceError> {
        if self.installed(system)?.is_some() {
            return Ok(Vec::new());
        }
        // Of a package that is not installed, dpkg only says so: the step may be repeated.
        Ok(vec![UndoStep::Run {
            program: "dpkg".into(),
            args: vec!["--purge".into(), self.name.clone()],
        }])
    }

    fn change(&self, system: &System) -> Result<(), ResourceError> {
        let mut blob = system
            .blobs
            .open(&self.digest)
            .map_err(io("open the blob of", Path::new(&self.name)))?;
        let cache = Path::new(CACHE);
        std::fs::create_dir_all(system.path(cache)).map_err(io("create", cache))?;
        let file: PathBuf = cache.join(format!("{}.deb", self.name));
        let at = system.path(&file);
        write_atomically(&at, |_, copy| std::io::copy(&mut blob, copy).map(drop))
            .map_err(io("write", &file))?;
        let done = self.install(system, &file);
        let removed = std::fs::remove_file(&at).map_err(io("remove", &file));
        // The directory belongs to whatever else is kept there; only an empty one goes.
        let _ = std::fs::remove_dir(system.path(cache));
        done.and(removed)
    }
}
