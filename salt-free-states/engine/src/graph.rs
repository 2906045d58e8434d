//! The order of resources: requisites resolved to a directed acyclic graph.
//!
//! Pure. Resources without a path between them may be applied at the same time.

use crate::document::{Declared, Origin};
use std::collections::BTreeMap;

/// The requisites of a set of states do not form an order.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum GraphError {
    /// Two resources share an id.
    #[error("{second}: the id `{id}` is already used at {first}; give one of them another id")]
    Duplicate {
        /// The id.
        id: String,
        /// Where it stands first.
        first: Origin,
        /// Where it stands again.
        second: Origin,
    },
    /// Two resources manage the same thing.
    #[error("{second}: {target} is already managed by `{owner}` at {first}; describe it once")]
    SameTarget {
        /// What both manage, e.g. `file /etc/hosts`.
        target: String,
        /// The id of the first.
        owner: String,
        /// Where the first stands.
        first: Origin,
        /// Where the second stands.
        second: Origin,
    },
    /// A requisite names a resource that no loaded state has.
    #[error("{origin}: `{id}` needs `{missing}`, which no loaded state declares{hint}")]
    Unknown {
        /// Where the requisite stands.
        origin: Origin,
        /// The resource that has it.
        id: String,
        /// The id it names.
        missing: String,
        /// `; did you mean ...`, or empty.
        hint: String,
    },
    /// Resources wait for each other in a circle.
    #[error("{origin}: these resources wait for each other: {cycle}; remove one of the requisites")]
    Cycle {
        /// Where the first of them stands.
        origin: Origin,
        /// `a -> b -> a`.
        cycle: String,
    },
}

/// Resources and, for each, the positions of those that come before it.
#[derive(Debug, Clone)]
pub struct Graph {
    /// In an order that satisfies every requisite; ties keep the order of declaration.
    pub nodes: Vec<Node>,
}

/// One resource in the graph.
#[derive(Debug, Clone)]
pub struct Node {
    /// The resource.
    pub declared: Declared,
    /// Positions in [`Graph::nodes`] that must hold before.
    pub after: Vec<usize>,
    /// Positions whose change makes this one react.
    pub watch: Vec<usize>,
    /// Positions one of which must have changed for this one to be applied; empty: always.
    pub onchanges: Vec<usize>,
}

impl Graph {
    /// Resolves the requisites of `declared`.
    ///
    /// # Errors
    /// Every mistake there is, in order of declaration; a cycle only when there is no other.
    pub fn resolve(declared: Vec<Declared>) -> Result<Self, Vec<GraphError>> {
        let mut errors = Vec::new();
        let mut position = BTreeMap::new();
        let mut targets: BTreeMap<String, usize> = BTreeMap::new();
        for (index, item) in declared.iter().enumerate() {
            if let Some(&first) = position.get(item.id.as_str()) {
                let first: &Declared = &declared[first];
                errors.push(GraphError::Duplicate {
                    id: item.id.clone(),
                    first: first.origin.clone(),
                    second: item.origin.clone(),
                });
                continue;
            }
            position.insert(item.id.as_str(), index);
            let target = item.resource.target();
            if let Some(&first) = targets.get(&target) {
                errors.push(GraphError::SameTarget {
                    target,
                    owner: declared[first].id.clone(),
                    first: declared[first].origin.clone(),
                    second: item.origin.clone(),
                });
            } else {
                targets.insert(target, index);
            }
        }
        let mut edges: Vec<[Vec<usize>; 3]> = Vec::with_capacity(declared.len());
        for item in &declared {
            edges.push([&item.require, &item.watch, &item.onchanges].map(|names| {
                names
                    .iter()
                    .filter_map(|name| {
                        let found = position.get(name.as_str()).copied();
                        if found.is_none() {
                            errors.push(GraphError::Unknown {
                                origin: item.origin.clone(),
                                id: item.id.clone(),
                                missing: name.clone(),
                                hint: hint(name, position.keys().copied()),
                            });
                        }
                        found
                    })
                    .collect()
            }));
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let before: Vec<Vec<usize>> = edges.iter().map(|e| e.concat()).collect();
        let order = sort(&before).map_err(|cycle| {
            let names: Vec<&str> = cycle.iter().map(|&n| declared[n].id.as_str()).collect();
            vec![GraphError::Cycle {
                origin: declared[cycle[0]].origin.clone(),
                cycle: names.join(" -> "),
            }]
        })?;
        let mut place = vec![0; order.len()];
        for (new, &old) in order.iter().enumerate() {
            place[old] = new;
        }
        let moved = |list: &[usize]| list.iter().map(|&old| place[old]).collect::<Vec<_>>();
        let mut declared: Vec<Option<Declared>> = declared.into_iter().map(Some).collect();
        let nodes = order
            .iter()
            .filter_map(|&old| {
                Some(Node {
                    declared: declared[old].take()?,
                    after: moved(&before[old]),
                    watch: moved(&edges[old][1]),
                    onchanges: moved(&edges[old][2]),
                })
            })
            .collect();
        Ok(Self { nodes })
    }
}

/// Topological order, or the positions along one cycle (first repeated at the end).
fn sort(before: &[Vec<usize>]) -> Result<Vec<usize>, Vec<usize>> {
    #[derive(Clone, Copy, PartialEq)]
    enum Mark {
        New,
        Open,
        Done,
    }
    fn visit(
        node: usize,
        before: &[Vec<usize>],
        marks: &mut [Mark],
        path: &mut Vec<usize>,
        order: &mut Vec<usize>,
    ) -> Result<(), Vec<usize>> {
        match marks[node] {
            Mark::Done => return Ok(()),
            Mark::Open => {
                let start = path.iter().position(|&n| n == node).unwrap_or(0);
                let mut cycle = path[start..].to_vec();
                cycle.push(node);
                return Err(cycle);
            }
            Mark::New => {}
        }
        marks[node] = Mark::Open;
        path.push(node);
        for &earlier in &before[node] {
            visit(earlier, before, marks, path, order)?;
        }
        path.pop();
        marks[node] = Mark::Done;
        order.push(node);
        Ok(())
    }
    let mut marks = vec![Mark::New; before.len()];
    let mut order = Vec::with_capacity(before.len());
    for node in 0..before.len() {
        visit(node, before, &mut marks, &mut Vec::new(), &mut order)?;
    }
    Ok(order)
}

/// Names the declared id that shares the longest beginning or the whole last part.
fn hint<'a>(missing: &str, known: impl Iterator<Item = &'a str>) -> String {
    let last = missing.rsplit('/').next().unwrap_or(missing);
    let mut best: Option<(usize, &str)> = None;
    for id in known {
        let name = id.rsplit('/').next().unwrap_or(id);
        let shared = name
            .chars()
            .zip(last.chars())
            .take_while(|(a, b)| a == b)
            .count();
        let score = if name == last { 100 } else { shared };
        if score >= 3 && best.is_none_or(|(s, _)| score > s) {
            best = Some((score, id));
        }
    }
    best.map_or(String::new(), |(_, id)| format!("; did you mean `{id}`?"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Catalog;
    use crate::document::load;
    use serde_json::json;

    fn resolve(document: &str) -> Result<Vec<String>, Vec<String>> {
        let catalog = Catalog::from_files([("s/state.yaml", document)]);
        let declared = load(&catalog, &["s".into()], &json!({})).unwrap();
        Graph::resolve(declared)
            .map(|g| g.nodes.into_iter().map(|n| n.declared.id).collect())
            .map_err(|errors| errors.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn requisites_come_first_and_ties_keep_their_order() {
        let order = resolve(
            "resources:\n  - id: c\n    directory: {path: /c}\n    require: [a]\n  - id: b\n    directory: {path: /b}\n  - id: a\n    directory: {path: /a}\n",
        );
        assert_eq!(order.unwrap(), ["s/a", "s/c", "s/b"]);
    }

    #[test]
    fn mistakes_are_named_with_their_place_and_all_at_once() {
        let errors = resolve(
            "resources:\n  - id: conf\n    directory: {path: /c}\n    require: [config]\n  - id: conf\n    directory: {path: /d}\n  - id: e\n    directory: {path: /c}\n",
        )
        .unwrap_err();
        assert_eq!(
            errors,
            [
                "s/state.yaml:5: the id `s/conf` is already used at s/state.yaml:2; give one of them another id",
                "s/state.yaml:7: directory /c is already managed by `s/conf` at s/state.yaml:2; describe it once",
                "s/state.yaml:2: `s/conf` needs `s/config`, which no loaded state declares; did you mean `s/conf`?",
            ]
        );
    }

    #[test]
    fn a_cycle_is_spelled_out() {
        let errors = resolve(
            "resources:\n  - id: a\n    directory: {path: /a}\n    require: [b]\n  - id: b\n    directory: {path: /b}\n    watch: [a]\n",
        )
        .unwrap_err();
        assert_eq!(
            errors,
            [
                "s/state.yaml:2: these resources wait for each other: s/a -> s/b -> s/a; remove one of the requisites"
            ]
        );
    }
}
