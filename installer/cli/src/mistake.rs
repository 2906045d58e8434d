//! Panics: mistakes of ours that nobody foresaw. They end the program like those that somebody did, with
//! exit code 1 and a request to report them; never with a code of Rust's own.

use ingot_lifecycle::Failure;
use ingot_lifecycle::error::panic_words;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook};
use std::sync::OnceLock;

/// What the first panic said: those after it are mostly its consequences.
static FIRST: OnceLock<String> = OnceLock::new();

/// Has every panic say what happened where, on whichever thread.
pub fn watch() {
    set_hook(Box::new(|panic| {
        let place = match panic.location() {
            Some(place) => format!(" ({}:{})", place.file(), place.line()),
            None => String::new(),
        };
        let told = format!("{}{place}", panic_words(panic.payload()));
        crate::talk!("panic: {told}");
        let _ = FIRST.set(told);
    }));
}

/// Does `work`; a panic in it is a failure of ours.
///
/// # Errors
/// Those of `work`, and [`ingot_lifecycle::FailureKind::Bug`] after a panic.
pub fn caught<T>(work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    // What `work` leaves half done is not looked at again: the program ends.
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|payload| {
        let told = FIRST.get().cloned();
        let told = told.unwrap_or_else(|| panic_words(payload.as_ref()).into());
        Err(Failure::bug(format!("ingot did not foresee this: {told}")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ingot_lifecycle::FailureKind;

    #[test]
    fn a_panic_is_a_mistake_of_ours() {
        let days = "3000000";
        let plain = caught(|| -> Result<(), Failure> { panic!("year out of range") });
        let made = caught(|| -> Result<(), Failure> { panic!("{days} days") });
        for (result, told) in [(plain, "year out of range"), (made, "3000000 days")] {
            let failure = result.unwrap_err();
            assert_eq!(
                failure.message,
                format!("ingot did not foresee this: {told}")
            );
            assert_eq!(failure.kind, FailureKind::Bug);
            assert_eq!(failure.kind.exit_code(), 1);
        }
    }

    #[test]
    fn other_results_pass_through() {
        assert_eq!(caught(|| Ok(7)), Ok(7));
        let failure = Failure::machine("no answer");
        assert_eq!(caught(|| Err::<(), _>(failure.clone())), Err(failure));
    }
}
