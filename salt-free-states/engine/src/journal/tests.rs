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
            .contains("has format 9, this program knows 1")
    );
}
