//! Whose node a host is, before anything is erased on it. Reads only.

use super::prepared::Prepared;
use super::reset::files;
use crate::facts::Membership;
use crate::paths;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// What tells whose node a host is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Belonging {
    /// Cluster and node of a finished installation, or of one that has begun.
    pub node: Option<(String, String)>,
    /// Whether there is a journal of changes to take back.
    pub journal: bool,
    /// Directories that a reset empties and that hold something.
    pub occupied: Vec<String>,
}

impl Belonging {
    /// Whether nothing tells that this program ever changed the host: what runs and lies on it is then none of ours.
    pub fn is_bare(&self) -> bool {
        self.node.is_none() && !self.journal
    }
}

/// Whether a host may be reset as the node of a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is that node, or it is bare.
    Granted,
    /// It is not, for the reason given, with what to do.
    Refused(String),
}

/// What this host says of itself.
///
/// # Errors
/// In words, when a record is there and cannot be read.
pub fn of_this_host() -> Result<Belonging, String> {
    let member = super::gather::membership();
    if member.is_none() && Path::new(paths::MEMBERSHIP).exists() {
        return Err(format!("cannot read {}", paths::MEMBERSHIP));
    }
    let prepared = Prepared::read()?.map(|record| (record.cluster, record.node));
    let of = |member: Membership| (member.cluster, member.node);
    Ok(Belonging {
        node: member.map(of).or(prepared),
        journal: Path::new(paths::JOURNAL).exists(),
        occupied: files::occupied(Path::new("/")),
    })
}

/// Judges what a host says of itself.
pub fn judge(cluster: &str, node: &str, found: &Belonging) -> Verdict {
    let refused = match &found.node {
        Some((other, name)) if other != cluster => format!(
            "this host is the node `{name}` of the cluster `{other}`, not of `{cluster}`; nothing was touched. Check its address in cluster.yaml, or reset it with the cluster.yaml of `{other}`"
        ),
        Some((_, other)) if other != node => format!(
            "this host is the node `{other}` of this cluster, not `{node}`; nothing was touched. Check its address in cluster.yaml, or reset `{other}`"
        ),
        None if found.is_bare() && !found.occupied.is_empty() => format!(
            "this host was not installed by this program (it has no journal in {}), and {} hold data of something else; nothing was touched. Check its address in cluster.yaml",
            paths::JOURNAL,
            found.occupied.join(", ")
        ),
        _ => return Verdict::Granted,
    };
    Verdict::Refused(refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn belonging(node: Option<(&str, &str)>, journal: bool, occupied: &[&str]) -> Belonging {
        Belonging {
            node: node.map(|(cluster, node)| (cluster.into(), node.into())),
            journal,
            occupied: occupied.iter().map(ToString::to_string).collect(),
        }
    }

    fn verdict(node: Option<(&str, &str)>, journal: bool, occupied: &[&str]) -> Verdict {
        judge("site", "worker-1", &belonging(node, journal, occupied))
    }

    #[test]
    fn a_record_or_a_journal_makes_a_host_one_of_ours() {
        assert!(belonging(None, false, &[]).is_bare());
        assert!(!belonging(None, true, &[]).is_bare());
        assert!(!belonging(Some(("site", "worker-1")), false, &[]).is_bare());
    }

    #[test]
    fn the_node_itself_half_made_and_bare_hosts_may_be_reset() {
        let full = ["/var/lib/etcd"];
        assert_eq!(
            verdict(Some(("site", "worker-1")), true, &full),
            Verdict::Granted
        );
        // Made by a program that kept no record before the end.
        assert_eq!(verdict(None, true, &full), Verdict::Granted);
        assert_eq!(verdict(None, false, &[]), Verdict::Granted);
    }

    #[test]
    fn other_nodes_other_clusters_and_hosts_of_others_are_refused() {
        for (node, journal, words) in [
            (
                Some(("other", "worker-1")),
                true,
                "of the cluster `other`, not of `site`",
            ),
            (
                Some(("site", "worker-2")),
                true,
                "the node `worker-2` of this cluster, not `worker-1`",
            ),
            (None, false, "and /var/lib/etcd hold data of something else"),
        ] {
            let Verdict::Refused(reason) = verdict(node, journal, &["/var/lib/etcd"]) else {
                panic!("{node:?} was granted");
            };
            assert!(
                reason.contains(words) && reason.contains("nothing was touched"),
                "{reason}"
            );
        }
    }
}
