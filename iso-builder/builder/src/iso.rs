//! Makes the ISO image from the directory of a bundle. The only place that runs xorriso.

use crate::process::{self, ProcessError};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use thiserror::Error;

/// Why there is no image.
#[derive(Debug, Error)]
pub enum IsoError {
    /// xorriso failed.
    #[error("cannot make the ISO image {path}")]
    Write {
        /// The image.
        path: PathBuf,
        /// What xorriso said.
        source: ProcessError,
    },
    /// It cannot be put in its place.
    #[error("cannot put the ISO image at {path}")]
    Place {
        /// The image.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

/// Writes the tree `root` as an ISO image to `to`. `created` is RFC 3339 in UTC; it becomes
/// every date of the image, and no other fact of this moment or machine gets in.
///
/// # Errors
/// When xorriso fails or the image cannot be written.
pub fn write(root: &Path, to: &Path, created: &str) -> Result<(), IsoError> {
    let digits: String = created.chars().filter(char::is_ascii_digit).collect();
    let aside = to.with_extension("iso.part");
    // xorriso would add to an image that is already there.
    let _ = fs::remove_file(&aside);
    let mut command = Command::new("xorriso");
    command
        .env("TZ", "UTC")
        .env("LC_ALL", "C")
        .args([
            "-as",
            "mkisofs",
            "-quiet",
            "-r",
            "-V",
            "INGOT",
            "-iso-level",
            "3",
        ])
        .args(["-publisher", "INGOT", "-appid", "INGOT BUNDLE"])
        .arg(format!("--modification-date={digits}00"))
        .args(["--set_all_file_dates", &format!("{digits}00")])
        .arg("-o")
        .arg(&aside)
        .arg(root);
    let result = process::run(&mut command);
    if let Err(source) = result {
        let _ = fs::remove_file(&aside);
        return Err(IsoError::Write {
            path: to.to_owned(),
            source,
        });
    }
    fs::rename(&aside, to).map_err(|source| IsoError::Place {
        path: to.to_owned(),
        source,
    })
}
