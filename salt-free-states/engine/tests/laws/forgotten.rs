//! What a file of ours contained before we replaced it can be forgotten, and the way back from all changes stays.

use crate::bench::Bench;
use ingot_engine::Journal;
use ingot_engine::journal::Entry;
use ingot_engine::undo::undo;
use std::fs;
use std::path::Path;

fn write(bench: &Bench, content: &str) {
    let file = format!("  - id: key\n    file: {{path: /etc/a.key, content: {content}}}\n");
    bench.apply(&bench.graph(&file));
}

/// All content that the journal of a bench keeps.
fn kept(bench: &Bench) -> Vec<String> {
    let files = fs::read_dir(saved(bench)).into_iter().flatten().flatten();
    let mut all: Vec<String> = files
        .map(|file| fs::read_to_string(file.path()).unwrap().trim().to_owned())
        .collect();
    all.sort();
    all
}

fn saved(bench: &Bench) -> std::path::PathBuf {
    bench.journal_directory().join("saved")
}

fn is_key(path: &Path) -> bool {
    path.ends_with("a.key")
}

fn undone(bench: &Bench) {
    let undone = undo(&bench.system, &bench.journal, &|_| {}).unwrap();
    assert!(undone.failures.is_empty(), "{:?}", undone.failures);
    assert!(undone.kept.is_empty(), "{:?}", undone.kept);
}

#[test]
fn replaced_content_is_gone_and_the_way_back_leads_to_what_was_there_before_us() {
    for sites in [None, Some("sites")] {
        let bench = Bench::new();
        let path = bench.at("etc/a.key");
        if let Some(content) = sites {
            fs::write(&path, content).unwrap();
        }
        for content in ["one", "two", "three"] {
            write(&bench, content);
        }
        assert!(kept(&bench).contains(&"two".to_owned()));
        // Other files are not concerned.
        bench
            .journal
            .forget(|path| path.ends_with("b.key"))
            .unwrap();
        assert!(kept(&bench).contains(&"two".to_owned()));

        bench.journal.forget(is_key).unwrap();
        let expected: Vec<&str> = sites.into_iter().collect();
        assert_eq!(
            kept(&bench),
            expected,
            "what was before us, and nothing else"
        );
        // Once more says nothing more.
        let entries = bench.journal.entries().len();
        bench.journal.forget(is_key).unwrap();
        assert_eq!(bench.journal.entries().len(), entries);

        write(&bench, "four");
        undone(&bench);
        assert_eq!(fs::read_to_string(&path).ok().as_deref(), sites);
    }
}

#[test]
fn a_change_that_was_cut_short_keeps_what_it_needs() {
    let bench = Bench::new();
    write(&bench, "one");
    write(&bench, "two");
    // The third is begun: its way back is on disk, and so is its content; what came next is lost.
    let step = bench.keep("/etc/a.key");
    bench
        .journal
        .append(Entry::Begin {
            resource: "key".into(),
            target: "file /etc/a.key".into(),
            undo: vec![step],
            notify: vec![],
        })
        .unwrap();
    fs::write(bench.at("etc/a.key"), "three").unwrap();
    bench.journal.forget(is_key).unwrap();
    assert!(!kept(&bench).contains(&"one".to_owned()));
    assert!(kept(&bench).contains(&"two".to_owned()));
    // The next application records what is there now. That makes the change no complete one.
    bench.apply(&bench.graph("  - id: other\n    directory: {path: /srv/other}\n"));
    bench.journal.forget(is_key).unwrap();
    assert_eq!(kept(&bench), ["two"]);
    undone(&bench);
    assert!(!bench.at("etc/a.key").exists());
}

#[test]
fn a_site_edit_after_the_last_change_is_kept_beside() {
    let bench = Bench::new();
    write(&bench, "one");
    write(&bench, "two");
    bench.journal.forget(is_key).unwrap();
    fs::write(bench.at("etc/a.key"), "of the site").unwrap();
    let report = undo(&bench.system, &bench.journal, &|_| {}).unwrap();
    assert_eq!(report.kept.len(), 1);
    let beside = fs::read_to_string(bench.at("etc/a.key.kept")).unwrap();
    assert_eq!(beside, "of the site");
}

#[test]
fn an_undo_that_broke_off_between_two_changes_is_gone_on_with() {
    let bench = Bench::new();
    write(&bench, "one");
    write(&bench, "two");
    bench.journal.forget(is_key).unwrap();
    let line = bench
        .journal
        .entries()
        .iter()
        .rposition(|entry| matches!(entry, Entry::Begin { .. }));
    bench
        .journal
        .append(Entry::Undone {
            line: line.unwrap(),
        })
        .unwrap();
    let again = Journal::open(&bench.journal_directory()).unwrap();
    let report = undo(&bench.system, &again, &|_| {}).unwrap();
    assert!(report.kept.is_empty(), "{:?}", report.kept);
    assert!(!bench.at("etc/a.key").exists());
}
