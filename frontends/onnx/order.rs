//! The order in which the nodes of a graph can be read, and the outer names a subgraph uses.
use crate::proto::{GraphProto, NodeProto};
use std::collections::{BTreeMap, BTreeSet};

/// The nodes, producers first.
pub(crate) struct Order<'a> {
    /// Those that can be read.
    pub(crate) nodes: Vec<&'a NodeProto>,
    /// Those that wait for each other.
    pub(crate) cyclic: Vec<&'a NodeProto>,
    /// Whether the file had them in another order.
    pub(crate) moved: bool,
}

/// Sorts nodes so that producers come first, those that are ready in the order of the file. Names
/// for which `known` holds need no producer.
pub(crate) fn ordered<'a>(nodes: &'a [NodeProto], known: &dyn Fn(&str) -> bool) -> Order<'a> {
    let mut producers = BTreeMap::new();
    for (i, node) in nodes.iter().enumerate() {
        for name in node.output.iter().filter(|name| !name.is_empty() && !known(name)) {
            producers.entry(name.as_str()).or_insert(i);
        }
    }
    let needs: Vec<BTreeSet<usize>> = nodes
        .iter()
        .map(|node| uses(node).into_iter().filter_map(|name| producers.get(name).copied()).collect())
        .collect();
    if needs.iter().enumerate().all(|(i, needs)| needs.last().is_none_or(|last| *last < i)) {
        return Order { nodes: nodes.iter().collect(), cyclic: Vec::new(), moved: false };
    }
    let sorted = sorted(&needs);
    let ready: BTreeSet<usize> = sorted.iter().copied().collect();
    let left: BTreeSet<usize> = (0..nodes.len()).filter(|i| !ready.contains(i)).collect();
    let cyclic = cores(&needs, left.clone());
    let behind = left.difference(&cyclic);
    Order {
        nodes: sorted.iter().chain(behind).map(|i| &nodes[*i]).collect(),
        cyclic: cyclic.iter().map(|i| &nodes[*i]).collect(),
        moved: true,
    }
}

/// The nodes that do not wait for a cycle, producers first.
fn sorted(needs: &[BTreeSet<usize>]) -> Vec<usize> {
    let mut users = vec![Vec::new(); needs.len()];
    let mut waiting: Vec<usize> = needs.iter().map(BTreeSet::len).collect();
    for (i, needs) in needs.iter().enumerate() {
        needs.iter().for_each(|producer| users[*producer].push(i));
    }
    let mut ready: BTreeSet<usize> = (0..needs.len()).filter(|i| waiting[*i] == 0).collect();
    let mut order = Vec::with_capacity(needs.len());
    while let Some(i) = ready.pop_first() {
        order.push(i);
        for user in &users[i] {
            waiting[*user] -= 1;
            if waiting[*user] == 0 {
                ready.insert(*user);
            }
        }
    }
    order
}

/// Of nodes that wait for a cycle, those that others among them wait for.
fn cores(needs: &[BTreeSet<usize>], mut left: BTreeSet<usize>) -> BTreeSet<usize> {
    let mut users: BTreeMap<usize, usize> = BTreeMap::new();
    for producer in left.iter().flat_map(|i| &needs[*i]) {
        *users.entry(*producer).or_default() += 1;
    }
    let mut unused: Vec<usize> = left.iter().copied().filter(|i| !users.contains_key(i)).collect();
    while let Some(i) = unused.pop() {
        left.remove(&i);
        for producer in &needs[i] {
            if let Some(count) = users.get_mut(producer) {
                *count -= 1;
                if *count == 0 && left.contains(producer) {
                    unused.push(*producer);
                }
            }
        }
    }
    left
}

/// The names a node uses, by itself or in its subgraphs.
fn uses(node: &NodeProto) -> Vec<&str> {
    let mut names: Vec<&str> =
        node.input.iter().map(String::as_str).filter(|name| !name.is_empty()).collect();
    subgraphs(node).for_each(|graph| names.extend(free_names(graph)));
    names
}

/// The nodes that use a name, by themselves or in their subgraphs.
pub(crate) fn readers<'a>(nodes: &'a [NodeProto], name: &str) -> impl Iterator<Item = &'a NodeProto> {
    nodes.iter().filter(move |node| uses(node).contains(&name))
}

/// The nodes that make a name.
pub(crate) fn makers<'a>(nodes: &'a [NodeProto], name: &str) -> impl Iterator<Item = &'a NodeProto> {
    nodes.iter().filter(move |node| node.output.iter().any(|output| output == name))
}

/// The graphs in the attributes of a node.
pub(crate) fn subgraphs(node: &NodeProto) -> impl Iterator<Item = &GraphProto> {
    node.attribute.iter().flat_map(|attribute| attribute.g.iter().chain(&attribute.graphs))
}

/// A graph being searched: the names it defines, and the nodes not looked at yet.
struct Level<'a> {
    defined: BTreeSet<&'a str>,
    nodes: std::slice::Iter<'a, NodeProto>,
    /// The subgraphs of the last node that were not looked at yet, the first one last.
    inner: Vec<&'a GraphProto>,
}

impl<'a> Level<'a> {
    fn of(graph: &'a GraphProto) -> Self {
        let inputs = graph.input.iter().map(|input| input.name());
        let weights = graph.initializer.iter().map(|tensor| tensor.name());
        let results = graph.node.iter().flat_map(|node| node.output.iter().map(String::as_str));
        Self {
            defined: inputs.chain(weights).chain(results).collect(),
            nodes: graph.node.iter(),
            inner: Vec::new(),
        }
    }
}

/// The names that a graph and those inside it use and do not define, in order of first use.
pub(crate) fn free_names(graph: &GraphProto) -> Vec<&str> {
    let mut found = Found::default();
    let mut levels = Vec::new();
    open(graph, &mut levels, &mut found);
    while let Some(level) = levels.last_mut() {
        if let Some(inner) = level.inner.pop() {
            open(inner, &mut levels, &mut found);
        } else if let Some(node) = level.nodes.next() {
            level.inner = subgraphs(node).collect();
            level.inner.reverse();
            node.input.iter().for_each(|name| found.note(name, &levels));
        } else {
            levels.pop();
        }
    }
    found.names
}

/// Puts a graph on top. Its outputs are looked up at once, for they may be outer names.
fn open<'a>(graph: &'a GraphProto, levels: &mut Vec<Level<'a>>, found: &mut Found<'a>) {
    levels.push(Level::of(graph));
    graph.output.iter().for_each(|output| found.note(output.name(), levels));
}

#[derive(Default)]
struct Found<'a> {
    names: Vec<&'a str>,
    seen: BTreeSet<&'a str>,
}

impl<'a> Found<'a> {
    fn note(&mut self, name: &'a str, levels: &[Level<'a>]) {
        let defined = levels.iter().any(|level| level.defined.contains(name));
        if !name.is_empty() && !defined && self.seen.insert(name) {
            self.names.push(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{graph, node, with_graph};

    #[test]
    fn sorted_nodes_stay_where_they_are() {
        let nodes = [node("A", &["x"], &["a"]), node("B", &["a", "a"], &["b"])];
        let order = ordered(&nodes, &|_| false);
        assert!(!order.moved && order.cyclic.is_empty() && order.nodes.len() == 2);
    }

    #[test]
    fn unsorted_nodes_are_sorted_and_cycles_found() {
        let nodes = [
            node("C", &["b"], &["c"]),
            node("A", &["x"], &["a"]),
            node("P", &["q"], &["p"]),
            node("Q", &["p"], &["q"]),
            node("B", &["a"], &["b"]),
            node("D", &["q"], &["d"]),
        ];
        let order = ordered(&nodes, &|_| false);
        let ops = |nodes: &[&NodeProto]| nodes.iter().map(|n| n.op_type()).collect::<String>();
        assert!(order.moved);
        assert_eq!((ops(&order.nodes), ops(&order.cyclic)), ("ABCD".to_string(), "PQ".to_string()));
    }

    #[test]
    fn names_used_inside_subgraphs_are_found() {
        let then = graph(&[], vec![node("A", &["x"], &["t"])], &["t"]);
        let otherwise = graph(&[], vec![node("B", &["t", "y"], &["e"])], &["e", "z"]);
        let inner =
            with_graph(with_graph(node("If", &["c"], &["r"]), "then_branch", then), "else_branch", otherwise);
        let outer = graph(&["c"], vec![inner], &["r"]);
        assert_eq!(free_names(&outer), ["x", "z", "t", "y"]);
    }
}
