//! Panics in the agent: mistakes of ours that nobody foresaw. The driver is told, instead of finding
//! the connection broken and looking for what is wrong with the host.

use crate::error::panic_words;
use futures::FutureExt;
use std::panic::{AssertUnwindSafe, resume_unwind};
use tokio::task::JoinError;

/// Does `work`, which may panic.
///
/// # Errors
/// After a panic, with its words.
pub(super) async fn caught<T>(work: impl Future<Output = T>) -> Result<T, String> {
    // What was left half done is not looked at again: the driver ends after such an answer.
    let done = AssertUnwindSafe(work).catch_unwind().await;
    done.map_err(|payload| {
        let words = panic_words(payload.as_ref());
        format!("the agent did not foresee this: {words}")
    })
}

/// Goes on with the panic of a task in the one that waited for it.
///
/// # Errors
/// When the task was cancelled.
pub(super) fn passed_on<T>(joined: Result<T, JoinError>) -> Result<T, JoinError> {
    joined.map_err(|error| match error.try_into_panic() {
        Ok(payload) => resume_unwind(payload),
        Err(error) => error,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_an_answer_wherever_it_happens() {
        let year = 10_000;
        let here = caught::<()>(async { panic!("year out of range") }).await;
        let far = caught(async {
            let task = tokio::task::spawn_blocking(move || panic!("year {year}"));
            passed_on::<()>(task.await)
        });
        let words = "the agent did not foresee this: year";
        assert_eq!(here, Err(format!("{words} out of range")));
        assert_eq!(far.await.map(|_| ()), Err(format!("{words} 10000")));
    }

    #[tokio::test]
    async fn what_goes_well_is_handed_on() {
        let task = tokio::task::spawn_blocking(|| 7);
        let seven = caught(async { passed_on(task.await).ok() }).await;
        assert_eq!(seven, Ok(Some(7)));
    }
}
