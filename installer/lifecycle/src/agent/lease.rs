//! One installer at a time: a lock on the host, held for as long as the agent of the installer lives.
//!
//! When the installer dies its connection ends, the agent ends, and the kernel drops the lock: nothing
//! expires and nothing has to be cleaned.

use crate::paths;
use nix::fcntl::{Flock, FlockArg};
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::path::Path;
use std::time::{Duration, Instant};

/// How long a lease that another installer has is waited for: the agent of an installer that was just
/// killed needs a moment to notice.
const PATIENCE: Duration = Duration::from_secs(20);

/// The lease could not be had.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// Another installer works on this host.
    #[error("another installer works on this host: {holder}; wait for it to end, or stop it")]
    Held {
        /// Who has it.
        holder: String,
    },
    /// The file system refuses.
    #[error("cannot use the lease file {}", paths::LEASE)]
    Io(#[source] std::io::Error),
}

/// A held lease; dropping it gives it back.
#[derive(Debug)]
pub struct Lease {
    _lock: Flock<File>,
}

impl Lease {
    /// Takes the lease of the host whose lease file is `path` for `holder`, a text that tells people who
    /// has it.
    ///
    /// # Errors
    /// [`LeaseError::Held`] after [`PATIENCE`].
    pub fn take(path: &Path, holder: &str, patience: Option<Duration>) -> Result<Self, LeaseError> {
        let deadline = Instant::now() + patience.unwrap_or(PATIENCE);
        loop {
            if let Some(parent) = path.parent() {
                std::fs::create_dir_all(parent).map_err(LeaseError::Io)?;
            }
            let mut file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .open(path)
                .map_err(LeaseError::Io)?;
            let mut found = String::new();
            file.read_to_string(&mut found).map_err(LeaseError::Io)?;
            match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
                Ok(mut lock) => {
                    lock.set_len(0)
                        .and_then(|()| lock.rewind())
                        .map_err(LeaseError::Io)?;
                    lock.write_all(holder.as_bytes()).map_err(LeaseError::Io)?;
                    return Ok(Self { _lock: lock });
                }
                Err(_) if Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(200))
                }
                Err(_) => {
                    let holder = if found.is_empty() {
                        "unknown".into()
                    } else {
                        found
                    };
                    return Err(LeaseError::Held { holder });
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_is_told_who_the_first_is_and_gets_it_afterwards() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lease");
        let first = Lease::take(&path, "anna@laptop, process 7", Some(Duration::ZERO)).unwrap();
        let refusal = Lease::take(&path, "ben", Some(Duration::ZERO)).unwrap_err();
        assert_eq!(
            refusal.to_string(),
            "another installer works on this host: anna@laptop, process 7; wait for it to end, or stop it"
        );
        drop(first);
        Lease::take(&path, "ben", Some(Duration::ZERO)).unwrap();
    }
}
