//! Clocks must agree, with each other and with the installer's, which dates every certificate.

use super::{AllFacts, Check, Finding, Severity, Weight};
use crate::error::Failure;
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
fn ahead(facts: &Facts) -> f64 {
    let [asked, answered] = facts.installer_clock;
    match facts.clock {
        clock if clock < asked => clock - asked,
        clock if clock > answered => clock - answered,
        _ => 0.0,
    }
}

/// Whether certificates may be dated by the clock of this machine, as one host sees it. The value is what has to be
/// told all the same.
///
/// # Errors
/// When it is off by more than preflight lets pass.
pub fn may_date(facts: &Facts) -> Result<Option<String>, Failure> {
    let offset = ahead(facts);
    match severity(offset) {
        None => Ok(None),
        Some(Severity::Warning) => Ok(Some(of_the_installer(offset, "the host"))),
        Some(Severity::Error) => Err(Failure::machine(format!(
            "[{}] {}",
            CLOCK.name,
            of_the_installer(offset, "the host")
        ))
        .hint("then run the same command again")),
    }
}

fn severity(seconds: f64) -> Option<Severity> {
    match seconds.abs() {
        s if s > ERROR => Some(Severity::Error),
        s if s > WARNING => Some(Severity::Warning),
        _ => None,
    }
}

/// What is said when hosts are ahead of the installer by so many seconds.
fn of_the_installer(seconds: f64, hosts: &str) -> String {
    format!(
        "the clock of this machine, on which the installer runs, is {}; it dates the certificates of the cluster: set the clock that is wrong (`date` on both shows it)",
        words(-seconds, hosts)
    )
}

fn skew(_: &Cluster, all: &AllFacts) -> Vec<Finding> {
    judged(all)
}

fn judged(all: &AllFacts) -> Vec<Finding> {
    let off = |(node, facts): (&String, &Facts)| (node.clone(), ahead(facts));
    let offsets: Vec<(String, f64)> = all.iter().map(off).collect();
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
        let hosts = match all.len() {
            1 => "the host",
            _ => "the hosts",
        };
        let text = of_the_installer(middle, hosts);
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

#[cfg(test)]
mod tests {
    use super::*;

    fn host(clock: f64) -> Facts {
        Facts {
            clock,
            installer_clock: [1000.0, 1001.0],
            ..Facts::default()
        }
    }

    #[test]
    fn a_certificate_is_not_dated_by_a_clock_that_the_host_does_not_share() {
        assert_eq!(may_date(&host(1000.5)).unwrap(), None);
        assert_eq!(may_date(&host(1002.5)).unwrap(), None);
        let warning = may_date(&host(1011.0)).unwrap().unwrap();
        assert!(warning.contains("is 10 s behind the host"), "{warning}");
        let refused = may_date(&host(400.0)).unwrap_err();
        let words = "[clock] the clock of this machine, on which the installer runs, is 600 s ahead of the host";
        assert!(refused.message.starts_with(words), "{}", refused.message);
        let found = skew_of(&host(400.0));
        assert_eq!(format!("[clock] {}", found.message), refused.message);
    }

    /// What preflight says of a cluster of one host.
    fn skew_of(facts: &Facts) -> Finding {
        judged(&[("n".to_owned(), facts.clone())].into())
            .pop()
            .unwrap()
    }

    #[test]
    fn a_clock_that_was_not_compared_is_not_taken_for_a_good_one() {
        let facts = Facts {
            clock: 1.7e9,
            ..Facts::default()
        };
        assert_eq!(skew_of(&facts).severity, Severity::Error);
    }
}
