//! Kernel settings that others set to something else.

use super::{AllFacts, Check, Finding, Weight};
use crate::facts::{Facts, SettingLine};
use crate::settings;
use ingot_cluster::Cluster;

pub(super) const SYSCTL: Check = Check {
    name: "sysctl",
    how: "the files of sysctl.d(5), /etc/sysctl.conf and that of ufw, line by line",
    consequence: "our file sorts last, a service puts our values back once a minute and before the kubelet starts: the value of the site does not hold. Where it is applied by hand (`sysctl --system`), pods may be cut off for up to a minute",
    remedy: "take the line out, or give it our value",
    weight: Weight::Warnings,
    judge: Some(contradictions),
};

fn contradictions(_: &Cluster, all: &AllFacts) -> Vec<Finding> {
    let mut found = Vec::new();
    for (node, facts) in all {
        for line in &facts.sysctl_lines {
            let Some(wanted) = wanted(facts, &line.key).filter(|wanted| *wanted != line.value)
            else {
                continue;
            };
            let SettingLine {
                file,
                line,
                key,
                value,
            } = line;
            let consequence = match key.contains("forward") {
                true => "pods are cut off for as long as it holds",
                false => "the platform needs the other value",
            };
            let text = format!(
                "{file}:{line} sets {key} = {value}, the platform sets {wanted}: {consequence}; take the line out, or it comes back with every `sysctl --system` until ours is put back within a minute"
            );
            found.push(SYSCTL.warning(node, text));
        }
    }
    found
}

/// What we set, also under another name of the same setting.
fn wanted(facts: &Facts, key: &str) -> Option<String> {
    if key.starts_with("net.ipv4.conf.") && key.ends_with(".forwarding") {
        return Some("1".into());
    }
    let ours = settings::sysctls(facts);
    ours.into_iter()
        .find(|one| one.key == key)
        .map(|one| one.value)
}
