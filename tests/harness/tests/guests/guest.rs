//! Guests of these tests, and looks into them.

use std::io::Write;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use ingot_harness::guest::{Guest, GuestSpec};

/// For what an emulated machine does within seconds when it is alone.
pub const SOON: Duration = Duration::from_secs(120);

/// Whether to run; says so loudly if not. Not with `eprintln!`, which the test runner swallows.
pub fn asked_for() -> bool {
    let asked = std::env::var_os("INGOT_GUEST_TESTS").is_some();
    if !asked {
        say("not run: it boots virtual machines; set INGOT_GUEST_TESTS=1 and run it as root");
    }
    asked
}

pub fn say(text: &str) {
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    let _ = writeln!(std::io::stderr(), "{test}: {text}");
}

pub fn timed<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = work();
    say(&format!("{what}: {:.1} s", start.elapsed().as_secs_f64()));
    result
}

pub fn unique(word: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("t{}-{count}-{word}", std::process::id())
}

pub fn boot(spec: GuestSpec) -> Guest {
    timed("boot", || Guest::create(spec, &|_| {}).unwrap())
}

pub fn out(guest: &Guest, script: &str) -> String {
    let output = guest.run(&["bash", "-euc", script]).unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

pub fn succeeds(guest: &Guest, script: &str) -> bool {
    guest
        .exec(&["bash", "-c", script])
        .unwrap()
        .status
        .success()
}
