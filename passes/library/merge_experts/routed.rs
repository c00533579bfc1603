//! Experts behind a router: what they give is weighed by gates that depend on the tokens, and added up.
//!
//! Two forms are known: stacked experts that run on all tokens, weighed and summed along their axis; and a sum
//! with one term for each expert, which runs on the tokens that chose it, or on all, and goes back to where they
//! were. What makes gates of them is a softmax of a product of the tokens with constant weights.
use super::order::unshaped;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use weft_ir::{Attr, NodeId, Tensor, Value};
use weft_passes::{Declined, Editor, Measure, PassError, Rewriter, Tapped, graph_paths};

/// How many values are looked at between gates and their softmax, and how many experts there may be.
const WIDEST: usize = 128;

/// How much each expert counts, by the node that sums them up.
pub(super) type Shares = BTreeMap<NodeId, Vec<f64>>;

/// Routed experts.
pub(super) struct Routed {
    /// The value of all experts, or of each.
    pub(super) experts: Vec<Value>,
    /// Their gates: one value for all, or one each.
    gates: Vec<Value>,
    /// The experts' axis of the only value of gates.
    axis: usize,
    /// The experts' axis, counted from the end, along which the only value of experts is summed.
    summed: Option<usize>,
    /// Where each expert's tokens go back to, if it runs on those that chose it.
    places: Vec<Option<Value>>,
    /// What the router sees.
    tokens: Value,
}

/// The routed experts whose sum a node is.
pub(super) fn routed(g: &Rewriter<'_>, id: NodeId) -> Option<Routed> {
    match g.node(id).op.as_str() {
        "Einsum" => einsum(g, id),
        "ReduceSum" => reduced(g, id),
        "Add" | "Sum" | "ScatterElements" | "ScatterND" => added(g, id),
        _ => None,
    }
}

/// `te,etd->td`
fn einsum(g: &Rewriter<'_>, id: NodeId) -> Option<Routed> {
    let equation: String = g.attrs(id)?.str("equation").chars().filter(|c| !c.is_whitespace()).collect();
    let (operands, result) = equation.split_once("->")?;
    let (a, b) = operands.split_once(',')?;
    let (x, y) = g.pair(id)?;
    let feature = result.chars().last()?;
    let (gates, gates_at, experts, experts_at) =
        if a.contains(feature) { (y, b, x, a) } else { (x, a, y, b) };
    let expert = gates_at.chars().find(|c| !result.contains(*c))?;
    let rest: String = experts_at.chars().filter(|c| *c != expert).collect();
    let fits = rest == result && !gates_at.contains(feature) && experts_at.ends_with(feature);
    let summed = experts_at.chars().count() - experts_at.chars().position(|c| c == expert)?;
    let (axis, tokens) = (gates_at.chars().position(|c| c == expert)?, router(g, gates)?);
    fits.then(|| Routed {
        experts: vec![experts],
        gates: vec![gates],
        axis,
        summed: Some(summed),
        places: vec![None],
        tokens,
    })
}

/// `ReduceSum(gates * experts)`
fn reduced(g: &Rewriter<'_>, id: NodeId) -> Option<Routed> {
    let product = g.operand(id, 0)?;
    let (gates, experts) = gated(g, product)?;
    let rank = g.rank(product)?;
    let axes = g.ints(g.operand(id, 1)?)?;
    let [axis] = axes[..] else { return None };
    let axis = usize::try_from(if axis < 0 { axis + rank as i64 } else { axis }).ok()?;
    let whole = g.rank(experts) == Some(rank) && g.rank(gates) == Some(rank) && axis + 1 < rank;
    let tokens = router(g, gates)?;
    let found = Routed {
        experts: vec![experts],
        gates: vec![gates],
        axis,
        summed: Some(rank - axis),
        places: vec![None],
        tokens,
    };
    (whole && !g.attrs(id)?.flag("keepdims")).then_some(found)
}

/// Gates and what they weigh: one number for all features of a token.
fn gated(g: &Rewriter<'_>, product: Value) -> Option<(Value, Value)> {
    let (a, b) = g.pair(g.made_by(product, "Mul")?)?;
    let narrow = |value: &Value| g.dims(*value).and_then(|dims| dims.last()?.as_fixed()) == Some(1);
    match (narrow(&a), narrow(&b)) {
        (true, false) => Some((a, b)),
        (false, true) => Some((b, a)),
        _ => None,
    }
}

/// A sum of gated experts, each on its own tokens.
fn added(g: &Rewriter<'_>, id: NodeId) -> Option<Routed> {
    // The whole sum is looked at from its end.
    let goes_on = |(user, at): &(NodeId, usize)| is_sum(g, *user) && (*at == 0 || adds(g, *user));
    if !is_sum(g, id) || g.uses(g.result(id)).iter().any(goes_on) {
        return None;
    }
    let (mut terms, mut open) = (Vec::new(), vec![g.result(id)]);
    while let Some(value) = open.pop() {
        if terms.len() > WIDEST {
            return None;
        }
        if is_nothing(g, value) {
            continue;
        }
        let id = value.node;
        if adds(g, id) {
            open.extend(g.operands(id).into_iter().flatten());
            continue;
        }
        let scatters = is_sum(g, id);
        let place = if scatters { Some(unshaped(g, g.operand(id, 1)?)) } else { None };
        open.extend(if scatters { g.operand(id, 0) } else { None });
        let (gate, expert) = gated(g, if scatters { g.operand(id, 2)? } else { value })?;
        terms.push((expert, gate, place));
    }
    let (experts, (gates, places)): (Vec<_>, (Vec<_>, Vec<_>)) =
        terms.into_iter().rev().map(|(expert, gate, place)| (expert, (gate, place))).unzip();
    let tokens = router(g, *gates.first()?)?;
    let same = gates.iter().all(|gate| router(g, *gate) == Some(tokens));
    (experts.len() > 1 && same).then_some(Routed { experts, gates, axis: 0, summed: None, places, tokens })
}

/// Whether a value is zeros, of whatever shape.
fn is_nothing(g: &Rewriter<'_>, value: Value) -> bool {
    let zeros = |value: Value| g.data(value).and_then(|data| data.as_uniform()) == Some(0.0);
    let spread = || g.made_by(value, "Expand").and_then(|id| g.operand(id, 0)).is_some_and(zeros);
    let filled = || match g.node(g.made_by(value, "ConstantOfShape")?).attrs.get("value") {
        Some(Attr::Tensor(number)) => number.as_uniform(),
        _ => Some(0.0),
    };
    zeros(value) || spread() || filled() == Some(0.0)
}

fn adds(g: &Rewriter<'_>, id: NodeId) -> bool {
    g.applies(id, "Add") || g.applies(id, "Sum")
}

/// Whether a node adds values up, or adds rows to where they belong.
fn is_sum(g: &Rewriter<'_>, id: NodeId) -> bool {
    if !g.applies(id, "ScatterElements") && !g.applies(id, "ScatterND") {
        return adds(g, id);
    }
    let empty = || g.operand(id, 0).is_some_and(|base| is_nothing(g, base));
    if g.applies(id, "ScatterElements") && g.attrs(id).is_none_or(|attrs| attrs.int("axis") != 0) {
        return false;
    }
    match g.attrs(id).map(|attrs| attrs.str("reduction").to_string()).as_deref() {
        Some("add") => true,
        Some("none") => empty(),
        _ => false,
    }
}

/// What the router sees whose softmax is nearest to these gates.
fn router(g: &Rewriter<'_>, gates: Value) -> Option<Value> {
    let (mut open, mut seen) = (VecDeque::from([gates]), BTreeSet::new());
    while let Some(value) = open.pop_front() {
        if seen.len() > WIDEST || !seen.insert(value) {
            continue;
        }
        if let Some(softmax) = g.made_by(value, "Softmax") {
            return scored(g, g.operand(softmax, 0)?);
        }
        if g.data(value).is_none() {
            open.extend(g.operands(value.node).into_iter().flatten());
        }
    }
    None
}

/// The tokens that are scored by a product with constant weights, the best scores of each perhaps picked.
fn scored(g: &Rewriter<'_>, scores: Value) -> Option<Value> {
    let mut value = unshaped(g, scores);
    if let Some(all) = g.made_by(value, "TopK").and_then(|id| g.operand(id, 0)) {
        value = unshaped(g, all);
    }
    while matches!(g.node(value.node).op.as_str(), "Add" | "Mul" | "Div") {
        value = unshaped(g, g.with_constant(value.node)?.0);
    }
    let id = g.made_by(value, "MatMul").or_else(|| g.made_by(value, "Gemm"))?;
    let (tokens, weights) = g.pair(id)?;
    g.data(weights).map(|_| tokens)
}

impl Routed {
    /// The gates of all experts as one value, and the axis of the experts.
    pub(super) fn dense_gates(&self) -> Option<(Value, usize)> {
        let gates = *self.gates.first()?;
        (self.summed.is_some() && self.axis < 2).then_some((gates, self.axis))
    }

    /// The tokens, if the lanes are what every expert is given of them.
    pub(super) fn begin(&self, g: &Rewriter<'_>, lanes: &[Value]) -> Option<Value> {
        if lanes.len() != self.places.len() {
            return None;
        }
        let given = |(lane, place): (&Value, &Option<Value>)| self.given(g, *lane, *place);
        let mut all = lanes.iter().zip(&self.places).map(given);
        let first = all.next()??;
        all.all(|tokens| tokens == Some(first)).then_some(first)
    }

    /// The tokens that a value picks those of one expert from, or all of which it is; the router sees the same.
    fn given(&self, g: &Rewriter<'_>, lane: Value, place: Option<Value>) -> Option<Value> {
        let (source, value) = (unshaped(g, self.tokens), unshaped(g, lane));
        let last = |value: Value| g.dims(value).and_then(|dims| dims.last());
        if !last(lane).zip(last(self.tokens)).is_some_and(|(a, b)| a.same(b)) {
            return None;
        }
        let Some(place) = place else { return (value == source).then_some(self.tokens) };
        let picks = matches!(g.node(value.node).op.as_str(), "Gather" | "GatherND");
        let (data, rows) = g.pair(value.node).filter(|_| picks)?;
        (unshaped(g, data) == source && unshaped(g, rows) == place).then_some(data)
    }

    /// Checks that the sum runs over the experts, and nothing else.
    pub(super) fn adds_up(&self, count: usize, place: Option<usize>) -> Result<(), Declined> {
        let lanes = self.experts.len();
        let fits = match self.summed {
            Some(summed) => place == Some(summed),
            None => place.is_none() && lanes == count,
        };
        if fits { Ok(()) } else { Err("the sum does not run over the experts alone".into()) }
    }

    /// Adds what the gates are to what each expert got before.
    fn count(&self, sums: &mut Vec<f64>, gates: &[Tensor]) {
        let add = |sums: &mut Vec<f64>, expert: usize, gate: f64| {
            sums.resize(sums.len().max(expert + 1), 0.0);
            sums[expert] += gate;
        };
        for (lane, tensor) in gates.iter().enumerate() {
            let extent = tensor.dims().get(self.axis).copied().unwrap_or(1).max(1) as usize;
            let inner = tensor.dims().iter().skip(self.axis + 1).product::<u64>().max(1) as usize;
            for (at, gate) in tensor.to_f64s().unwrap_or_default().into_iter().enumerate() {
                let expert = if self.gates.len() > 1 { lane } else { at / inner % extent };
                add(sums, expert, gate);
            }
        }
    }
}

/// The share of the gates of each expert of the main graph, on calibration data.
pub(super) fn measured(edit: &mut Editor<'_>, measure: &dyn Measure) -> Result<Shares, PassError> {
    let (mut found, mut left) = (Vec::new(), graph_paths(&edit.graph).len());
    edit.each_graph(|g| {
        left = left.saturating_sub(1);
        if left == 0 {
            found = g.order().into_iter().filter_map(|id| Some((id, routed(g, id)?))).collect::<Vec<_>>();
        }
        Ok(())
    })?;
    if found.is_empty() {
        return Ok(Shares::new());
    }
    let gates: Vec<Vec<Value>> = found.iter().map(|(_, routed)| routed.gates.clone()).collect();
    let mut sums = vec![Vec::new(); found.len()];
    measure.stream(edit, &gates, &mut |Tapped { group, .. }, values| {
        found[group].1.count(&mut sums[group], values);
        Ok(())
    })?;
    // Where the router gave nobody anything there are no shares.
    let wholes = sums.into_iter().map(|sums| (sums.iter().sum::<f64>(), sums));
    let shares = found.iter().zip(wholes).filter(|(_, (whole, _))| *whole > 0.0);
    Ok(shares.map(|((id, _), (whole, sums))| (*id, sums.iter().map(|sum| sum / whole).collect())).collect())
}
