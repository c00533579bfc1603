//! What may stay lazy: decides which tensors share a kernel.
use super::anchor::ANYWHERE;
use super::narrow::stays_narrow;
use super::{Handle, Lowering, State, elementwise, row};
use crate::term::{Term, TermId};
use std::collections::BTreeSet;
use weft_ir::{Dim, Graph, NodeId, Value};

/// A kernel computes at most this many terms; longer chains are cut.
const MAX_TERMS: usize = 96;
/// Terms of an operation that is done again rather than stored: itself, two loads and a conversion.
const SPREAD_TERMS: usize = 4;
/// How often what it reads is repeated at least.
const REPEATED: i64 = 4;
/// How many nodes are followed to find where the uses of a value meet.
const MAX_REGION: usize = 24;

impl Lowering<'_> {
    /// Records the tensor of a value, and forces it now unless all its consumers can share a kernel.
    pub(crate) fn settle(&mut self, graph: &Graph, value: Value, handle: Handle) {
        self.scope().values.insert(value, handle);
        let State::Lazy(term, anchor) = *self.state(handle) else { return };
        let coded = self.stays_coded(graph, value, handle) || self.stays_quantised(graph, value, handle);
        if coded || stays_narrow(graph, value) || self.is_joined(graph, value, handle) {
            return;
        }
        let few = anchor.is_none() && self.terms.reachable(&[term]).len() <= SPREAD_TERMS;
        if (few && spreads(graph, value)) || graph.node(value.node).op == "Const" {
            return;
        }
        if graph.node(value.node).op == "QuantizeLinear" {
            return self.force_at(graph, value, handle);
        }
        let joint = self.joint(graph, value, handle, anchor.is_some());
        let too_long = self.terms.reachable(&[term]).len() > MAX_TERMS;
        match joint {
            Some(joint) if !too_long => {
                let place = self.scope().order.get(&joint).copied().unwrap_or(0);
                if let Some(anchor) = anchor {
                    let waiting = &mut self.anchors[anchor as usize].joint;
                    *waiting = (*waiting).max(place);
                }
            }
            _ if graph.uses(value).is_empty() && !graph.outputs().contains(&value) => {}
            _ => {
                self.force_at(graph, value, handle);
            }
        }
    }

    /// The node at which all uses of a value meet, if everything up to there works element by element
    /// on the same extents.
    fn joint(&mut self, graph: &Graph, value: Value, handle: Handle, anchored: bool) -> Option<NodeId> {
        if graph.outputs().contains(&value) {
            return None;
        }
        let dims = self.dims_of(handle);
        let users = |graph: &Graph, value: Value| graph.uses(value).into_iter().map(|(node, _)| node);
        let mut frontier: BTreeSet<(usize, NodeId)> = BTreeSet::new();
        let order = &self.scope().order;
        let place = |id: NodeId| (order.get(&id).copied().unwrap_or(usize::MAX), id);
        frontier.extend(users(graph, value).map(place));
        for _ in 0..MAX_REGION {
            let (_, node) = frontier.pop_first()?;
            let same = elementwise::is_elementwise(graph, node) && result_dims(graph, node) == Some(&dims);
            if !same {
                let alone = frontier.is_empty() && users(graph, value).all(|user| user == node);
                let reads = alone && !anchored && self.reads_terms(graph, node, value);
                return reads.then_some(node);
            }
            if frontier.is_empty() {
                return Some(node);
            }
            let result = Value { node, slot: 0 };
            if graph.outputs().contains(&result) {
                return None;
            }
            frontier.extend(users(graph, result).map(place));
        }
        None
    }

    /// Whether a node that does not work element by element reads its operand as terms.
    fn reads_terms(&self, graph: &Graph, node: NodeId, value: Value) -> bool {
        let op = graph.node(node).op.as_str();
        let reads = op.starts_with("Reduce") || row::reads_terms(graph, node);
        reads && graph.operand(node, 0) == Some(value)
    }

    /// The anchor that a term waits for, if its result is not in memory yet.
    pub(crate) fn anchor_of(&self, term: TermId) -> Option<u32> {
        let all = self.terms.reachable(&[term]);
        all.iter().rev().find_map(|id| match self.terms.get(*id) {
            Term::Anchor(_, anchor) => Some(*anchor),
            _ => None,
        })
    }

    /// Makes the operands of one term share at most one anchor: all but the youngest are forced.
    pub(crate) fn one_anchor(&mut self, operands: &[Handle]) {
        let anchor = |cx: &Self, h: &Handle| match cx.state(*h) {
            State::Lazy(_, anchor) => *anchor,
            State::View(_) => None,
        };
        let youngest = operands.iter().filter_map(|h| anchor(self, h)).max();
        for handle in operands {
            if anchor(self, handle).is_some_and(|a| Some(a) != youngest) {
                self.force(*handle);
            }
        }
    }

    /// Forces a tensor at its own node: an anchor whose uses meet only later is stored by itself first.
    fn force_at(&mut self, graph: &Graph, value: Value, handle: Handle) {
        let place = self.scope().order.get(&value.node).copied().unwrap_or(ANYWHERE);
        if let State::Lazy(_, Some(anchor)) = *self.state(handle)
            && self.anchors[anchor as usize].joint > place
        {
            self.store_anchor(anchor);
        }
        self.refresh(handle);
        let given = self.scope().targets.get(&value).cloned();
        let target = given.or_else(|| self.padded_target(graph, value, handle));
        let name = graph.name_of(value).to_string();
        self.force_into(handle, target, &name);
    }
}

/// Whether a value is one cheap operation on a constant and what repeats on it, which all readers had better do again:
/// what that reads is less than what would be stored.
pub(super) fn spreads(graph: &Graph, value: Value) -> bool {
    let cheap = matches!(graph.node(value.node).op.as_str(), "Add" | "Mul" | "Sub");
    let plain = cheap && !graph.outputs().contains(&value);
    let all = graph.ty(value).dims.as_ref();
    let reads = |user| elementwise::is_elementwise(graph, user) && result_dims(graph, user) == all;
    let read = graph.uses(value).into_iter().all(|(user, _)| reads(user));
    let operands: Vec<Value> = graph.operands(value.node).into_iter().flatten().collect();
    let repeats = |operand: &Value| match (&graph.ty(*operand).dims, &graph.ty(value).dims) {
        _ if graph.constant(*operand).is_some() => true,
        (Some(own), Some(all)) => times_repeated(own, all) >= REPEATED,
        _ => false,
    };
    plain && read && operands.len() == 2 && operands.iter().all(repeats)
}

/// How often each element of an operand is met, as far as fixed extents tell.
fn times_repeated(operand: &[Dim], result: &[Dim]) -> i64 {
    let missing = result.len().saturating_sub(operand.len());
    let own = |axis: usize| axis.checked_sub(missing).map_or(Some(1), |axis| operand[axis].as_fixed());
    let repeated = result.iter().enumerate().filter(|(axis, _)| own(*axis) == Some(1));
    repeated.filter_map(|(_, dim)| dim.as_fixed()).fold(1i64, |all, extent| all.saturating_mul(extent))
}

fn result_dims(graph: &Graph, node: NodeId) -> Option<&Vec<Dim>> {
    graph.ty(Value { node, slot: 0 }).dims.as_ref()
}
