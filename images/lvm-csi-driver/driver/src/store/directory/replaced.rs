//! Tells when a file of a directory was replaced by another, by whatever process. Reads no file.

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::Notify;

/// How long to wait at most, whatever the kernel tells: the directory may be given up meanwhile.
const BEAT: Duration = Duration::from_secs(1);

/// How long to wait where the kernel tells nothing: it has no more watches for this user.
const LOOK: Duration = Duration::from_millis(100);

/// The watch of a directory.
pub(super) struct Replaced(Option<Arc<Notify>>);

impl Replaced {
    /// Watches a directory from now on, in a thread of its own.
    pub(super) fn within(folder: &Path) -> Self {
        Self(watch(folder).ok())
    }

    /// Waits until something may have been replaced.
    pub(super) async fn wait(&self) {
        match &self.0 {
            None => tokio::time::sleep(LOOK).await,
            Some(heard) => {
                let _ = tokio::time::timeout(BEAT, heard.notified()).await;
            }
        }
    }
}

fn watch(folder: &Path) -> io::Result<Arc<Notify>> {
    let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
    inotify.add_watch(folder, AddWatchFlags::IN_MOVED_TO)?;
    let heard = Arc::new(Notify::new());
    let tell = Arc::downgrade(&heard);
    std::thread::Builder::new()
        .name("store-events".into())
        .spawn(move || follow(&inotify, &tell))?;
    Ok(heard)
}

/// Listens for as long as somebody wants to know.
fn follow(inotify: &Inotify, tell: &Weak<Notify>) {
    let beat = PollTimeout::try_from(BEAT).unwrap_or(PollTimeout::MAX);
    loop {
        let mut waiting = [PollFd::new(inotify.as_fd(), PollFlags::POLLIN)];
        let come = match poll(&mut waiting, beat) {
            Ok(count) => count > 0,
            Err(Errno::EINTR) => false,
            // Whoever waits looks after each beat.
            Err(_) => return,
        };
        let Some(heard) = tell.upgrade() else { return };
        if come {
            // What was replaced is no matter: whoever waits looks at all of it.
            let _ = inotify.read_events();
            heard.notify_one();
        }
    }
}
