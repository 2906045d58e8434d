//! What is not ours is left alone, and what is secret is not shown.

use crate::bench::Bench;
use ingot_engine::plan;
use std::io::Read;

#[test]
fn content_that_is_not_ours_is_not_replaced() {
    let bench = Bench::new();
    std::fs::create_dir(bench.at("etc/f")).unwrap();
    std::fs::write(bench.at("srv/d"), "").unwrap();
    let graph = bench.graph("  - id: a\n    file: {path: /etc/f, content: x}\n  - id: b\n    directory: {path: /srv/d}\n");
    let errors = plan(&bench.system, &graph, None).unwrap_err();
    let text: Vec<String> = errors
        .iter()
        .map(|e| format!("{e}: {}", e.source))
        .collect();
    assert_eq!(
        text,
        [
            "s/a (file /etc/f): /etc/f is a directory where a file is wanted; move it away",
            "s/b (directory /srv/d): /srv/d is a file where a directory is wanted; move it away",
        ]
    );
}

#[test]
fn secrets_do_not_show_in_plans() {
    let bench = Bench::new();
    std::fs::write(bench.at("etc/key"), "old-secret").unwrap();
    let graph = bench.graph(
        "  - id: a\n    file: {path: /etc/key, content: new-secret, mode: '0600', secret: true}\n",
    );
    let json = serde_json::to_string(&bench.plan(&graph)).unwrap();
    assert!(
        json.contains("10 bytes") && !json.contains("secret"),
        "{json}"
    );
    let mut old = String::new();
    bench.apply(&graph);
    std::fs::File::open(bench.at("etc/key"))
        .unwrap()
        .read_to_string(&mut old)
        .unwrap();
    assert_eq!(old, "new-secret");
}
