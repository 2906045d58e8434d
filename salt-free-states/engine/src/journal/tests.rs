use super::*;

fn begin(resource: &str, notify: &[&str]) -> Entry {
    Entry::Begin {
        resource: resource.into(),
        target: "t".into(),
        undo: vec![],
        notify: notify.iter().map(|n| n.to_string()).collect(),
    }
}

#[test]
fn entries_survive_and_a_torn_line_is_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::open(dir.path()).unwrap();
    journal.append(begin("a", &[])).unwrap();
    drop(journal);
    let path = dir.path().join("journal.jsonl");
    let mut text = std::fs::read_to_string(&path).unwrap();
    text.push_str("{\"entry\":\"done\",\"res");
    std::fs::write(&path, text).unwrap();
    let journal = Journal::open(dir.path()).unwrap();
    assert_eq!(journal.entries().len(), 2);
    journal
        .append(Entry::Done {
            resource: "a".into(),
            after: vec![],
        })
        .unwrap();
    assert_eq!(Journal::open(dir.path()).unwrap().entries().len(), 3);
}

#[test]
fn a_notified_resource_is_pending_until_it_reacted() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::open(dir.path()).unwrap();
    journal.append(begin("config", &["service"])).unwrap();
    assert!(journal.pending().contains("service"));
    journal
        .append(Entry::Reacted {
            resource: "service".into(),
        })
        .unwrap();
    assert!(journal.pending().is_empty());
}

#[test]
fn a_corrupt_line_and_a_newer_format_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal.jsonl");
    std::fs::write(&path, "nonsense\n").unwrap();
    assert!(
        Journal::open(dir.path())
            .unwrap_err()
            .to_string()
            .contains(":1: not a journal entry")
    );
    std::fs::write(&path, "{\"entry\":\"header\",\"version\":9}\n").unwrap();
    assert!(
        Journal::open(dir.path())
            .unwrap_err()
            .to_string()
            .contains("has format 9, this program knows 4")
    );
}

#[test]
fn a_line_that_was_torn_inside_a_character_is_dropped() {
    let dir = tempfile::tempdir().unwrap();
    drop(Journal::open(dir.path()).unwrap());
    let path = dir.path().join("journal.jsonl");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes.extend("{\"entry\":\"done\",\"resource\":\"größ".as_bytes());
    bytes.pop();
    for cut in bytes.len() - 3..bytes.len() {
        std::fs::write(&path, &bytes[..cut]).unwrap();
        assert_eq!(Journal::open(dir.path()).unwrap().entries().len(), 1);
    }
}

#[test]
fn reading_changes_nothing_and_sees_whole_lines_only() {
    let dir = tempfile::tempdir().unwrap();
    assert!(Journal::read(dir.path()).unwrap().is_none());
    drop(Journal::open(dir.path()).unwrap());
    let path = dir.path().join("journal.jsonl");
    let mut text = std::fs::read_to_string(&path).unwrap();
    text.push_str("{\"entry\":\"done\",");
    std::fs::write(&path, &text).unwrap();
    let journal = Journal::read(dir.path()).unwrap().unwrap();
    assert_eq!(journal.entries().len(), 1);
    assert!(journal.append(begin("a", &[])).is_err());
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
}

#[test]
fn journals_of_older_formats_are_read_and_say_from_where_on_they_are_newer() {
    for old in [
        include_str!("samples/format-1.jsonl"),
        include_str!("samples/format-2.jsonl"),
        include_str!("samples/format-3.jsonl"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("journal.jsonl"), old).unwrap();
        let journal = Journal::open(dir.path()).unwrap();
        let entries = journal.entries();
        assert_eq!(entries.len(), old.lines().count() + 1);
        assert_eq!(entries.last(), Some(&Entry::Header { version: 4 }));
        assert!(matches!(&entries[2], Entry::Done { .. }));
    }
}

#[test]
fn a_journal_of_the_present_format_is_read_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let text = include_str!("samples/format-4.jsonl");
    std::fs::write(dir.path().join("journal.jsonl"), text).unwrap();
    let entries = Journal::open(dir.path()).unwrap().entries();
    assert_eq!(entries.len(), text.lines().count());
    let written: Vec<String> = entries
        .iter()
        .map(|entry| serde_json::to_string(entry).unwrap())
        .collect();
    assert_eq!(written, Vec::from_iter(text.lines()));
}
