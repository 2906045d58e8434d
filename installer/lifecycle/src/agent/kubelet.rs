//! The kubelet of this host, as its service manager and its log tell of it.

use std::process::Command;

/// Its unit.
pub const UNIT: &str = "kubelet.service";

fn run(program: &str, words: &[&str]) -> Result<String, String> {
    let output = Command::new(program)
        .args(words)
        .output()
        .map_err(|error| format!("cannot start {program}: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let told = String::from_utf8_lossy(&output.stderr);
    Err(format!("{program} {}: {}", words.join(" "), told.trim()))
}

/// Restarts a unit that pods do not end with.
///
/// # Errors
/// When systemd refuses.
pub fn restart(unit: &str) -> Result<(), String> {
    run("systemctl", &["restart", unit])
        .map(drop)
        .map_err(|reason| format!("cannot restart {unit}: {reason}"))
}

/// What is wrong with it, if it does not run or does not stay up.
///
/// # Errors
/// When systemd does not answer.
pub fn trouble() -> Result<Option<String>, String> {
    let state = run(
        "systemctl",
        &["show", "--property=ActiveState,NRestarts", "--", UNIT],
    )?;
    // Without a log what the service manager says has to do.
    let log = run(
        "journalctl",
        &[
            "--no-pager",
            "--quiet",
            "--output=cat",
            "--lines=200",
            "--unit",
            UNIT,
        ],
    );
    Ok(words(&state, &log.unwrap_or_default()))
}

/// `state` are properties as `systemctl show` prints them, `log` is lines, the oldest first.
fn words(state: &str, log: &str) -> Option<String> {
    let property = |name: &str| {
        let mut lines = state.lines();
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
    };
    let active = property("ActiveState").unwrap_or("unknown");
    let restarts: u32 = property("NRestarts").unwrap_or("0").parse().unwrap_or(0);
    let what = match (active, restarts) {
        ("active", 0) => return None,
        (_, 0) => format!("its kubelet is {active}"),
        (_, 1) => "its kubelet ended and was started again".to_owned(),
        (_, count) => format!("its kubelet has ended {count} times"),
    };
    match log.lines().rev().find_map(error) {
        Some(last) => Some(format!("{what}; its last error: {last}")),
        None => Some(what),
    }
}

/// The text of a line of klog that is an error, `Lmmdd hh:mm:ss.uuuuuu pid file:line] text`.
fn error(line: &str) -> Option<&str> {
    let (head, text) = line.split_once("] ")?;
    let mut head = head.chars();
    let severity = head
        .next()
        .is_some_and(|letter| matches!(letter, 'E' | 'F'));
    (severity && head.next().is_some_and(|digit| digit.is_ascii_digit())).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::words;

    const LOG: &str = "I1126 21:46:10.1 2941 server.go:1] \"Starting\"\n\
        E1126 21:46:10.2 2941 kubelet.go:1804] \"Failed to start cAdvisor\" err=\"inotify_init: too many open files\"\n\
        kubelet.service: Main process exited, code=exited, status=1/FAILURE\n";

    #[test]
    fn a_kubelet_that_stays_up_is_not_talked_about() {
        assert_eq!(words("ActiveState=active\nNRestarts=0\n", LOG), None);
    }

    #[test]
    fn one_that_does_not_is_told_with_its_last_error() {
        assert_eq!(
            words("NRestarts=61\nActiveState=activating\n", LOG).as_deref(),
            Some(
                "its kubelet has ended 61 times; its last error: \"Failed to start cAdvisor\" err=\"inotify_init: too many open files\""
            )
        );
        assert_eq!(
            words("ActiveState=failed\nNRestarts=0\n", "").as_deref(),
            Some("its kubelet is failed")
        );
    }
}
