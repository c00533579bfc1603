//! Fresh names for new values, without a walk over the graph for each.
use std::collections::{BTreeMap, BTreeSet};
use weft_ir::Graph;

/// The names of one graph.
pub(crate) struct Names {
    taken: BTreeSet<String>,
    next: BTreeMap<String, u32>,
}

impl Names {
    /// The names a graph has now.
    pub(crate) fn of(graph: &Graph) -> Self {
        let inputs = graph.inputs().iter().copied();
        let nodes = graph.nodes().chain(inputs).flat_map(|id| &graph.node(id).results);
        Self { taken: nodes.map(|r| r.name.clone()).collect(), next: BTreeMap::new() }
    }

    /// A name not taken yet: `stem`, `stem~1`, `stem~2` and so on; it is taken from now on.
    pub(crate) fn fresh(&mut self, stem: &str) -> String {
        let stem = stem.rsplit_once('~').map_or(stem, |(head, tail)| match tail.parse::<u32>() {
            Ok(_) => head,
            Err(_) => stem,
        });
        if self.taken.insert(stem.to_string()) {
            return stem.to_string();
        }
        let next = self.next.entry(stem.to_string()).or_insert(1);
        loop {
            let name = format!("{stem}~{next}");
            *next += 1;
            if self.taken.insert(name.clone()) {
                return name;
            }
        }
    }
}
