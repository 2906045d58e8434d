//! The last words of a program: from the journal for units, from the log of its container for pods.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Where the kubelet has the logs of containers, `<namespace>_<pod>_<uid>/<container>/<attempt>.log`.
const LOGS: &str = "/var/log/pods";
/// The longest text that is repeated, characters.
const LONGEST: usize = 400;

/// What the program of a unit said last.
pub(super) fn of_unit(unit: &str) -> Option<String> {
    let output = Command::new("journalctl")
        .args([
            "--no-pager",
            "--quiet",
            "--output=cat",
            "--lines=200",
            "--unit",
            unit,
        ])
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    // Lines of systemd about the unit are not the program's.
    let own = |line: &&str| {
        !line.starts_with(unit) && !line.starts_with("Started ") && !line.starts_with("Stopped ")
    };
    telling(text.lines().filter(own))
}

/// Of the lines of a program, oldest first, the one that tells why it ended: its last error.
pub fn telling<'a>(lines: impl DoubleEndedIterator<Item = &'a str>) -> Option<String> {
    let mut last = None;
    for line in lines
        .rev()
        .take(200)
        .map(str::trim)
        .filter(|line| !line.is_empty())
    {
        if let Some(error) = error(line) {
            return Some(shortened(error));
        }
        last = last.or(Some(line));
    }
    last.map(shortened)
}

/// The last lines of a log, oldest first, at most `count`; its last error comes before them where it is older.
pub fn last_lines(log: &str, count: usize) -> Vec<String> {
    let lines: Vec<&str> = log
        .lines()
        .map(str::trim_end)
        .filter(|line| !line.is_empty())
        .collect();
    let (before, last) = lines.split_at(lines.len().saturating_sub(count));
    let told = last.iter().any(|line| error(line).is_some());
    let error_before = before.iter().rev().find(|line| error(line).is_some());
    let shown = error_before.filter(|_| !told).into_iter().chain(last);
    shown.map(|line| shortened(line)).collect()
}

/// The text of a line that is an error: klog's `Lmmdd hh:mm:ss.uuuuuu pid file:line] text` of severity E or F,
/// `Error: text` of programs before their log begins, and zap's and slog's levels.
fn error(line: &str) -> Option<&str> {
    if line.starts_with("Error: ") || line.starts_with("panic: ") {
        return Some(line);
    }
    for level in [
        "\"level\":\"fatal\"",
        "\"level\":\"error\"",
        "level=fatal",
        "level=error",
    ] {
        if line.contains(level) {
            return Some(line);
        }
    }
    let (head, text) = line.split_once("] ")?;
    let mut head = head.chars();
    let severity = head
        .next()
        .is_some_and(|letter| matches!(letter, 'E' | 'F'));
    (severity && head.next().is_some_and(|digit| digit.is_ascii_digit())).then_some(text)
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

/// A container of a static pod, as its logs tell of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Log {
    /// How often the container was started again.
    pub(super) attempts: u32,
    /// The log of its last attempt that has words.
    pub(super) files: Vec<PathBuf>,
}

/// The logs of the newest instance of the static pod `name` of this host, if it is newer than `since`, seconds
/// since 1970.
pub(super) fn of_pod(name: &str, since: f64) -> Option<Log> {
    newest(Path::new(LOGS), name, since)
}

fn newest(logs: &Path, name: &str, since: f64) -> Option<Log> {
    // The name of a static pod ends with the name of its node, which has no underscore.
    let prefix = format!("kube-system_{name}-");
    let made = |path: &Path| {
        let time = std::fs::metadata(path).ok()?.modified().ok()?;
        Some(
            time.duration_since(std::time::UNIX_EPOCH)
                .ok()?
                .as_secs_f64(),
        )
    };
    let pod = std::fs::read_dir(logs)
        .ok()?
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(&prefix))
        .filter_map(|entry| Some((made(&entry.path())?, entry.path())))
        .filter(|(time, _)| *time >= since)
        .max_by(|a, b| a.0.total_cmp(&b.0))?
        .1;
    let container = std::fs::read_dir(pod).ok()?.flatten().next()?.path();
    let mut attempts: Vec<(u32, PathBuf)> = std::fs::read_dir(container)
        .ok()?
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name();
            let number = name.to_str()?.strip_suffix(".log")?.parse().ok()?;
            Some((number, entry.path()))
        })
        .collect();
    attempts.sort();
    Some(Log {
        attempts: attempts.last().map_or(0, |(number, _)| *number),
        files: attempts.into_iter().rev().map(|(_, path)| path).collect(),
    })
}

impl Log {
    /// What the container said last: its last error, in whichever attempt; else its last line. Lines are
    /// `<time> <stream> <F|P> <text>` (CRI, ContainerLog).
    pub(super) fn last_words(&self) -> Option<String> {
        let words = |text: String| -> Vec<String> {
            let words = text.lines().filter_map(|line| line.splitn(4, ' ').nth(3));
            words.map(Into::into).collect()
        };
        let tails = self.files.iter().filter_map(|path| tail(path));
        let all: Vec<Vec<String>> = tails.map(words).collect();
        let last_error = |lines: &Vec<String>| {
            lines
                .iter()
                .rev()
                .find_map(|line| error(line).map(shortened))
        };
        let last_line = |lines: &Vec<String>| telling(lines.iter().map(String::as_str));
        all.iter()
            .find_map(last_error)
            .or_else(|| all.iter().find_map(last_line))
    }
}

/// The end of a log.
fn tail(path: &Path) -> Option<String> {
    let text = std::fs::read(path).ok()?;
    let tail = &text[text.len().saturating_sub(64 << 10)..];
    Some(String::from_utf8_lossy(tail).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_error_is_told_and_else_the_last_line() {
        let lines = "I1126 21:46:10.1 2941 server.go:1] \"Starting\"\n\
            E1126 21:46:10.2 2941 run.go:72] \"command failed\" err=\"cannot unmarshal string\"\n\
            I1126 21:46:10.3 2941 server.go:2] \"Bye\"";
        assert_eq!(
            telling(lines.lines()).as_deref(),
            Some("\"command failed\" err=\"cannot unmarshal string\"")
        );
        let flag = "Error: unknown flag: --no-such-flag\nusage: kube-apiserver";
        assert_eq!(
            telling(flag.lines()).as_deref(),
            Some("Error: unknown flag: --no-such-flag")
        );
        assert_eq!(telling("one\ntwo\n\n".lines()).as_deref(), Some("two"));
        assert_eq!(telling("".lines()), None);
        assert_eq!(
            telling([&*"x".repeat(1000)].into_iter()).unwrap().len(),
            403
        );
    }

    #[test]
    fn the_end_of_a_log_has_its_last_error() {
        let log = "Error: first\nError: second\na\nb\n\nc\n";
        assert_eq!(last_lines(log, 2), ["Error: second", "b", "c"]);
        assert_eq!(last_lines(log, 4), ["Error: second", "a", "b", "c"]);
        assert_eq!(last_lines("a\nb", 1), ["b"]);
        assert!(last_lines("\n", 3).is_empty());
    }

    #[test]
    fn the_newest_instance_of_a_pod_is_found_with_its_attempts() {
        let logs = tempfile::tempdir().unwrap();
        let pod = logs.path().join("kube-system_etcd-cp-1_abc/etcd");
        std::fs::create_dir_all(&pod).unwrap();
        std::fs::create_dir_all(logs.path().join("kube-system_etcd-metrics_x")).unwrap();
        std::fs::write(pod.join("0.log"), "t stderr F Error: first\n").unwrap();
        std::fs::write(
            pod.join("10.log"),
            "t stderr F Error: tenth\nt stderr F bye\n",
        )
        .unwrap();
        std::fs::write(pod.join("11.log"), "").unwrap();
        let log = newest(logs.path(), "etcd-cp", 0.0).unwrap();
        assert_eq!(log.attempts, 11);
        assert_eq!(log.last_words().as_deref(), Some("Error: tenth"));
        assert_eq!(newest(logs.path(), "etcd-cp", f64::MAX), None);
        assert_eq!(newest(logs.path(), "kube-apiserver", 0.0), None);
    }
}
