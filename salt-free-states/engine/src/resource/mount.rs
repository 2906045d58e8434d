//! `mount`: a file system mounted at a path, now and, by an entry in /etc/fstab, after a boot.
//!
//! An entry that others wrote for the same path is never replaced.

mod table;

use self::table::{MARK, Mounted, entry, escape, mounted, same_entry};
use super::fstab::{self, FSTAB};
use super::{Kind, ResourceError, Status, absolute, io};
use crate::change::Change;
use crate::journal::Saved;
use crate::system::System;
use crate::undo::UndoStep;
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// A mounted file system. The directory is made where missing. What is mounted there from elsewhere
/// is not replaced but refused.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Mount {
    /// Where it is mounted.
    #[serde(deserialize_with = "absolute")]
    pub path: PathBuf,
    /// What is mounted: a device, `UUID=` or `LABEL=` of one, a directory with the option `bind`,
    /// or the name of a file system without one, such as `tmpfs`.
    #[serde(deserialize_with = "word")]
    pub device: String,
    /// The type of the file system; `none` with the option `bind`.
    #[serde(deserialize_with = "word")]
    pub r#type: String,
    /// Mount options (mount(8)); `defaults` unless given.
    #[serde(default = "defaults", deserialize_with = "words")]
    pub options: Vec<String>,
    /// Whether it is mounted after a boot too; yes unless given.
    #[serde(default = "super::group::yes")]
    pub persistent: bool,
}

fn defaults() -> Vec<String> {
    vec!["defaults".into()]
}

/// Reads a text that can stand in a field of fstab(5): there blanks separate and have to be escaped.
fn word<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    check_word(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
}

fn words<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let words = Vec::<String>::deserialize(deserializer)?;
    if words.is_empty() {
        return Err(serde::de::Error::custom(
            "the list of options is empty; leave it out",
        ));
    }
    let words = words.into_iter().map(check_word);
    words
        .collect::<Result<_, _>>()
        .map_err(serde::de::Error::custom)
}

fn check_word(word: String) -> Result<String, String> {
    if word.is_empty() || word.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(format!("`{word}` cannot stand in /etc/fstab"));
    }
    Ok(word)
}

/// Options that /proc/mounts shows as they were asked for; the others are changed by file systems or
/// not shown at all.
const VISIBLE: [&str; 8] = [
    "ro",
    "rw",
    "nosuid",
    "nodev",
    "noexec",
    "noatime",
    "nodiratime",
    "sync",
];

/// Takes a mount away that is there.
pub(crate) fn unmount(system: &System, path: &Path) -> Result<(), ResourceError> {
    if mounted(system, path)?.is_some() {
        system
            .commands
            .must("umount", &["--", &path.to_string_lossy()])?;
    }
    Ok(())
}

impl Mount {
    fn line(&self) -> String {
        let path = escape(&self.path.to_string_lossy());
        let options = self.options.join(",");
        // Checked at boot where there is a device to check, after the root file system.
        let pass = if self.is_device() { 2 } else { 0 };
        format!("{} {path} {} {options} 0 {pass}", self.device, self.r#type)
    }

    fn is_bind(&self) -> bool {
        self.options
            .iter()
            .any(|option| option == "bind" || option == "rbind")
    }

    fn is_device(&self) -> bool {
        let tagged = ["UUID=", "LABEL=", "PARTUUID=", "PARTLABEL="];
        !self.is_bind()
            && (self.device.starts_with("/dev/")
                || tagged.iter().any(|tag| self.device.starts_with(tag)))
    }

    /// Whether what is mounted is what is wanted. Where a name cannot be followed to a device, the
    /// type alone decides.
    fn is_same(&self, system: &System, found: &Mounted) -> bool {
        if self.is_bind() {
            return true;
        }
        let (directory, name) = match self.device.split_once('=') {
            Some(("UUID", name)) => ("/dev/disk/by-uuid", name),
            Some(("LABEL", name)) => ("/dev/disk/by-label", name),
            Some(("PARTUUID", name)) => ("/dev/disk/by-partuuid", name),
            Some(("PARTLABEL", name)) => ("/dev/disk/by-partlabel", name),
            _ => ("/", self.device.as_str()),
        };
        let follow = |path: &Path| std::fs::canonicalize(system.path(path)).ok();
        let known = |path: &Path| Some((follow(path)?, follow(Path::new(&found.device))?));
        let same_device = match known(&Path::new(directory).join(name)) {
            Some((wanted, found)) => wanted == found,
            None => directory != "/" || self.device == found.device,
        };
        same_device && self.r#type == found.r#type
    }

    fn drifted_options(&self, found: &Mounted) -> Vec<&str> {
        let visible = |option: &&str| VISIBLE.contains(option);
        let wanted = self.options.iter().map(String::as_str).filter(visible);
        wanted
            .filter(|option| !found.options.iter().any(|one| one == option))
            .collect()
    }

    fn fstab_changes(&self, system: &System) -> Result<Option<Change>, ResourceError> {
        let text = fstab::read(system)?;
        let wanted = self.line();
        match entry(&text, &self.path) {
            None if self.persistent => Ok(Some(Change::create(FSTAB, wanted))),
            None => Ok(None),
            Some((_, line, true)) if !self.persistent => Ok(Some(Change::remove(FSTAB, line))),
            Some((_, line, true)) if line != wanted => Ok(Some(Change::new(FSTAB, line, wanted))),
            Some((_, line, false)) if !same_entry(line, &wanted) => {
                Err(ResourceError::Conflict(format!(
                    "{FSTAB} has another entry for {}: `{line}`, and `{wanted}` is wanted; remove the entry or change the state",
                    self.path.display()
                )))
            }
            Some(_) => Ok(None),
        }
    }

    fn write_fstab(&self, system: &System) -> Result<(), ResourceError> {
        if self.fstab_changes(system)?.is_none() {
            return Ok(());
        }
        fstab::edit(system, |text| {
            let mut lines: Vec<&str> = text.lines().collect();
            if let Some((index, _, true)) = entry(text, &self.path) {
                lines.drain(index - 1..=index);
            }
            let line = self.line();
            if self.persistent {
                lines.extend([MARK, &line]);
            }
            Some(lines.iter().flat_map(|line| [*line, "\n"]).collect())
        })?;
        // systemd makes units of the entries; where it runs (sd_booted(3)), it has to read them.
        if system.path(Path::new("/run/systemd/system")).exists() {
            system.commands.must("systemctl", &["daemon-reload"])?;
        }
        Ok(())
    }
}

impl Kind for Mount {
    fn target(&self) -> String {
        format!("mount {}", self.path.display())
    }

    fn check(&self, system: &System) -> Result<Status, ResourceError> {
        let mut changes = Vec::new();
        match mounted(system, &self.path)? {
            None => changes.push(Change::create("mounted", self.device.as_str())),
            Some(found) if !self.is_same(system, &found) => {
                return Err(ResourceError::Conflict(format!(
                    "{} ({}) is mounted at {}, and {} ({}) is wanted; unmount it or change the state",
                    found.device,
                    found.r#type,
                    self.path.display(),
                    self.device,
                    self.r#type
                )));
            }
            Some(found) => {
                let drifted = self.drifted_options(&found);
                if !drifted.is_empty() {
                    let found = found.options.join(",");
                    changes.push(Change::new("options", found, self.options.join(",")));
                }
            }
        }
        changes.extend(self.fstab_changes(system)?);
        Ok(Status::from_changes(changes))
    }

    fn way_back(&self, system: &System, saved: &Saved) -> Result<Vec<UndoStep>, ResourceError> {
        let mut steps = Vec::new();
        let mut missing: Vec<&Path> = self
            .path
            .ancestors()
            .take_while(|path| !system.path(path).exists())
            .collect();
        missing.reverse();
        steps.extend(
            missing
                .into_iter()
                .map(|path| UndoStep::RemoveDirectory { path: path.into() }),
        );
        match mounted(system, &self.path)? {
            None => steps.push(UndoStep::Unmount {
                path: self.path.clone(),
            }),
            Some(found) => steps.push(UndoStep::Run {
                program: "mount".into(),
                args: remount(&found.options.join(","), &self.path),
            }),
        }
        steps.push(saved.keep(system, Path::new(FSTAB))?);
        Ok(steps)
    }

    fn shares_a_file(&self) -> bool {
        true
    }

    fn change(&self, system: &System) -> Result<(), ResourceError> {
        let at = system.path(&self.path);
        std::fs::create_dir_all(&at).map_err(io("create", &self.path))?;
        let (path, options) = (self.path.to_string_lossy(), self.options.join(","));
        // Mounted before the entry is written: an entry that cannot be mounted would stop the boot.
        match mounted(system, &self.path)? {
            None => {
                let args = [
                    "-t",
                    &self.r#type,
                    "-o",
                    &options,
                    "--",
                    &self.device,
                    &path,
                ];
                system.commands.must("mount", &args)?;
            }
            Some(found) if !self.drifted_options(&found).is_empty() => {
                let args = remount(&options, &self.path);
                let args: Vec<&str> = args.iter().map(String::as_str).collect();
                system.commands.must("mount", &args)?;
            }
            Some(_) => {}
        }
        self.write_fstab(system)
    }
}

fn remount(options: &str, path: &Path) -> Vec<String> {
    let options = format!("remount,{options}");
    vec![
        "-o".into(),
        options,
        "--".into(),
        path.to_string_lossy().into_owned(),
    ]
}
