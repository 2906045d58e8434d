//! Kubernetes' own conformance tests, on a cluster of one control plane and two workers.
//!
//! Boots hosts of its own and destroys nothing else; runs only in `make conformance`.

mod images;
mod suite;

use std::path::PathBuf;

use ingot_scenarios::Stage;
use ingot_scenarios::cluster::{Cluster, Member};

use crate::images::TestBundle;
use crate::suite::{Suite, Tested};

const HOSTS: &[Member] = &[
    Member {
        name: "control-plane-1",
        roles: "control-plane",
    },
    Member {
        name: "worker-1",
        roles: "worker",
    },
    Member {
        name: "worker-2",
        roles: "worker",
    },
];

/// Tests that do not run on these hosts: `name`, then a line that begins with two spaces and gives the reason.
const LEFT_OUT: &str = include_str!("left-out.txt");

/// How many tests run at a time. They wait for pods most of the time.
const AT_A_TIME: u32 = 6;

/// No release of Kubernetes has had fewer for years: fewer were not selected as they should be.
const AT_LEAST: usize = 400;

#[test]
fn conformance() {
    let Some(stage) = Stage::take_for_conformance() else {
        return;
    };
    let iso = PathBuf::from(
        std::env::var_os("INGOT_CONFORMANCE_BUNDLE")
            .expect("INGOT_CONFORMANCE_BUNDLE, the bundle of images/catalog-conformance.yaml"),
    );
    let reports = PathBuf::from(
        std::env::var_os("INGOT_CONFORMANCE_REPORTS")
            .expect("INGOT_CONFORMANCE_REPORTS, a directory for logs and reports"),
    );
    std::fs::create_dir_all(&reports).expect("a directory for reports");
    let left_out = left_out();

    let cluster = Cluster::bare(&stage, "conformance", HOSTS);
    let access = cluster.lab.driver_dir();
    let bundle = TestBundle::unpack(&stage, &iso, &access.join("conformance"));
    cluster.ingot(&["bootstrap"]).succeeded();
    // Takes kubectl and a kubeconfig out of the cluster.
    cluster.kubectl();
    for host in cluster.hosts() {
        bundle.give_to(&host);
    }
    let host = cluster.host(HOSTS[0].name);
    let suite = Suite {
        bundle: &bundle,
        host: &host,
        access,
        reports,
    };
    let at_a_time = std::env::var("INGOT_CONFORMANCE_PROCESSES")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(AT_A_TIME);
    let mut tested = suite.run("parallel", "Conformance && !Serial", &left_out, at_a_time);
    tested.extend(suite.run("serial", "Conformance && Serial", &left_out, 1));
    conclude(&tested, left_out.len());
}

/// Prints what came out, and fails when a test did.
fn conclude(tested: &[Tested], left_out: usize) {
    let mut slowest: Vec<&Tested> = tested.iter().collect();
    slowest.sort_by_key(|one| std::cmp::Reverse(one.took));
    println!("  the slowest:");
    for one in slowest.iter().take(5) {
        println!("    {:>5} s  {}", one.took.as_secs(), one.name);
    }
    let bad: Vec<&Tested> = tested.iter().filter(|one| one.state != "passed").collect();
    for one in &bad {
        println!("  {}: {}\n    {}", one.state, one.name, one.why);
    }
    println!(
        "  {} conformance tests: {} passed, {} failed, {left_out} left out",
        tested.len() + left_out,
        tested.len() - bad.len(),
        bad.len()
    );
    assert!(bad.is_empty(), "{} tests failed", bad.len());
    let all = tested.len() + left_out;
    assert!(
        all >= AT_LEAST || suite::focus().is_some(),
        "only {all} conformance tests were found"
    );
}

/// The names of the tests that are left out; each must have its reason.
fn left_out() -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    let mut reason = true;
    for line in LEFT_OUT.lines().filter(|line| !line.starts_with('#')) {
        if line.starts_with("  ") {
            reason = true;
        } else if !line.is_empty() {
            assert!(
                reason,
                "{} has no reason",
                names.last().unwrap_or(&String::new())
            );
            names.push(line.to_owned());
            reason = false;
        }
    }
    assert!(
        reason,
        "{} has no reason",
        names.last().unwrap_or(&String::new())
    );
    names
}
