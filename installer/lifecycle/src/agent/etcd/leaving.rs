//! Whether a control plane that is reset may leave etcd, and leaving it. Judged from what any member that answers says;
//! a member that is only stopped still counts for the majority.

use super::{DATA, HERE, MANIFEST, Member, ask_at, flag, members_at, serves};
use crate::paths;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

/// Where every node has the API servers of all control planes on record.
const BALANCER: &str = "/etc/kubernetes/load-balancer/haproxy.cfg";
/// The port on which members serve clients.
const CLIENTS: u16 = 2379;

/// How much of a cluster is reset by one command.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extent {
    /// The control planes that the command names.
    pub reset: BTreeSet<String>,
    /// All control planes of cluster.yaml, which may be an old one.
    pub control_planes: BTreeMap<String, IpAddr>,
}

/// What was found out about etcd before a control plane leaves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// Whether the host has data of a member.
    pub data: bool,
    /// The members with whether each serves, as one that answers tells them; none where nobody answers.
    pub members: Option<Vec<(Member, bool)>>,
    /// Control planes that the records of the host and cluster.yaml name.
    pub on_record: BTreeSet<String>,
}

impl Found {
    /// All members that are known by name.
    pub fn names(&self) -> BTreeSet<String> {
        let Some(members) = &self.members else {
            return self.on_record.clone();
        };
        let names = members.iter().map(|(member, _)| member.name.clone());
        // One that was never started has no name, and no data.
        names.filter(|name| !name.is_empty()).collect()
    }
}

/// What is done about the member of a control plane that is reset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// There is none, or the whole cluster is given up.
    Nothing,
    /// It is taken out first.
    Leave,
}

/// Whether the control plane `node` may be reset, and whether it leaves etcd first.
///
/// # Errors
/// When the cluster would lose its data, or nobody can say that it would not.
pub fn judge(node: &str, extent: &Extent, found: &Found) -> Result<Way, String> {
    let names = found.names();
    let given_up = names.is_subset(&extent.reset);
    let Some(members) = &found.members else {
        if given_up || !found.data {
            return Ok(Way::Nothing);
        }
        return Err(format!(
            "etcd has data on this host and does not answer, and no other member of {all} answers either: without {node}, the cluster's data may be out of reach. Nothing was touched; start etcd again on one of them first, or give up the whole cluster by naming all of them in one command: ingot node reset {command}",
            all = list(&names, ", "),
            command = list(&names, " "),
        ));
    };
    if given_up || !names.contains(node) {
        return Ok(Way::Nothing);
    }
    may_leave(node, members).map(|()| Way::Leave)
}

fn list(names: &BTreeSet<String>, between: &str) -> String {
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    names.join(between)
}

/// Whether etcd keeps a majority without the member `name`.
fn may_leave(name: &str, all: &[(Member, bool)]) -> Result<(), String> {
    let others: Vec<&(Member, bool)> = all
        .iter()
        .filter(|(member, _)| member.name != name && !member.learner)
        .collect();
    let away: Vec<&str> = others
        .iter()
        .filter(|(_, serves)| !serves)
        .map(|(member, _)| match member.name.as_str() {
            "" => "a member that was never started",
            name => name,
        })
        .collect();
    // The removal itself needs a majority of all, and what is left one of its own.
    let majority = others.len() / 2 + 1;
    match others.len() - away.len() >= majority {
        true => Ok(()),
        false => Err(format!(
            "without {name}, etcd would have {} of {} members, and needs {majority}: {} does not answer. The cluster's data would be out of reach. Nothing was touched; bring that member back or replace it first",
            others.len() - away.len(),
            others.len(),
            away.join(", ")
        )),
    }
}

/// Finds out what [`judge`] needs: the member on this host is asked, and where it does not answer, the others.
pub async fn find(control_planes: &BTreeMap<String, IpAddr>) -> Found {
    let manifest = std::fs::read_to_string(MANIFEST).unwrap_or_default();
    let balancer = std::fs::read_to_string(BALANCER).unwrap_or_default();
    let mut known = on_record(&flag(&manifest, "initial-cluster"), &balancer);
    known.extend(control_planes.iter().map(|(name, at)| (name.clone(), *at)));
    let mut urls = vec![HERE.to_owned()];
    urls.extend(known.iter().map(|(_, address)| url(*address)));
    urls.sort();
    urls.dedup();
    // At once: a host that is gone costs ten seconds.
    let mut asked: futures::stream::FuturesUnordered<_> =
        urls.iter().map(|url| members_at(url)).collect();
    let mut members = None;
    while let Some(answer) = futures::StreamExt::next(&mut asked).await {
        if let Ok(all) = answer {
            let serving = futures::future::join_all(all.iter().map(serves)).await;
            members = Some(all.into_iter().zip(serving).collect());
            break;
        }
    }
    Found {
        data: data(),
        members,
        on_record: known.into_iter().map(|(name, _)| name).collect(),
    }
}

/// Whether this host has, or may have, a member of etcd.
pub fn concerns_this_host() -> bool {
    data() || Path::new(MANIFEST).exists()
}

/// Data without the certificates of a member is what an earlier reset could not delete.
fn data() -> bool {
    let certificate = Path::new(paths::PKI).join("etcd/peer.crt");
    Path::new(DATA).exists() && certificate.exists()
}

/// Names and addresses in `--initial-cluster` and in the configuration of the load balancer.
fn on_record(initial_cluster: &str, balancer: &str) -> Vec<(String, IpAddr)> {
    let members = initial_cluster.split(',').filter_map(|member| {
        let (name, url) = member.split_once('=')?;
        Some((name, url.split_once("://")?.1))
    });
    let servers = balancer.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        (words.next() == Some("server")).then(|| Some((words.next()?, words.next()?)))?
    });
    members
        .chain(servers)
        .filter_map(|(name, at)| Some((name.to_owned(), at.parse::<SocketAddr>().ok()?.ip())))
        .collect()
}

fn url(address: IpAddr) -> String {
    format!("https://{}", SocketAddr::new(address, CLIENTS))
}

/// Takes the member `name`, on this host, out of etcd.
///
/// # Errors
/// When no other member answers, or etcd refuses: nothing was changed then.
pub async fn leave(name: &str, found: &Found) -> Result<(), String> {
    let members = found.members.iter().flatten();
    let Some(own) = members.clone().find(|(member, _)| member.name == name) else {
        return Ok(());
    };
    // A member that is removed ends at once, before it could answer: another one is asked.
    let mut said = None;
    for (other, serves) in members {
        let Some(url) = other
            .client_url()
            .filter(|_| *serves && other.id != own.0.id)
        else {
            continue;
        };
        match ask_at(url, "/v3/cluster/member/remove", &json!({ "ID": own.0.id })).await {
            Ok(_) => return Ok(()),
            Err(reason) => said = Some(format!("{}: {reason}", other.name)),
        }
    }
    Err(said.unwrap_or_else(|| "no other member of etcd answers".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(all: &[&str]) -> BTreeSet<String> {
        all.iter().map(ToString::to_string).collect()
    }

    fn extent(reset: &[&str]) -> Extent {
        Extent {
            reset: names(reset),
            control_planes: BTreeMap::new(),
        }
    }

    /// Members with whether each serves, as one of them tells.
    fn told(all: &[(&str, bool)]) -> Found {
        let member = |(name, serves): &(&str, bool)| {
            let member = Member {
                name: (*name).into(),
                ..Member::default()
            };
            (member, *serves)
        };
        Found {
            data: true,
            members: Some(all.iter().map(member).collect()),
            on_record: BTreeSet::new(),
        }
    }

    #[test]
    fn the_last_member_may_go_and_one_beside_a_lost_one_may_not() {
        let alone = told(&[("a", true)]);
        assert_eq!(judge("a", &extent(&["a"]), &alone), Ok(Way::Nothing));
        let well = told(&[("a", true), ("b", true), ("c", true)]);
        assert_eq!(judge("a", &extent(&["a"]), &well), Ok(Way::Leave));
        // Its own is only stopped, and it is one of the others that tells.
        let stopped = told(&[("a", false), ("b", true), ("c", true)]);
        assert_eq!(judge("a", &extent(&["a"]), &stopped), Ok(Way::Leave));
        let lost = told(&[("a", true), ("b", true), ("c", false)]);
        let reason = judge("a", &extent(&["a"]), &lost).unwrap_err();
        assert!(
            reason.starts_with(
                "without a, etcd would have 1 of 2 members, and needs 2: c does not answer"
            ),
            "{reason}"
        );
        let gone = told(&[("b", true), ("c", true)]);
        assert_eq!(judge("a", &extent(&["a"]), &gone), Ok(Way::Nothing));
    }

    #[test]
    fn a_member_that_is_only_stopped_may_not_go_while_nobody_answers() {
        let silent = Found {
            data: true,
            members: None,
            on_record: names(&["a", "b", "c"]),
        };
        let reason = judge("b", &extent(&["b"]), &silent).unwrap_err();
        for words in ["does not answer", "Nothing was touched", "reset a b c"] {
            assert!(reason.contains(words), "{reason}");
        }
        let never_started = Found {
            data: false,
            ..silent.clone()
        };
        assert_eq!(
            judge("b", &extent(&["b"]), &never_started),
            Ok(Way::Nothing)
        );
        let all = extent(&["a", "b", "c"]);
        assert_eq!(judge("b", &all, &silent), Ok(Way::Nothing));
    }

    #[test]
    fn some_control_planes_are_not_the_whole_whatever_cluster_yaml_names() {
        let mut old = extent(&["a", "b"]);
        for (name, address) in [("a", "10.0.0.1"), ("b", "10.0.0.2")] {
            let address = address.parse().unwrap();
            old.control_planes.insert(name.into(), address);
        }
        let three = told(&[("a", true), ("b", true), ("c", true)]);
        assert_eq!(judge("a", &old, &three), Ok(Way::Leave));
        let two = told(&[("b", true), ("c", false)]);
        assert!(judge("b", &old, &two).is_err(), "c has the only other vote");
        let silent = Found {
            data: true,
            members: None,
            on_record: names(&["a", "b", "c"]),
        };
        assert!(judge("a", &old, &silent).is_err());
        let all = extent(&["a", "b", "c", "d"]);
        assert_eq!(judge("a", &all, &three), Ok(Way::Nothing));
    }

    #[test]
    fn members_are_read_from_the_records_of_the_host() {
        let initial = "a=https://10.0.0.1:2380,b=https://[fd00::2]:2380";
        let balancer = "backend api-servers\n    default-server check\n    server c 10.0.0.3:6443 weight 200\n";
        let found = on_record(initial, balancer);
        let at = |text: &str| -> IpAddr { text.parse().unwrap() };
        assert_eq!(
            found,
            [
                ("a".to_owned(), at("10.0.0.1")),
                ("b".to_owned(), at("fd00::2")),
                ("c".to_owned(), at("10.0.0.3"))
            ]
        );
        assert_eq!(on_record("", ""), []);
        assert_eq!(url(at("fd00::2")), "https://[fd00::2]:2379");
    }
}
