//! Work that many ask for at once, and that one of them does for all.

use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::Mutex;

/// How often the work was asked for, and up to which of these it has been done. One works at a time, so
/// none undoes with what it had read before what another has done meanwhile.
#[derive(Debug, Default)]
pub(super) struct Shared {
    asked: AtomicU64,
    done: Mutex<u64>,
}

impl Shared {
    /// Sees to it that the work was done from beginning to end after this call. It says whether it
    /// succeeded: who would have shared one that did not does its own.
    pub(super) async fn ensure(&self, work: impl Future<Output = bool>) {
        let mine = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
        let mut done = self.done.lock().await;
        if *done >= mine {
            return;
        }
        let all = self.asked.load(Ordering::SeqCst);
        if work.await {
            *done = all;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use tokio::sync::Notify;
    use tokio::task::JoinHandle;

    #[derive(Default)]
    struct Desk {
        shared: Shared,
        begun: AtomicU64,
        go_on: Notify,
    }

    impl Desk {
        fn ask(self: &Arc<Self>, succeeds: bool) -> JoinHandle<()> {
            let desk = Arc::clone(self);
            tokio::spawn(async move {
                let work = async {
                    desk.begun.fetch_add(1, Ordering::SeqCst);
                    desk.go_on.notified().await;
                    succeeds
                };
                desk.shared.ensure(work).await;
            })
        }

        fn begun(&self) -> u64 {
            self.begun.load(Ordering::SeqCst)
        }
    }

    /// On one thread all others run until they wait.
    async fn rest() {
        for _ in 0..8 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn who_asks_while_it_is_done_shares_the_next_and_no_earlier_one() {
        let desk = Arc::new(Desk::default());
        let first = desk.ask(true);
        rest().await;
        let more = [desk.ask(true), desk.ask(true), desk.ask(true)];
        rest().await;
        assert_eq!(desk.begun(), 1);
        desk.go_on.notify_one();
        first.await.expect("no panic");
        rest().await;
        assert_eq!(desk.begun(), 2);
        assert!(more.iter().all(|one| !one.is_finished()));
        desk.go_on.notify_one();
        for one in more {
            one.await.expect("no panic");
        }
        assert_eq!(desk.begun(), 2, "once for the three");
    }

    #[tokio::test]
    async fn nobody_shares_what_failed_or_was_given_up() {
        let desk = Arc::new(Desk::default());
        let (failing, given_up, last) = (desk.ask(false), desk.ask(true), desk.ask(true));
        rest().await;
        desk.go_on.notify_one();
        failing.await.expect("no panic");
        rest().await;
        assert_eq!(desk.begun(), 2);
        given_up.abort();
        rest().await;
        assert_eq!(desk.begun(), 3);
        desk.go_on.notify_one();
        last.await.expect("no panic");
    }
}
