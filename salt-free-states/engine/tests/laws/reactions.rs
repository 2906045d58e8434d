//! What a change or a failure of one resource means for those that name it.

use crate::bench::Bench;
use ingot_engine::{Outcome, apply};

const WATCHED: &str = "  - id: c\n    file: {path: /etc/c, content: 'VALUE'}\n  - id: u\n    unit: {name: x.service, content: '[Unit]'}\n  - id: s\n    service: {unit: x.service}\n    require: [u]\n    watch: [c]\n";

#[test]
fn a_watched_change_restarts_a_running_service_and_only_then() {
    let bench = Bench::new();
    bench.apply(&bench.graph(&WATCHED.replace("VALUE", "1")));
    let restarts = || {
        bench
            .host
            .asked
            .lock()
            .unwrap()
            .iter()
            .filter(|a| a.contains("restart"))
            .count()
    };
    assert_eq!(
        restarts(),
        0,
        "a service that was just started needs no restart"
    );
    bench.apply(&bench.graph(&WATCHED.replace("VALUE", "2")));
    assert_eq!(restarts(), 1);
    bench.apply(&bench.graph(&WATCHED.replace("VALUE", "2")));
    assert_eq!(restarts(), 1);
}

#[test]
fn a_setting_that_a_module_brings_is_set_once_the_module_is_there() {
    let bench = Bench::new();
    let graph = bench.graph(
        "  - id: m\n    kernel_module: {name: br_netfilter, provides: /proc/sys/net/bridge}\n  - id: s\n    sysctl: \
         {key: net.bridge.bridge-nf-call-iptables, value: '1'}\n    require: [m]\n",
    );
    assert_eq!(bench.drift(&graph), ["loaded", "value"]);
    assert_eq!(bench.apply(&graph).changed(), 2);
    let set = std::fs::read_to_string(bench.at("proc/sys/net/bridge/bridge-nf-call-iptables"));
    assert_eq!(set.unwrap(), "1");
    assert!(bench.plan(&graph).is_empty());
}

#[test]
fn a_setting_that_nothing_brings_is_an_error_of_its_own() {
    let bench = Bench::new();
    let graph = bench.graph("  - id: s\n    sysctl: {key: net.none, value: '1'}\n");
    let report = apply(
        &bench.system,
        &graph,
        &bench.plan(&graph),
        &bench.journal,
        &|_| {},
    );
    let report = report.unwrap();
    let failures = report.failures();
    assert_eq!(failures.len(), 1);
    assert!(failures[0].1.contains("/proc/sys/net/none"), "{failures:?}");
}

#[test]
fn a_restart_that_a_crash_prevented_is_made_up_for() {
    let bench = Bench::new();
    bench.apply(&bench.graph(&WATCHED.replace("VALUE", "1")));
    // The crash: the file was changed and journaled, the restart never came.
    let journal_begin = ingot_engine::journal::Entry::Begin {
        resource: "s/c".into(),
        target: "file /etc/c".into(),
        undo: vec![],
        notify: vec!["s/s".into()],
    };
    bench.journal.append(journal_begin).unwrap();
    std::fs::write(bench.at("etc/c"), "2").unwrap();
    let graph = bench.graph(&WATCHED.replace("VALUE", "2"));
    assert_eq!(bench.apply(&graph).changed(), 1);
    assert!(
        bench
            .host
            .asked
            .lock()
            .unwrap()
            .iter()
            .any(|a| a == "systemctl restart -- x.service")
    );
    assert!(bench.plan(&graph).is_empty());
}

#[test]
fn what_stands_on_a_failure_is_left_alone_and_the_rest_goes_on() {
    let bench = Bench::new();
    let graph = bench.graph(
        "  - id: bad\n    command: {run: [no-such], creates: /srv/never}\n  - id: next\n    directory: {path: /srv/next}\n    require: [bad]\n  - id: after\n    directory: {path: /srv/after}\n    require: [next]\n  - id: other\n    directory: {path: /srv/other}\n",
    );
    let report = apply(
        &bench.system,
        &graph,
        &bench.plan(&graph),
        &bench.journal,
        &|_| {},
    )
    .unwrap();
    assert_eq!(
        report.failures(),
        [(
            "command no-such",
            "`no-such` failed with status 127: refused"
        )]
    );
    assert!(
        matches!(&report.resources[2].2, Outcome::Skipped { .. }),
        "{report:?}"
    );
    assert!(!bench.at("srv/next").exists() && !bench.at("srv/after").exists());
    assert!(bench.at("srv/other").is_dir());
}
