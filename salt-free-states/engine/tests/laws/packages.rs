//! Packages go up to the version of the bundle and never down.

use crate::bench::{Bench, Blobs};
use ingot_engine::system::{CommandError, CommandOutput, Commands, System};
use ingot_engine::{apply, plan};
use std::sync::Arc;

#[test]
fn a_package_is_brought_up_to_its_version_and_never_down() {
    let bench = Bench::new();
    let state = |version: &str| {
        bench.graph(&format!("  - id: a\n    package: {{name: have, version: '{version}', digest: 'sha256:deb-have:{version}'}}\n"))
    };
    assert!(
        bench.plan(&state("1.4")).is_empty(),
        "a newer version is left alone"
    );
    std::fs::write(bench.at("var/lib/locked"), "yes").unwrap();
    assert_eq!(bench.drift(&state("1.6")), ["version"]);
    bench.apply(&state("1.6"));
    assert!(bench.plan(&state("1.6")).is_empty());
    assert!(!bench.at("var/cache/ingot").exists());
    let graph = bench
        .graph("  - id: a\n    package: {name: lone, version: '1', digest: 'sha256:deb-lone:1'}\n");
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
            "package lone",
            "dpkg did not install lone 1: dependency problems prevent configuration of lone; what it depends on must be in the bundle and required"
        )]
    );
}

#[test]
fn a_package_on_a_host_without_dpkg_is_refused_with_the_way_out() {
    struct NoDpkg;
    impl Commands for NoDpkg {
        fn run(&self, program: &str, _: &[&str]) -> Result<CommandOutput, CommandError> {
            let source = std::io::ErrorKind::NotFound.into();
            Err(CommandError::Start {
                program: program.into(),
                source,
            })
        }
    }
    let bench = Bench::new();
    let system = System::below(bench.root.path(), Arc::new(NoDpkg), Arc::new(Blobs(vec![])));
    let graph =
        bench.graph("  - id: a\n    package: {name: socat, version: '1.7', digest: 'sha256:1'}\n");
    let errors = plan(&system, &graph, None).unwrap_err();
    assert_eq!(
        errors[0].source.to_string(),
        "this host has no dpkg, and `socat` is a Debian package; give hosts of other distributions the program as an `archive`"
    );
}
