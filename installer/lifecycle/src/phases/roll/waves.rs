//! Which nodes are changed together. Pure.

use ingot_cluster::Cluster;
use std::collections::BTreeSet;

/// One in so many workers may be away at a time; at least one.
const SHARE: usize = 10;

/// The waves for the nodes `changed`, in order: control planes one by one, then one worker, then a tenth of all
/// workers at a time. Nodes that are not well come first: nothing is lost on them, and the others may need them.
pub(super) fn of(
    cluster: &Cluster,
    changed: &BTreeSet<String>,
    unwell: &BTreeSet<String>,
) -> Vec<Vec<String>> {
    let names = |control_planes: bool| {
        let mut names: Vec<String> = cluster
            .nodes
            .iter()
            .filter(|node| node.is_control_plane() == control_planes)
            .map(|node| node.name.to_string())
            .filter(|name| changed.contains(name))
            .collect();
        names.sort_by_key(|name| !unwell.contains(name));
        names
    };
    let mut waves: Vec<Vec<String>> = names(true).into_iter().map(|name| vec![name]).collect();
    let mut workers = names(false).into_iter();
    waves.extend(workers.next().map(|canary| vec![canary]));
    let all = cluster
        .nodes
        .iter()
        .filter(|node| !node.is_control_plane())
        .count();
    let size = (all / SHARE).max(1);
    let rest: Vec<String> = workers.collect();
    waves.extend(rest.chunks(size).map(<[String]>::to_vec));
    waves
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster(control_planes: usize, workers: usize) -> Cluster {
        let mut yaml = String::from(
            "apiVersion: ingot.dev/v1alpha1\nkind: Cluster\nmetadata: { name: c }\nspec:\n  nodes:\n",
        );
        for number in 0..control_planes + workers {
            let (name, role) = match number < control_planes {
                true => (format!("cp-{number}"), "control-plane"),
                false => (format!("w-{}", number - control_planes), "worker"),
            };
            yaml += &format!(
                "    - {{ name: {name}, address: 10.0.{}.{}, roles: [{role}] }}\n",
                number / 200,
                number % 200 + 1
            );
        }
        ingot_cluster::load("cluster.yaml", &yaml, &ingot_cluster::RealFiles)
            .expect("a cluster")
            .cluster
    }

    fn waves(cluster: &Cluster, unwell: &[&str]) -> Vec<Vec<String>> {
        let changed = cluster
            .nodes
            .iter()
            .map(|node| node.name.to_string())
            .collect();
        of(
            cluster,
            &changed,
            &unwell.iter().map(ToString::to_string).collect(),
        )
    }

    #[test]
    fn control_planes_go_one_by_one_then_a_canary_then_a_tenth() {
        let sizes: Vec<usize> = waves(&cluster(3, 35), &[]).iter().map(Vec::len).collect();
        let mut wanted = vec![1, 1, 1, 1];
        wanted.extend([3; 11]);
        wanted.push(1);
        assert_eq!(sizes, wanted);
    }

    #[test]
    fn what_is_not_well_goes_first_and_only_what_changes_goes() {
        let cluster = cluster(3, 2);
        let all = waves(&cluster, &["cp-2", "w-1"]);
        assert_eq!(all.concat(), ["cp-2", "cp-0", "cp-1", "w-1", "w-0"]);
        let one = BTreeSet::from(["w-1".to_owned()]);
        assert_eq!(of(&cluster, &one, &BTreeSet::new()), [["w-1"]]);
        assert!(of(&cluster, &BTreeSet::new(), &BTreeSet::new()).is_empty());
    }
}
