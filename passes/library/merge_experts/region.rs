//! What experts do to a token, written again for all of them at once.
//!
//! The region is walked from its end to the tokens it begins with. Experts that are stacked along an
//! axis of one value are one lane; experts on slices are one lane each, and all lanes must be made by the same
//! operators. Every operator must work token by token, along the last axis, so that neither the order
//! of the tokens nor how they are divided among experts shows in the result.
use super::codes::is_known;
use super::groups::{Distances, Groups};
use super::linear::{Linear, alongside, constants, linear};
use super::weights::Weights;
use super::{Form, Merged};
use std::collections::BTreeMap;
use weft_ir::{Dim, NodeId, Tensor, Value};
use weft_passes::{Declined, ErrorSum, Rewriter, node};

/// The same value of every lane.
type Lanes = Vec<Value>;

/// How the features of a rewritten value relate to those of the experts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Features {
    /// As one expert would have them.
    One,
    /// Those of all experts side by side.
    Beside,
    /// The average of what the experts give.
    Average,
}

/// A rewritten value.
#[derive(Debug, Clone, Copy)]
struct Part {
    value: Value,
    features: Features,
}

/// Finds where a region begins: the tokens, as they are outside of it.
pub(super) type Begin<'b> = dyn Fn(&Rewriter<'_>, &[Value]) -> Result<Option<Value>, Declined> + 'b;

/// One region while it is written again.
pub(super) struct Region<'b> {
    pub(super) form: Form,
    /// How much each expert counts; all alike if it is empty.
    pub(super) shares: Vec<f64>,
    pub(super) begin: &'b Begin<'b>,
    /// Whether the tokens may be the same for every expert, broadcast along the experts' axis.
    pub(super) broadcasts: bool,
    /// How many experts there are, and how far from the end of shapes their axis is.
    pub(super) experts: Option<(usize, Option<usize>)>,
    /// The largest distance of an expert from their average, and the value where it is.
    pub(super) spread: (f64, String),
    /// The groups, if there is to be one network for each group.
    pub(super) groups: Groups,
    /// How far experts are from each other, squared and relative, summed over their weights; if asked for.
    pub(super) distances: Option<Distances>,
    /// How far the experts' weights are from those they become.
    weights: ErrorSum,
    /// What goes into the experts.
    tokens: Option<Value>,
    parts: BTreeMap<Lanes, Part>,
}

impl<'b> Region<'b> {
    /// A region that begins where `begin` says.
    pub(super) fn new(form: Form, begin: &'b Begin<'b>) -> Self {
        Self {
            form,
            shares: Vec::new(),
            begin,
            broadcasts: false,
            experts: None,
            spread: (0.0, String::new()),
            groups: Groups::default(),
            distances: None,
            weights: ErrorSum::default(),
            tokens: None,
            parts: BTreeMap::new(),
        }
    }

    /// What became of the region, with a value for its end.
    pub(super) fn done(&self, value: Value, what: String) -> Result<Merged, Declined> {
        let tokens = self.tokens.ok_or("the experts do not begin with tokens")?;
        Ok(Merged { value, tokens, what, weights: self.weights })
    }

    /// Writes the region again; gives what takes the place of its end.
    pub(super) fn rewrite(&mut self, g: &mut Rewriter<'_>, end: &[Value]) -> Result<Value, Declined> {
        let mut open = vec![(end.to_vec(), false)];
        while let Some((lanes, ready)) = open.pop() {
            if self.parts.contains_key(&lanes) {
                continue;
            }
            if let Some(tokens) = (self.begin)(g, &lanes)? {
                let value = self.start(g, tokens)?;
                self.tokens = Some(tokens);
                self.parts.insert(lanes, Part { value, features: Features::One });
                continue;
            }
            let nodes = alike(g, &lanes)?;
            if ready {
                let part = self.node(g, &nodes)?;
                self.parts.insert(lanes, part);
                continue;
            }
            open.push((lanes, true));
            let count = g.node(nodes[0]).arity();
            open.extend((0..count).filter_map(|at| operands(g, &nodes, at)).map(|lanes| (lanes, false)));
        }
        let part = self.parts[end];
        match (self.form, part.features) {
            (Form::Concat, Features::One) => Err("no weight of an expert is used".into()),
            (_, Features::Beside) => Err("the experts' features end up side by side".into()),
            _ => Ok(part.value),
        }
    }

    /// The tokens as the rewritten region begins with them: with an axis for the groups, if there are any.
    fn start(&self, g: &mut Rewriter<'_>, tokens: Value) -> Result<Value, Declined> {
        if self.groups.is_empty() {
            return Ok(tokens);
        }
        if g.rank(tokens) != Some(2) {
            return Err("groups of experts take tokens as a matrix".into());
        }
        let front = g.constant(Tensor::vector(&[0i64]))?;
        g.add(node("Unsqueeze", []), &[Some(tokens), Some(front)])
    }

    fn node(&mut self, g: &mut Rewriter<'_>, nodes: &[NodeId]) -> Result<Part, Declined> {
        let id = nodes[0];
        if let Some(linear) = linear(g, nodes) {
            return self.linear(g, nodes, linear?);
        }
        let op = g.node(id).op.as_str().to_string();
        if matches!(op.as_str(), "Identity" | "Reshape" | "Squeeze" | "Unsqueeze" | "Flatten") {
            return self.reshaped(g, nodes);
        }
        if !g.ops().get(&op).is_some_and(|def| def.traits.elementwise) {
            return Err(format!("`{op}` among the experts does not work token by token").into());
        }
        self.elementwise(g, nodes)
    }

    /// What was made of an operand that is tokens; the nodes must give as many tokens, in their places.
    fn part(&self, g: &Rewriter<'_>, nodes: &[NodeId], at: usize) -> Result<Part, Declined> {
        let before = |value: Value| g.dims(value).and_then(|dims| Some(dims.split_last()?.1));
        let (from, to) = (g.operand(nodes[0], at).and_then(before), before(g.result(nodes[0])));
        let same = |(from, to): (&[Dim], &[Dim])| {
            let one = |dim: &Dim| self.broadcasts && dim.as_fixed() == Some(1);
            let tail = to.get(to.len().saturating_sub(from.len())..).unwrap_or_default();
            let rank = from.len() == to.len() || (self.broadcasts && from.len() < to.len());
            rank && from.iter().zip(tail).all(|(a, b)| a.same(b) || one(a))
        };
        if !from.zip(to).is_some_and(same) {
            let op = &g.node(nodes[0]).op;
            return Err(format!("`{op}` among the experts does not keep the tokens apart").into());
        }
        self.made(g, nodes, at)
    }

    fn made(&self, g: &Rewriter<'_>, nodes: &[NodeId], at: usize) -> Result<Part, Declined> {
        let lanes = operands(g, nodes, at).ok_or("the experts do not begin with tokens")?;
        self.parts.get(&lanes).copied().ok_or_else(|| "the experts do not begin with tokens".into())
    }

    /// Another shape with the same last axis: tokens stay in their order.
    fn reshaped(&self, g: &Rewriter<'_>, nodes: &[NodeId]) -> Result<Part, Declined> {
        let part = self.made(g, nodes, 0)?;
        let (from, to) = (g.operand(nodes[0], 0), g.result(nodes[0]));
        let last = |value: Value| g.dims(value).and_then(|dims| dims.last());
        let same = from.and_then(last).zip(last(to)).is_some_and(|(a, b)| a.same(b));
        if same { Ok(part) } else { Err("features and tokens are mixed by a new shape".into()) }
    }

    fn linear(&mut self, g: &mut Rewriter<'_>, nodes: &[NodeId], linear: Linear) -> Result<Part, Declined> {
        let part = self.part(g, nodes, linear.tokens)?;
        let at = g.node(nodes[0]).label().to_string();
        let count = self.learn(g, nodes[0], &linear.matrix, &at)?;
        if let Some(bias) = &linear.bias {
            self.learn(g, nodes[0], bias, &at)?;
        }
        let shares = self.shares(count);
        let own = linear.matrix.differ() || linear.bias.as_ref().is_some_and(Weights::differ);
        let (matrix, bias, features) = match (self.form, part.features) {
            (Form::Concat, Features::One) if own => {
                let bias = linear.bias.map(|bias| bias.beside(count));
                (linear.matrix.beside(count), bias, Features::Beside)
            }
            (Form::Concat, Features::Beside) => (
                linear.matrix.below(&shares),
                linear.bias.map(|b| self.merged(&b, &shares)),
                Features::Average,
            ),
            (Form::Concat, Features::Average) if linear.matrix.differ() => {
                return Err("experts of more than two layers have no exact form of their average".into());
            }
            (_, features) => (
                self.merged(&linear.matrix, &shares),
                linear.bias.map(|b| self.merged(&b, &shares)),
                features,
            ),
        };
        let matrix = g.constant(matrix.ok_or("the weights are no floats")?)?;
        let mut value = g.add(node("MatMul", []), &[Some(part.value), Some(matrix)])?;
        if let Some(bias) = bias {
            let bias = g.constant(bias.ok_or("the biases are no floats")?)?;
            value = g.add(node("Add", []), &[Some(value), Some(bias)])?;
        }
        Ok(Part { value, features })
    }

    fn elementwise(&mut self, g: &mut Rewriter<'_>, nodes: &[NodeId]) -> Result<Part, Declined> {
        let (id, count) = (nodes[0], g.node(nodes[0]).arity());
        let present = (0..count).filter(|at| g.operand(id, *at).is_some());
        let (fixed, moving): (Vec<_>, Vec<_>) = present.partition(|at| operands(g, nodes, *at).is_none());
        let parts = moving.iter().map(|at| self.part(g, nodes, *at)).collect::<Result<Vec<_>, _>>()?;
        let features = parts.first().ok_or("an operator has no tokens")?.features;
        let like = g.operand(id, moving[0]).ok_or("an operator has no tokens")?;
        if parts.iter().any(|part| part.features != features) {
            return Err("features of all experts meet those of one".into());
        }
        let affine = matches!(g.node(id).op.as_str(), "Add" | "Sub");
        let mut all = vec![None; count];
        for (at, part) in moving.iter().zip(&parts) {
            all[*at] = Some(part.value);
        }
        for at in fixed {
            let tensors = constants(g, nodes, at).ok_or("an operand differs in kind among the experts")?;
            let weights = alongside(g, &tensors, like)?;
            let tensor = self.alongside(g, id, &weights, (features, affine))?;
            all[at] = Some(g.constant(tensor)?);
        }
        if features == Features::Average && !affine {
            return Err("what follows the experts' second layer has no exact form of its average".into());
        }
        let mut again = g.node(id).clone();
        again.results.clear();
        Ok(Part { value: g.add(again, &all)?, features })
    }

    /// A constant for the rewritten tokens.
    fn alongside(
        &mut self,
        g: &Rewriter<'_>,
        id: NodeId,
        weights: &Weights,
        (features, affine): (Features, bool),
    ) -> Result<Tensor, Declined> {
        let at = g.node(id).label().to_string();
        let count = self.learn(g, id, weights, &at)?;
        let shares = self.shares(count);
        let single = weights.dims.iter().all(|extent| *extent == 1);
        let tensor = match (self.form, features) {
            (Form::Concat, Features::One) if weights.differ() => {
                return Err("experts differ before their first layer".into());
            }
            (Form::Concat, Features::Average) if weights.differ() && !affine => {
                return Err("what follows the experts' second layer has no exact form of its average".into());
            }
            (Form::Concat, Features::Beside) if single && weights.differ() => {
                return Err("one number per expert is not one per feature".into());
            }
            (Form::Concat, Features::Beside) if !single => weights.beside(count),
            _ => self.merged(weights, &shares),
        };
        tensor.ok_or_else(|| "the constants are no floats".into())
    }

    /// The average of the experts', or of each group's.
    fn merged(&self, weights: &Weights, shares: &[f64]) -> Option<Tensor> {
        match self.groups.is_empty() || !weights.differ() {
            true => weights.averaged(shares),
            false => weights.grouped(&self.groups.shares),
        }
    }

    fn shares(&self, count: usize) -> Vec<f64> {
        if self.shares.is_empty() { vec![1.0 / count as f64; count] } else { self.shares.clone() }
    }

    /// Takes weights in: how many experts there are, where their axis is, how far they are apart.
    fn learn(
        &mut self,
        g: &Rewriter<'_>,
        id: NodeId,
        weights: &Weights,
        at: &str,
    ) -> Result<usize, Declined> {
        let known = self.experts.map(|(count, _)| count);
        if !weights.differ() {
            return Ok(known.unwrap_or(1));
        }
        let found = (weights.each.len(), weights.place);
        let stacked = |place: usize| {
            let dims = g.dims(g.result(id)).unwrap_or_default();
            let extent = dims.len().checked_sub(place).and_then(|axis| dims.get(axis)?.as_fixed());
            extent == i64::try_from(found.0).ok()
        };
        if self.experts.is_some_and(|known| known != found) || !found.1.is_none_or(stacked) {
            return Err("the weights are not all stacked along one axis of the experts".into());
        }
        self.experts = Some(found);
        if let Some(distances) = &mut self.distances {
            distances.add(weights);
        }
        let average = weights.average(&self.shares(found.0));
        if self.form == Form::Average {
            weights.apart(&average, &self.groups, &mut self.weights);
        }
        let spread = weights.spread(&average);
        if spread > self.spread.0 {
            self.spread = (spread, at.to_string());
        }
        Ok(found.0)
    }
}

/// The nodes that make lanes, all by the same operator with the same attributes.
fn alike(g: &Rewriter<'_>, lanes: &[Value]) -> Result<Vec<NodeId>, Declined> {
    let first = lanes.first().ok_or("there are no experts")?;
    let model = g.node(first.node);
    let same = |lane: &Value| {
        let node = g.node(lane.node);
        lane.slot == 0 && node.op == model.op && node.attrs == model.attrs && node.arity() == model.arity()
    };
    if !lanes.iter().all(same) {
        return Err("the experts are not made of the same operators".into());
    }
    if model.arity() == 0 || g.is_input(*first) || !model.regions.is_empty() {
        return Err(format!("the experts use `%{}`, which is no token", g.name_of(*first)).into());
    }
    Ok(lanes.iter().map(|lane| lane.node).collect())
}

/// The operands of all lanes at a place, unless they are constants, shapes or absent.
fn operands(g: &Rewriter<'_>, nodes: &[NodeId], at: usize) -> Option<Lanes> {
    let moves = matches!(g.node(nodes[0]).op.as_str(), "Reshape" | "Squeeze" | "Unsqueeze");
    if moves && at > 0 {
        return None;
    }
    let lanes: Lanes = nodes.iter().map(|id| g.operand(*id, at)).collect::<Option<_>>()?;
    lanes.iter().any(|lane| !is_known(g, *lane)).then_some(lanes)
}
