//! Where a module can be cut: what must cross each place.
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use weft_ir::{Graph, NodeId, OpSet, Value};

/// How much more may cross a cut than crosses one of its neighbours.
const SLACK: u64 = 2;
/// A segment with weights of more bytes is cut even where much crosses.
const HEAVY: u64 = 64 << 20;

/// The values of a graph by how many nodes at least lie before them. Inputs, and what depends on
/// none, are of level 0.
pub(super) struct Flow<'g> {
    pub(super) graph: &'g Graph,
    levels: BTreeMap<NodeId, usize>,
    /// What may be carried from one segment to a later one: how large it is, and the last level at
    /// which it is needed.
    carried: BTreeMap<Value, (u64, usize)>,
    /// How many layers with weights there are at each level.
    layers: Vec<usize>,
    /// The bytes of these weights.
    weights: Vec<u64>,
    /// Whether every node gives the same whenever it is run.
    pure: bool,
}

impl<'g> Flow<'g> {
    pub(super) fn new(
        graph: &'g Graph,
        ops: &OpSet,
        groups: &[Vec<Value>],
        bytes: &dyn Fn(Value) -> Option<u64>,
    ) -> Self {
        let order = wanted(graph, groups);
        let levels = levels(graph, &order);
        let pure = |id: &NodeId| ops.get(graph.node(*id).op.as_str()).is_some_and(|def| def.traits.pure);
        let highest = levels.values().max().map_or(0, |level| *level);
        let mut flow = Self {
            graph,
            layers: vec![0; highest + 1],
            weights: vec![0; highest + 1],
            pure: order.iter().all(pure),
            levels,
            carried: BTreeMap::new(),
        };
        for id in order.iter().filter(|id| flow.levels.contains_key(*id)) {
            let weight = |v: &Value| flow.is_constant(*v) && graph.ty(*v).rank().is_none_or(|rank| rank > 1);
            let weights: Vec<Value> = graph.operands(*id).into_iter().flatten().filter(weight).collect();
            if !weights.is_empty() {
                let (level, own) = (flow.levels[id], weights.into_iter().filter_map(bytes));
                flow.layers[level] += 1;
                flow.weights[level] = own.fold(flow.weights[level], u64::saturating_add);
            }
        }
        flow.carried = flow.needed(&order, groups, bytes);
        flow
    }

    /// Whether a value depends on no input.
    fn is_constant(&self, value: Value) -> bool {
        !self.graph.is_input(value) && !self.levels.contains_key(&value.node)
    }

    /// The level of a value.
    pub(super) fn level(&self, value: Value) -> usize {
        self.levels.get(&value.node).copied().unwrap_or_default()
    }

    /// The level of a group: that of its last value.
    pub(super) fn level_of(&self, group: &[Value]) -> usize {
        group.iter().map(|value| self.level(*value)).max().unwrap_or_default()
    }

    /// Whether a value goes from one segment to later ones; others are computed again.
    pub(super) fn is_carried(&self, value: Value) -> bool {
        self.carried.contains_key(&value)
    }

    /// What is made up to a level and needed behind it.
    pub(super) fn crossing(&self, level: usize) -> impl Iterator<Item = Value> {
        let crosses = move |(value, (_, until)): &(&Value, &(u64, usize))| {
            self.level(**value) <= level && *until > level
        };
        self.carried.iter().filter(crosses).map(|(value, _)| *value)
    }

    /// Floats that depend on inputs and are at most so large, with the last level that needs them.
    fn needed(
        &self,
        order: &[NodeId],
        groups: &[Vec<Value>],
        bytes: &dyn Fn(Value) -> Option<u64>,
    ) -> BTreeMap<Value, (u64, usize)> {
        let mut until: BTreeMap<Value, usize> = BTreeMap::new();
        for group in groups {
            group.iter().for_each(|value| later(&mut until, *value, self.level_of(group)));
        }
        let size = |v: Value| bytes(v).filter(|_| self.graph.ty(v).dtype.is_float());
        let mut found = BTreeMap::new();
        for id in order.iter().rev().filter(|id| self.levels.contains_key(*id)) {
            // What is computed again where it is needed needs its operands there.
            let mut last = self.levels[id];
            for slot in 0..self.graph.node(*id).results.len() as u32 {
                let value = Value { node: *id, slot };
                let level = until.get(&value).copied().unwrap_or_default();
                match size(value) {
                    Some(size) => found.extend([(value, (size, level))]),
                    None => last = last.max(level),
                }
            }
            self.graph.operands(*id).into_iter().flatten().for_each(|v| later(&mut until, v, last));
        }
        found
    }

    /// The levels of each segment.
    pub(super) fn ranges(&self) -> Vec<Range<usize>> {
        let end = self.layers.len() - 1;
        if !self.pure {
            return std::iter::once(0..end + 1).collect();
        }
        let (mut cuts, mut open) = (BTreeSet::new(), vec![((0, end), u64::MAX)]);
        let sizes: Vec<u64> = (0..=end).map(|level| self.size(level)).collect();
        while let Some((levels, most)) = open.pop() {
            let Some(found) = self.cut(levels, most, &sizes) else { continue };
            let most = sizes[found[0]].saturating_mul(SLACK).saturating_sub(1);
            let starts = std::iter::once(levels.0).chain(found.iter().copied());
            open.extend(starts.zip(found.iter().copied().chain([levels.1])).map(|levels| (levels, most)));
            cuts.extend(found);
        }
        let starts = std::iter::once(0).chain(cuts.iter().map(|level| level + 1));
        starts.zip(cuts.iter().copied().chain([end]).map(|level| level + 1)).map(|(a, b)| a..b).collect()
    }

    /// Bytes that cross the place behind a level.
    fn size(&self, level: usize) -> u64 {
        self.crossing(level).map(|value| self.carried[&value].0).fold(0, u64::saturating_add)
    }

    /// Where to cut the levels `first + 1..=last`: where the least crosses, unless that is more than `most` and there
    /// are few weights.
    fn cut(&self, (first, last): (usize, usize), most: u64, sizes: &[u64]) -> Option<Vec<usize>> {
        let layers = |levels: Range<usize>| self.layers[levels].iter().sum::<usize>() > 0;
        let places: Vec<usize> = (first + 1..last)
            .filter(|place| layers(first + 1..place + 1) && layers(place + 1..last + 1))
            .collect();
        let weights = &self.weights[first + 1..=last];
        let heavy = weights.iter().fold(0, |sum: u64, own| sum.saturating_add(*own)) > HEAVY;
        let least = places.iter().map(|place| sizes[*place]).min()?;
        let narrow: Vec<usize> = places.into_iter().filter(|place| sizes[*place] == least).collect();
        // Of places without a layer between them the last, so that what follows a layer stays with it.
        let kept = |at: &usize| narrow.get(at + 1).is_none_or(|next| layers(narrow[*at] + 1..next + 1));
        let kept = (0..narrow.len()).filter(kept).map(|at| narrow[at]);
        (heavy || least <= most).then(|| kept.collect())
    }
}

/// Notes that a value is needed at a level.
fn later(until: &mut BTreeMap<Value, usize>, value: Value, level: usize) {
    let last = until.entry(value).or_default();
    *last = level.max(*last);
}

/// The nodes that some values need, producers first.
fn wanted(graph: &Graph, groups: &[Vec<Value>]) -> Vec<NodeId> {
    let mut open: Vec<NodeId> = groups.iter().flatten().map(|value| value.node).collect();
    let mut found = BTreeSet::new();
    while let Some(id) = open.pop() {
        if found.insert(id) {
            open.extend(graph.producers(id));
        }
    }
    graph.order().into_iter().filter(|id| found.contains(id)).collect()
}

/// The levels of the nodes that depend on an input.
fn levels(graph: &Graph, order: &[NodeId]) -> BTreeMap<NodeId, usize> {
    let mut levels: BTreeMap<NodeId, usize> = BTreeMap::new();
    for id in order {
        let level = |v: Value| if graph.is_input(v) { Some(0) } else { levels.get(&v.node).copied() };
        let before = graph.operands(*id).into_iter().flatten().filter_map(level).max();
        levels.extend(before.map(|before| (*id, before + 1)));
    }
    levels
}
