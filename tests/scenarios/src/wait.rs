//! Waiting: a named condition, a deadline, and the last reason why it did not hold.

use std::fmt::Display;
use std::time::{Duration, Instant};

/// Waits until `condition` gives a value; returns it with the time that passed.
///
/// # Panics
/// When `deadline` has passed: with the name of the condition and the last reason.
#[track_caller]
pub fn until<T, E: Display>(
    name: &str,
    deadline: Duration,
    mut condition: impl FnMut() -> Result<T, E>,
) -> (T, Duration) {
    let start = Instant::now();
    loop {
        match condition() {
            Ok(value) => return (value, start.elapsed()),
            Err(reason) if start.elapsed() > deadline => panic!(
                "{name}: not within {} s; last seen: {reason}",
                deadline.as_secs()
            ),
            Err(_) => std::thread::sleep(Duration::from_millis(100)),
        }
    }
}
