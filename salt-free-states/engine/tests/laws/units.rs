//! systemd knows the unit files that are there, after a way back as well, and starts services with them.

use crate::bench::Bench;
use ingot_engine::undo::undo;
use std::fs;

const UNIT: &str = "  - id: unit
    unit: {name: a.service, content: ours}
  - id: service
    service: {unit: a.service, enabled: RUNS, running: RUNS}
    require: [unit]
    watch: [unit]
";

/// A host with a unit of the site's that runs.
fn with_a_unit() -> Bench {
    let bench = Bench::new();
    let file = bench.at("etc/systemd/system/a.service");
    fs::write(file, "former").unwrap();
    let mut units = bench.host.units.lock().unwrap();
    units.insert("a.service".into(), (true, true));
    drop(units);
    bench
}

fn put_back(bench: &Bench) {
    let undone = undo(&bench.system, &bench.journal, &|_| {}).unwrap();
    assert!(undone.failures.is_empty(), "{:?}", undone.failures);
    assert_eq!(undone.kept, []);
}

#[test]
fn systemd_reads_unit_files_once_they_are_put_back() {
    let bench = with_a_unit();
    bench.apply(&bench.graph(&UNIT.replace("RUNS", "true")));
    put_back(&bench);
    assert_eq!(bench.host.unit_files()["a.service"], "former");
    assert_eq!(bench.host.loaded.lock().unwrap()["a.service"], "former");
}

#[test]
fn systemd_forgets_unit_files_that_are_removed() {
    let bench = Bench::new();
    bench.apply(&bench.graph(&UNIT.replace("RUNS", "true")));
    assert_eq!(
        bench.host.loaded.lock().unwrap()["a.service"].trim(),
        "ours"
    );
    put_back(&bench);
    assert!(bench.host.loaded.lock().unwrap().is_empty());
}

#[test]
fn a_service_is_started_with_its_former_unit_file_and_stopped_with_the_newer() {
    let bench = with_a_unit();
    let stopped = bench.graph(&UNIT.replace("RUNS", "false"));
    bench.apply(&stopped);
    bench.host.started.lock().unwrap().clear();
    put_back(&bench);
    let started = bench.host.started.lock().unwrap().clone();
    assert_eq!(started, [("a.service".into(), Some("former".into()))]);
    assert_eq!(bench.host.units.lock().unwrap()["a.service"], (true, true));

    // A service that a later change started is stopped before its unit changes back, and started at the end.
    bench.apply(&stopped);
    let running = UNIT.replace("RUNS", "true").replace("ours", "newer");
    bench.apply(&bench.graph(&running));
    bench.host.asked.lock().unwrap().clear();
    bench.host.started.lock().unwrap().clear();
    put_back(&bench);
    let asked = bench.host.asked.lock().unwrap().join(", ");
    let expected = "systemctl disable --quiet -- a.service, systemctl stop -- a.service, systemctl daemon-reload, \
        systemctl daemon-reload, systemctl enable --quiet -- a.service, systemctl start -- a.service";
    assert_eq!(asked, expected);
    let started = bench.host.started.lock().unwrap().clone();
    assert_eq!(started, [("a.service".into(), Some("former".into()))]);
}
