//! What there is to say about a lab, whole or broken.

use crate::name::Name;
use crate::process::ProcessId;
use crate::state::{LabDir, Lifetime};

/// A line about a lab, as far as its records can be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabSummary {
    /// Its name.
    pub name: String,
    /// When it goes away; unknown for one that is half made or broken.
    pub lifetime: Option<Lifetime>,
    /// Seconds since 1970; unknown as above.
    pub created: Option<u64>,
    /// Whether it should have gone with its creator and did not.
    pub orphaned: bool,
    /// Its hosts and whether they are on.
    pub hosts: Vec<(String, bool)>,
}

/// Of the lab in that directory.
pub(super) fn summary(dir: &LabDir) -> LabSummary {
    let record = dir.record().ok().flatten();
    let orphaned = record.as_ref().is_none_or(|record| match record.lifetime {
        Lifetime::Process => !record.creator.as_ref().is_some_and(ProcessId::is_alive),
        Lifetime::Kept => false,
    });
    let hosts = dir.host_names().unwrap_or_default();
    let is_on = |name: &Name| {
        dir.host(name)
            .run()
            .is_ok_and(|run| run.init.is_some_and(|init| init.is_alive()))
    };
    LabSummary {
        name: dir.name().to_string(),
        lifetime: record.as_ref().map(|r| r.lifetime),
        created: record.as_ref().map(|r| r.created),
        orphaned,
        hosts: hosts
            .iter()
            .map(|name| (name.to_string(), is_on(name)))
            .collect(),
    }
}
