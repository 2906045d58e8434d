//! Whether the bundle may be put on hosts that run another one: never an older one, never a minor version of
//! Kubernetes skipped, never other content under the same version.

use super::{AllFacts, Check, Finding, Weight};
use crate::facts::Membership;
use crate::settings::Release;

pub(super) const RELEASE: Check = Check {
    name: "release",
    how: "what each host has on record of the bundle it runs, compared with this one",
    consequence: "etcd and the API servers do not go back a version, and do not skip one; of two bundles with one version nobody can tell which a host runs",
    remedy: "use the bundle that the cluster runs or a newer one, one minor version of Kubernetes at a time",
    weight: Weight::Errors,
    judge: None,
};

/// Runs the check.
pub fn judge_release(facts: &AllFacts, release: &Release) -> Vec<Finding> {
    facts
        .iter()
        .filter_map(|(node, facts)| {
            let reason = refusal(facts.membership.as_ref()?, release)?;
            Some(RELEASE.error(node, reason))
        })
        .collect()
}

fn refusal(member: &Membership, release: &Release) -> Option<String> {
    let (runs, wanted) = (&member.version, &release.version);
    if numbers(wanted) < numbers(runs) {
        return Some(format!(
            "it runs version {runs}, and this bundle is version {wanted}, which is older: use the bundle of {runs} or a newer one"
        ));
    }
    if let (Some(runs), Some(wanted)) = (&member.kubernetes, &release.kubernetes) {
        let step = minor(wanted).zip(minor(runs)).map(|(new, old)| new - old);
        match step {
            Some(step) if step > 1 => {
                return Some(format!(
                    "it runs Kubernetes {runs}, and this bundle has {wanted}: a minor version must not be skipped, so use a bundle of the next one first"
                ));
            }
            Some(step) if step < 0 => {
                return Some(format!(
                    "it runs Kubernetes {runs}, and this bundle has {wanted}, which is older: use a bundle with {runs} or a newer one"
                ));
            }
            _ => {}
        }
    }
    let other = member
        .content
        .as_ref()
        .is_some_and(|content| *content != release.content);
    (other && wanted == runs).then(|| {
        format!(
            "it runs another bundle that also calls itself version {runs}: use that one, or build this one under a new version"
        )
    })
}

/// The numbers of a version `major.minor.patch`, for comparison; anything behind them does not count.
fn numbers(version: &str) -> Vec<u64> {
    let core = version.split(['-', '+']).next().unwrap_or_default();
    core.split('.')
        .map(|part| part.parse().unwrap_or(0))
        .collect()
}

fn minor(version: &str) -> Option<i64> {
    version.split('.').nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{Facts, Fixed};
    use std::collections::BTreeMap;

    fn found(member: (&str, &str, &str), release: (&str, &str, &str)) -> Option<String> {
        let network = Fixed {
            pod_cidr: String::new(),
            node_prefix: 24,
            service_cidr: String::new(),
            cluster_domain: String::new(),
        };
        let membership = Membership {
            format_version: 1,
            cluster: "c".into(),
            node: "n".into(),
            version: member.0.into(),
            kubernetes: Some(member.1.into()),
            content: Some(member.2.into()),
            network,
        };
        let release = Release {
            version: release.0.into(),
            kubernetes: Some(release.1.into()),
            content: release.2.into(),
            binaries: BTreeMap::new(),
            images: BTreeMap::new(),
        };
        let facts = Facts {
            membership: Some(membership),
            ..Facts::default()
        };
        let all = [("n".to_owned(), facts)].into();
        judge_release(&all, &release)
            .pop()
            .map(|finding| finding.message)
    }

    #[test]
    fn the_same_a_newer_and_the_next_minor_may_come() {
        let runs = ("1.9.0", "1.36.3", "a");
        assert_eq!(found(runs, runs), None);
        assert_eq!(found(runs, ("1.10.0", "1.37.0", "b")), None);
        assert_eq!(found(runs, ("1.9.1", "1.36.4", "b")), None);
    }

    #[test]
    fn an_older_one_a_skipped_minor_and_other_content_may_not() {
        let runs = ("1.10.0", "1.36.3", "a");
        for (release, words) in [
            (
                ("1.9.9", "1.36.3", "b"),
                "which is older: use the bundle of 1.10.0",
            ),
            (
                ("1.11.0", "1.38.0", "b"),
                "a minor version must not be skipped",
            ),
            (
                ("1.11.0", "1.35.9", "b"),
                "which is older: use a bundle with 1.36.3",
            ),
            (
                ("1.10.0", "1.36.3", "b"),
                "also calls itself version 1.10.0",
            ),
        ] {
            let reason = found(runs, release).unwrap();
            assert!(reason.contains(words), "{reason}");
        }
    }
}
