//! Clocks must agree: certificates, tokens and etcd depend on them.

use super::{AllFacts, Finding, error, warning};
use ingot_cluster::Cluster;

/// Tokens of service accounts and certificates break past this many seconds.
const ERROR: f64 = 30.0;
/// etcd and logs suffer past this many seconds.
const WARNING: f64 = 2.0;

pub(super) fn skew(_: &Cluster, all: &AllFacts) -> Vec<Finding> {
    let mut clocks: Vec<f64> = all.values().map(|facts| facts.clock).collect();
    clocks.sort_by(f64::total_cmp);
    let Some(&middle) = clocks.get(clocks.len() / 2) else {
        return Vec::new();
    };
    let off = |(node, facts): (&String, &crate::facts::Facts)| {
        let seconds = facts.clock - middle;
        let way = if seconds > 0.0 { "ahead of" } else { "behind" };
        let text = format!(
            "its clock is {:.0} s {way} the others; set it and keep it with a time server (chrony, systemd-timesyncd)",
            seconds.abs()
        );
        match seconds.abs() {
            s if s > ERROR => Some(error("clock", node, text)),
            s if s > WARNING => Some(warning("clock", node, text)),
            _ => None,
        }
    };
    all.iter().filter_map(off).collect()
}
