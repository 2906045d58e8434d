//! Clocks must agree, with each other and with the installer's, which dates every certificate.

use super::{AllFacts, Check, Finding, Severity, Weight};
use crate::facts::Facts;
use ingot_cluster::Cluster;

/// Tokens of service accounts and certificates break past this many seconds.
const ERROR: f64 = 30.0;
/// etcd and logs suffer past this many seconds.
const WARNING: f64 = 2.0;

pub(super) const CLOCK: Check = Check {
    name: "clock",
    how: "the clocks of all hosts are compared with each other and with that of the machine the installer runs on, also where there is one host",
    consequence: "certificates are not valid yet or end early, tokens are refused, leases of leaders jump",
    remedy: "set the clock, and keep it with a time server (chrony, systemd-timesyncd)",
    weight: Weight::Both,
    judge: Some(skew),
};

/// How far a host is ahead of the installer, at least; how long the question took is unknown to both.
fn ahead(facts: &Facts) -> Option<f64> {
    let [asked, answered] = facts.installer_clock?;
    Some(match facts.clock {
        clock if clock < asked => clock - asked,
        clock if clock > answered => clock - answered,
        _ => 0.0,
    })
}

fn skew(_: &Cluster, all: &AllFacts) -> Vec<Finding> {
    let off = |(node, facts): (&String, &Facts)| Some((node.clone(), ahead(facts)?));
    let offsets: Vec<(String, f64)> = all.iter().filter_map(off).collect();
    let severity = |seconds: f64| match seconds.abs() {
        s if s > ERROR => Some(Severity::Error),
        s if s > WARNING => Some(Severity::Warning),
        _ => None,
    };
    let mut sorted: Vec<f64> = offsets.iter().map(|(_, seconds)| *seconds).collect();
    sorted.sort_by(f64::total_cmp);
    let Some(&middle) = sorted.get(sorted.len() / 2) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    // Hosts that agree with each other and not with the installer: it is the installer's clock, said once.
    if let Some(severity) = severity(middle)
        && sorted
            .iter()
            .all(|seconds| (seconds - middle).abs() <= WARNING)
    {
        let text = format!(
            "the clock of this machine, on which the installer runs, is {}; it dates the certificates of the cluster: set the clock that is wrong (`date` on both shows it)",
            words(
                -middle,
                if all.len() == 1 {
                    "the host"
                } else {
                    "the hosts"
                }
            )
        );
        found.push(Finding {
            check: CLOCK.name,
            node: None,
            severity,
            message: text,
        });
        return found;
    }
    for (node, seconds) in offsets {
        if let Some(severity) = severity(seconds) {
            let text = format!(
                "its clock is {}; set it and keep it with a time server (chrony, systemd-timesyncd)",
                words(
                    seconds,
                    "this machine's, on which the installer runs and dates certificates"
                )
            );
            found.push(CLOCK.finding(&node, severity, text));
        } else if let Some(severity) = severity(seconds - middle) {
            let text = format!(
                "its clock is {}; set it and keep it with a time server (chrony, systemd-timesyncd)",
                words(seconds - middle, "the others")
            );
            found.push(CLOCK.finding(&node, severity, text));
        }
    }
    found
}

fn words(seconds: f64, of: &str) -> String {
    let way = if seconds > 0.0 { "ahead of" } else { "behind" };
    format!("{:.0} s {way} {of}", seconds.abs())
}
