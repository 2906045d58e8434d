//! A change that failed or was cut short leaves something, too: what the site changes after it stays.

use crate::bench::Bench;
use ingot_engine::journal::Entry;
use ingot_engine::undo::{Kept, UndoStep, undo};
use std::fs;
use std::sync::atomic::Ordering;

const SWAP: &str = "  - id: swap\n    swap: {enabled: false}\n";
const OTHER: &str = "  - id: other\n    directory: {path: /srv/other}\n";
const NFS: &str = "nas:/export /srv/data nfs defaults 0 0\n";
const FORMER: &str = "/dev/a none swap sw 0 0\n/dev/b / ext4 defaults 0 1\n";
const OURS: &str = "# turned off by ingot: /dev/a none swap sw 0 0\n/dev/b / ext4 defaults 0 1\n";

/// Begins a change in the journal, as a program does that dies then.
fn begin(bench: &Bench, step: UndoStep) {
    bench
        .journal
        .append(Entry::Begin {
            resource: "s/cut".into(),
            target: "cut short".into(),
            undo: vec![step],
            notify: vec![],
        })
        .unwrap();
}

fn put_back(bench: &Bench) -> Vec<Kept> {
    let undone = undo(&bench.system, &bench.journal, &|_| {}).unwrap();
    assert!(undone.failures.is_empty(), "{:?}", undone.failures);
    undone.kept
}

fn fstab(bench: &Bench) -> String {
    fs::read_to_string(bench.at("etc/fstab")).unwrap()
}

#[test]
fn edits_after_a_change_that_failed_half_way_stay() {
    let bench = Bench::new();
    let swaps = bench.at("proc/swaps");
    fs::write(&swaps, "Filename Type\n/dev/a partition\n").unwrap();
    bench.host.fail_after.store(1, Ordering::Relaxed);
    let report = bench.try_apply(&bench.graph(SWAP));
    assert_eq!(
        report.failures().len(),
        1,
        "swapoff was refused: {report:?}"
    );
    assert_eq!(fstab(&bench), OURS);
    // Turned off by hand, so that nothing is left to be changed.
    fs::write(&swaps, "Filename Type\n").unwrap();
    fs::write(bench.at("etc/fstab"), format!("{OURS}{NFS}")).unwrap();
    assert_eq!(bench.apply(&bench.graph(SWAP)).changed(), 0);
    assert_eq!(put_back(&bench).len(), 1);
    assert_eq!(fstab(&bench), format!("{FORMER}{NFS}"));
}

#[test]
fn edits_after_the_application_that_follows_a_crash_stay() {
    let bench = Bench::new();
    begin(&bench, bench.keep("/etc/fstab"));
    fs::write(bench.at("etc/fstab"), OURS).unwrap();
    bench.apply(&bench.graph(SWAP));
    let entries = bench.journal.entries().len();
    bench.apply(&bench.graph(SWAP));
    assert_eq!(
        bench.journal.entries().len(),
        entries,
        "it is recorded once"
    );
    fs::write(bench.at("etc/fstab"), format!("{OURS}{NFS}")).unwrap();
    assert_eq!(put_back(&bench).len(), 1);
    assert_eq!(fstab(&bench), format!("{FORMER}{NFS}"));
}

#[test]
fn a_crash_before_the_change_leaves_everything_to_the_site() {
    let bench = Bench::new();
    begin(&bench, bench.keep("/etc/new"));
    begin(&bench, bench.keep("/etc/fstab"));
    bench.apply(&bench.graph(OTHER));
    fs::write(bench.at("etc/new"), "of the site").unwrap();
    fs::write(bench.at("etc/fstab"), NFS).unwrap();
    assert_eq!(put_back(&bench), [], "nothing there was ours");
    assert_eq!(
        fs::read_to_string(bench.at("etc/new")).unwrap(),
        "of the site"
    );
    assert_eq!(fstab(&bench), NFS);
}

#[test]
fn of_a_change_that_later_ones_stand_on_it_counts_what_they_found() {
    let bench = Bench::new();
    let file = "  - id: a\n    file: {path: /etc/a.conf, content: CONTENT}\n";
    fs::write(bench.at("etc/a.conf"), "former").unwrap();
    begin(&bench, bench.keep("/etc/a.conf"));
    fs::write(bench.at("etc/a.conf"), "one").unwrap();
    // A program of before this was recorded: it changed the file once more.
    begin(&bench, bench.keep("/etc/a.conf"));
    fs::write(bench.at("etc/a.conf"), "two").unwrap();
    bench.apply(&bench.graph(&file.replace("CONTENT", "three")));
    assert_eq!(put_back(&bench), []);
    assert_eq!(
        fs::read_to_string(bench.at("etc/a.conf")).unwrap(),
        "former"
    );
}
