//! Points at which a test lets the program die, on a real node. Off, unless the program is started
//! with `INGOT_CRASH_POINTS`; only tests do that.
//!
//! The variable names a directory. Before and after each command that changes the node, and each
//! write of an object, a line goes to its file `passed`. When its file `armed` says `PART COUNT DELAY`,
//! the COUNTth such point of that part of the driver (`agent`, `controller`) is its last: it removes
//! the file and kills itself, DELAY milliseconds later, so that the command is under way. The pools'
//! status is left out: it is a picture of the disks, and no step in the life of a volume.

use crate::object::{Key, Object, ObjectKind};
use crate::store::{Store, StoreError, Stored};
use ingot_lvm::{Backend, Command, LvmError, Reply};
use ingot_volume_brain::Version;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::broadcast;

/// The variable that switches them on.
pub const VARIABLE: &str = "INGOT_CRASH_POINTS";

/// The points of one process.
#[derive(Debug)]
pub struct CrashPoints {
    folder: PathBuf,
    part: &'static str,
    /// Points are counted one after the other.
    turn: Mutex<()>,
}

impl CrashPoints {
    /// Those of this part of the driver, if they are switched on.
    pub fn of(part: &'static str) -> Option<Arc<Self>> {
        let folder = std::env::var_os(VARIABLE)?;
        Some(Arc::new(Self {
            folder: folder.into(),
            part,
            turn: Mutex::default(),
        }))
    }

    fn pass(&self, side: &str, step: &str) {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let line = format!("{} {side} {} {step}\n", self.part, now.as_millis());
        // A test that has taken the directory away waits for no further points.
        if let Ok(mut passed) = OpenOptions::new()
            .append(true)
            .create(true)
            .open(self.folder.join("passed"))
        {
            let _ = passed.write_all(line.as_bytes());
        }
        let file = self.folder.join("armed");
        let Ok(armed) = fs::read_to_string(&file) else {
            return;
        };
        let mut words = armed.split_whitespace();
        let (Some(part), Some(count), Some(delay)) = (words.next(), words.next(), words.next())
        else {
            return;
        };
        if part != self.part {
            return;
        }
        match (count.parse::<u64>(), delay.parse::<u64>()) {
            (Ok(1), Ok(delay)) => {
                let _ = fs::remove_file(&file);
                if delay == 0 {
                    die();
                }
                std::thread::spawn(move || {
                    std::thread::sleep(Duration::from_millis(delay));
                    die();
                });
            }
            (Ok(count), _) => {
                let _ = fs::write(&file, format!("{part} {} {delay}", count.saturating_sub(1)));
            }
            (Err(_), _) => {}
        }
    }
}

/// As `kill -9` by somebody else: nothing is closed, said or flushed.
fn die() -> ! {
    let _ = kill(Pid::this(), Signal::SIGKILL);
    // The signal has come by now; this is for the compiler.
    std::process::abort()
}

/// A back end or a store with points around what it changes.
pub struct Dying<T> {
    inner: T,
    points: Arc<CrashPoints>,
}

/// Puts points around the commands of a back end, if they are switched on.
pub fn backend(inner: Arc<dyn Backend>, points: Option<&Arc<CrashPoints>>) -> Arc<dyn Backend> {
    match points.cloned() {
        Some(points) => Arc::new(Dying { inner, points }),
        None => inner,
    }
}

/// Puts points around the writes of a store, if they are switched on.
pub fn store(inner: Arc<dyn Store>, points: Option<&Arc<CrashPoints>>) -> Arc<dyn Store> {
    match points.cloned() {
        Some(points) => Arc::new(Dying { inner, points }),
        None => inner,
    }
}

impl Backend for Dying<Arc<dyn Backend>> {
    fn run(&self, command: &Command) -> Result<Reply, LvmError> {
        if !command.changes() {
            return self.inner.run(command);
        }
        let step = command.name();
        self.points.pass("before", &step);
        let reply = self.inner.run(command);
        self.points.pass("after", &step);
        reply
    }
}

impl Dying<Arc<dyn Store>> {
    async fn write<T>(
        &self,
        verb: &str,
        key: &Key,
        write: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        if key.kind == ObjectKind::Pool {
            return write.await;
        }
        let step = format!("{verb} of {key}");
        self.points.pass("before", &step);
        let written = write.await;
        self.points.pass("after", &step);
        written
    }
}

#[tonic::async_trait]
impl Store for Dying<Arc<dyn Store>> {
    async fn get(&self, key: &Key) -> Result<Option<Stored>, StoreError> {
        self.inner.get(key).await
    }

    async fn list(&self, kind: ObjectKind) -> Result<Vec<(Key, Stored)>, StoreError> {
        self.inner.list(kind).await
    }

    async fn create(&self, key: &Key, object: Object) -> Result<Version, StoreError> {
        let written = self.inner.create(key, object);
        self.write("object: creation", key, written).await
    }

    async fn update(
        &self,
        key: &Key,
        version: Version,
        object: Object,
    ) -> Result<Version, StoreError> {
        let written = self.inner.update(key, version, object);
        self.write("object: update", key, written).await
    }

    async fn delete(&self, key: &Key, version: Version) -> Result<(), StoreError> {
        let written = self.inner.delete(key, version);
        self.write("object: release", key, written).await
    }

    fn watch(&self) -> broadcast::Receiver<Key> {
        self.inner.watch()
    }
}
