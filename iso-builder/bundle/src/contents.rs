//! Checks all of a bundle: every listed file and blob is there, whole, and nothing else is.
//!
//! Collects everything that is wrong instead of stopping at the first. Never prints.

use crate::digest::{Digest, Hasher};
use crate::verified::{Inner, VerifiedBundle};
use crate::{MANIFEST_FILE, SIGNATURE_FILE};
use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Fits the second-level cache, so that bytes are hashed while they are near.
const CHUNK: usize = 256 << 10;

/// How far a check has come.
#[derive(Clone, Copy, Debug)]
pub struct Progress<'a> {
    /// The file that was read last.
    pub path: &'a str,
    /// Bytes read of all files.
    pub done: u64,
    /// Bytes of all files.
    pub total: u64,
}

/// What was checked when nothing is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Number of components.
    pub components: usize,
    /// Number of files and blobs.
    pub files: usize,
    /// Bytes of all files and blobs.
    pub bytes: u64,
}

/// One thing that is wrong with the content of a bundle.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// The file, relative to the root of the bundle.
    pub path: String,
    /// The components that need it; empty for files of the bundle itself.
    pub components: Vec<String>,
    /// What is wrong.
    pub problem: Problem,
}

/// What can be wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Problem {
    /// Listed, not there.
    Missing,
    /// It has another size.
    Size {
        /// Bytes listed.
        expected: u64,
        /// Bytes there are.
        actual: u64,
    },
    /// It has another content.
    Digest {
        /// Digest listed.
        expected: Digest,
        /// Digest of what is there.
        actual: Digest,
    },
    /// There, not listed: nobody signed it.
    Unlisted,
    /// The system could not read it.
    Unreadable {
        /// What the system said.
        reason: String,
    },
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path)?;
        if !self.components.is_empty() {
            write!(f, " (of {})", self.components.join(", "))?;
        }
        match &self.problem {
            Problem::Missing => write!(f, ": it is missing; copy the bundle again"),
            Problem::Size { expected, actual } => write!(
                f,
                ": it has {actual} bytes and should have {expected}; copy the bundle again"
            ),
            Problem::Digest { expected, actual } => write!(
                f,
                ": its content is damaged (digest {actual}, should be {expected}); \
                 copy the bundle again"
            ),
            Problem::Unlisted => {
                write!(
                    f,
                    ": it is not listed in {MANIFEST_FILE}, so nobody signed it; remove it"
                )
            }
            Problem::Unreadable { reason } => {
                write!(
                    f,
                    ": it cannot be read ({reason}); check the disk and copy it again"
                )
            }
        }
    }
}

struct Job<'a> {
    path: String,
    digest: Digest,
    size: u64,
    components: &'a [String],
}

impl VerifiedBundle {
    /// Reads and compares everything, on `threads` threads (at least one).
    ///
    /// # Errors
    /// All findings, sorted by path.
    pub fn verify_contents(
        &self,
        threads: usize,
        progress: &(dyn Fn(Progress<'_>) + Sync),
    ) -> Result<Summary, Vec<Finding>> {
        let inner = &*self.inner;
        let jobs = jobs(inner);
        let total = jobs.iter().map(|job| job.size).sum();
        let findings = Mutex::new(unlisted(inner, &jobs));
        let next = AtomicUsize::new(0);
        let done = AtomicU64::new(0);
        let work = || {
            let mut buffer = vec![0; CHUNK];
            while let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                let tell = |count: u64| {
                    let done = done.fetch_add(count, Ordering::Relaxed) + count;
                    progress(Progress {
                        path: &job.path,
                        done,
                        total,
                    });
                };
                if let Err(problem) = check(inner, job, &mut buffer, &tell) {
                    let finding = Finding {
                        path: job.path.clone(),
                        components: job.components.to_vec(),
                        problem,
                    };
                    match findings.lock() {
                        Ok(mut findings) => findings.push(finding),
                        Err(poisoned) => poisoned.into_inner().push(finding),
                    }
                }
            }
        };
        if threads <= 1 {
            work();
        } else {
            std::thread::scope(|scope| {
                for _ in 0..threads {
                    scope.spawn(work);
                }
            });
        }
        let mut findings = findings
            .into_inner()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        findings.sort();
        if findings.is_empty() {
            let components = inner.manifest.components.len();
            Ok(Summary {
                components,
                files: jobs.len(),
                bytes: total,
            })
        } else {
            Err(findings)
        }
    }
}

/// Largest first, so that no thread is left with a large file at the end.
fn jobs(inner: &Inner) -> Vec<Job<'_>> {
    let blobs = inner.blobs.iter().map(|(digest, facts)| Job {
        path: digest.blob_path(),
        digest: *digest,
        size: facts.size,
        components: &facts.components,
    });
    let files = inner.manifest.files.iter().map(|file| Job {
        path: file.path.clone(),
        digest: file.sha256,
        size: file.size,
        components: &[],
    });
    let mut jobs: Vec<Job<'_>> = blobs.chain(files).collect();
    jobs.sort_by(|a, b| b.size.cmp(&a.size).then_with(|| a.path.cmp(&b.path)));
    jobs
}

fn unlisted(inner: &Inner, jobs: &[Job<'_>]) -> Vec<Finding> {
    let known: BTreeSet<&str> = jobs
        .iter()
        .map(|job| job.path.as_str())
        .chain([MANIFEST_FILE, SIGNATURE_FILE])
        .collect();
    let finding = |path: String, problem| Finding {
        path,
        components: Vec::new(),
        problem,
    };
    match inner.source.list() {
        Ok(paths) => paths
            .into_iter()
            .filter(|path| !known.contains(path.as_str()))
            .map(|path| finding(path, Problem::Unlisted))
            .collect(),
        Err(error) => {
            vec![finding(
                ".".to_owned(),
                Problem::Unreadable {
                    reason: error.to_string(),
                },
            )]
        }
    }
}

fn check(
    inner: &Inner,
    job: &Job<'_>,
    buffer: &mut [u8],
    tell: &dyn Fn(u64),
) -> Result<(), Problem> {
    let unreadable = |error: io::Error| Problem::Unreadable {
        reason: error.to_string(),
    };
    let file = inner
        .source
        .open(&job.path)
        .map_err(unreadable)?
        .ok_or(Problem::Missing)?;
    if file.size() != job.size {
        return Err(Problem::Size {
            expected: job.size,
            actual: file.size(),
        });
    }
    let mut hasher = Hasher::new();
    let mut offset = 0;
    while offset < job.size {
        let count = file.read_at(buffer, offset).map_err(unreadable)?;
        if count == 0 {
            return Err(Problem::Size {
                expected: job.size,
                actual: offset,
            });
        }
        hasher.update(&buffer[..count]);
        offset += count as u64;
        tell(count as u64);
    }
    let actual = hasher.finish();
    if actual == job.digest {
        Ok(())
    } else {
        Err(Problem::Digest {
            expected: job.digest,
            actual,
        })
    }
}
