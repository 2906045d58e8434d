use super::*;
use crate::error::Failure;
use crate::event::Silent;
use std::os::unix::fs::PermissionsExt;

fn phase(name: &str) -> Event {
    Event::PhaseStarted {
        phase: name.into(),
        title: String::new(),
        nodes: Vec::new(),
    }
}

fn begin(path: &Path) -> (Arc<RunJournal>, Option<Unfinished>) {
    let (journal, before) = RunJournal::begin(path, "bootstrap", "anna@laptop").unwrap();
    (Arc::new(journal), before)
}

fn tell(journal: &Arc<RunJournal>, event: Event) {
    let recorded = Recorded {
        journal: Arc::clone(journal),
        events: Arc::new(Silent),
    };
    recorded.tell(event);
}

#[test]
fn a_run_that_broke_off_is_told_to_the_next() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state/site.jsonl");
    let (first, before) = begin(&path);
    assert_eq!(before, None);
    tell(&first, phase("connect"));
    tell(&first, phase("node"));
    drop(first);

    let (second, before) = begin(&path);
    let before = before.expect("the first had no end");
    assert_eq!(before.phase.as_deref(), Some("node"));
    let said = before.to_string();
    assert!(said.starts_with("the last run (bootstrap, 20"), "{said}");
    assert!(
        said.contains("by anna@laptop) broke off in phase node;"),
        "{said}"
    );
    second.end(0).unwrap();
    drop(second);
    assert_eq!(begin(&path).1, None, "the second had an end");
}

#[test]
fn a_run_that_goes_on_is_not_taken_for_broken_off() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("site.jsonl");
    let (_first, _) = begin(&path);
    assert_eq!(begin(&path).1, None);
}

#[test]
fn only_its_owner_reads_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state/site.jsonl");
    begin(&path);
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(path.parent().unwrap()), 0o700);
}

#[test]
fn a_torn_line_and_lines_of_later_versions_are_passed_over() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("site.jsonl");
    let (first, _) = begin(&path);
    tell(&first, phase("prepare"));
    drop(first);
    let mut file = OpenOptions::new().append(true).open(&path).unwrap();
    file.write_all(b"{\"entry\":\"weather\"}\n{\"entry\":\"pha")
        .unwrap();
    let (second, before) = begin(&path);
    assert_eq!(before.unwrap().phase.as_deref(), Some("prepare"));
    second.end(0).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(last_unfinished(&text), None, "{text}");
}

#[test]
fn a_failure_is_recorded_with_its_place() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("site.jsonl");
    let (journal, _) = begin(&path);
    let failure = Failure::machine("no answer");
    tell(
        &journal,
        Event::NodeFailed {
            node: "w1".into(),
            phase: "connect".into(),
            failure,
        },
    );
    let text = std::fs::read_to_string(&path).unwrap();
    let last: serde_json::Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!(last["entry"], "failed");
    assert_eq!(
        (&last["node"], &last["phase"]),
        (&"w1".into(), &"connect".into())
    );
    assert_eq!(last["message"], "no answer");
}

#[test]
fn a_long_journal_is_set_aside() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("site.jsonl");
    std::fs::write(&path, vec![b'\n'; LIMIT as usize + 1]).unwrap();
    begin(&path);
    assert!(path.metadata().unwrap().len() < 1000);
    assert!(directory.path().join("site.jsonl.old").is_file());
}

#[test]
fn a_place_that_cannot_be_written_is_refused_with_a_way_out() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    std::fs::write(&file, "").unwrap();
    let error = RunJournal::begin(&file.join("site.jsonl"), "apply", "anna").unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("name another place with --journal"),
        "{error}"
    );
}

#[test]
fn the_journal_of_a_released_version_is_read() {
    let text = "{\"entry\":\"begin\",\"version\":1,\"time\":\"2026-11-01T08:00:00Z\",\"command\":\"apply\",\"holder\":\"anna@laptop\"}\n{\"entry\":\"phase\",\"time\":\"2026-11-01T08:00:01Z\",\"phase\":\"facts\"}\n{\"entry\":\"failed\",\"time\":\"2026-11-01T08:00:02Z\",\"node\":\"a\",\"phase\":\"facts\",\"message\":\"m\"}\n";
    assert_eq!(
        last_unfinished(text).unwrap().phase.as_deref(),
        Some("facts")
    );
    let ended =
        format!("{text}{{\"entry\":\"end\",\"time\":\"2026-11-01T08:00:03Z\",\"exitCode\":3}}\n");
    assert_eq!(last_unfinished(&ended), None);
}
