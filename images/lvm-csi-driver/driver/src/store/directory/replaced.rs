//! Tells when a file of a directory was replaced by another, by whatever process. Reads no file.

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::path::Path;
use std::time::Duration;
use tokio::io::unix::AsyncFd;

/// How long to wait at most, whatever the kernel tells: the directory may be given up meanwhile.
const BEAT: Duration = Duration::from_secs(1);

/// How long to wait where the kernel tells nothing: it has no more watches for this user.
const LOOK: Duration = Duration::from_millis(100);

/// The watch of a directory.
pub(super) struct Replaced(Option<AsyncFd<Watch>>);

struct Watch(Inotify);

impl AsRawFd for Watch {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

impl Replaced {
    /// Watches a directory from now on.
    pub(super) fn within(folder: &Path) -> Self {
        let watch = || -> io::Result<AsyncFd<Watch>> {
            let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
            inotify.add_watch(folder, AddWatchFlags::IN_MOVED_TO)?;
            AsyncFd::new(Watch(inotify))
        };
        Self(watch().ok())
    }

    /// Waits until something may have been replaced.
    pub(super) async fn wait(&self) {
        let Some(watch) = &self.0 else {
            tokio::time::sleep(LOOK).await;
            return;
        };
        let Ok(Ok(mut ready)) = tokio::time::timeout(BEAT, watch.readable()).await else {
            return;
        };
        // What was replaced is no matter: whoever waits looks at all of it.
        let _ = watch.get_ref().0.read_events();
        ready.clear_ready();
    }
}
