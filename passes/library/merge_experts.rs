//! Makes one feed-forward network of the experts that tokens are dealt out to at random.
//!
//! Before: `%o = TopK(RandomUniform(), ...)`, `%p = Gather(%x, %o)` in equal parts, part i through
//! `MatMul`, `Gelu`, `MatMul` with the weights of expert i, and back by the inverse order. After:
//! `%h = MatMul(%x, %w1)`, `%a = Gelu(%h)`, `%y = MatMul(%a, %w2)` with the averages of the weights. This is how
//! training by "Experts Weights Averaging" (arXiv 2308.06093) ends: in the model that was there before.
//!
//! The expectation over the random order is the average of what the experts give; the average of their
//! weights gives the same but for terms of second order in the experts' distance from their average.
//! That distance, relative and in the Frobenius norm, must not be more than `spread` for any weight.
//! `mode=concat` puts the experts side by side instead: the expectation itself, for the time of all
//! experts. Experts stacked along an axis and experts on slices are both taken, for whole batches and for
//! single samples.
//!
//! Where the order depends on the tokens, the experts are routed; averaging them is another model, and
//! they are left alone, as are experts of other shapes or operators, parts of different sizes, and operators that
//! do not work token by token. Experts that are averaged by the model itself are constants:
//! `fold-weight-expressions` folds them.
mod linear;
mod order;
mod region;
mod weights;

use order::{Inputs, Picked, is_random, picked, undone, unshaped};
use region::Region;
use weft_ir::{NodeId, Stage, Value};
use weft_passes::{
    Declined, Editor, OptionError, OptionInfo, Options, Outcome, Pass, PassContext, PassError, PassInfo,
    PassKind, Rewriter, graph_paths,
};

pub(crate) const INFO: PassInfo = PassInfo {
    name: "merge-experts",
    summary: "makes one network of experts that tokens are dealt out to at random",
    options: &[
        OptionInfo {
            name: "spread",
            default: "0.1",
            help: "how far an expert may be from the average, relative to it",
        },
        OptionInfo {
            name: "mode",
            default: "average",
            help: "`average` of the weights, or `concat`: all experts side by side, exact and as slow as all of them",
        },
    ],
    kind: PassKind::Lossy,
    accepts: (Stage::Canonical, Stage::Lowered),
    build: &|options| {
        let spread = options.number("spread")?;
        Ok(Box::new(MergeExperts { spread, form: form(options)? }))
    },
};

/// What the experts become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// One network of averaged weights.
    Average,
    /// One network as wide as all of them.
    Concat,
}

fn form(options: &Options) -> Result<Form, OptionError> {
    match options.text("mode") {
        "average" => Ok(Form::Average),
        "concat" => Ok(Form::Concat),
        other => Err(OptionError::Value {
            name: "mode".to_string(),
            value: other.to_string(),
            expected: "`average` or `concat`",
        }),
    }
}

struct MergeExperts {
    spread: f64,
    form: Form,
}

impl Pass for MergeExperts {
    fn run(&self, edit: &mut Editor<'_>, _: &PassContext<'_>) -> Result<Outcome, PassError> {
        // The main graph comes last.
        let mut left = graph_paths(&edit.graph).len();
        edit.each_graph(|g| {
            left = left.saturating_sub(1);
            let inputs = if left == 0 { Inputs::OfModel } else { Inputs::OfRegion };
            g.each_node(&mut |g: &mut Rewriter<'_>, id| match partition(g, id) {
                Some(found) => self.merge(g, id, &found, inputs),
                None => Ok(()),
            })
        })
    }
}

/// Tokens that come back from where an order put them.
struct Partition {
    /// The random order.
    order: Value,
    /// Along which axis.
    axis: usize,
    /// The tokens in that order, after the experts.
    dealt: Value,
}

/// The partition that ends in a node: tokens are picked by the inverse of an order, or scattered by it.
fn partition(g: &Rewriter<'_>, id: NodeId) -> Option<Partition> {
    if let Some(Picked { data, indices, axis }) = picked(g, id) {
        return Some(Partition { order: undone(g, indices)?, axis, dealt: data });
    }
    let attrs = g.attrs(id)?;
    let dealt = g.operand(id, 2)?;
    let axis = match g.node(id).op.as_str() {
        "ScatterElements" => attrs.int("axis"),
        "ScatterND" => 0,
        _ => return None,
    };
    let rank = g.rank(dealt)?;
    let axis = usize::try_from(if axis < 0 { axis + rank as i64 } else { axis }).ok()?;
    let base = g.data(g.operand(id, 0)?).and_then(|data| data.as_uniform());
    let overwrites = attrs.str("reduction") == "none";
    let adds_to_nothing = attrs.str("reduction") == "add" && base == Some(0.0);
    let order = unshaped(g, g.operand(id, 1)?);
    let is_order = g.applies(order.node, "TopK") && g.rank(order) == Some(axis + 1) && axis + 1 < rank;
    let fits = is_order && (overwrites || adds_to_nothing) && g.rank(g.result(id)) == Some(rank);
    fits.then_some(Partition { order, axis, dealt })
}

impl MergeExperts {
    fn merge(
        &self,
        g: &mut Rewriter<'_>,
        id: NodeId,
        found: &Partition,
        inputs: Inputs,
    ) -> Result<(), Declined> {
        is_random(g, found.order, inputs)?;
        let begin = |g: &Rewriter<'_>, lanes: &[Value]| begin(g, lanes, found);
        let mut region = Region::new(self.form, &begin);
        let end = end(g, found.dealt);
        let merged = region.rewrite(g, &end)?;
        let (count, _) = region.experts.ok_or("no weight differs from expert to expert")?;
        let (spread, at) = region.spread;
        if self.form == Form::Average && (spread.is_nan() || spread > self.spread) {
            return Err(format!(
                "at `%{at}` an expert is {spread:.3} from the average, more than {}",
                self.spread
            )
            .into());
        }
        if !g.same_type(merged, g.result(id)) {
            return Err("the tokens come back in another shape".into());
        }
        g.replace(g.result(id), merged);
        match self.form {
            Form::Average => {
                g.note(&format!("{count} experts averaged, at most {spread:.3} from the average"))
            }
            Form::Concat => g.note(&format!("{count} experts side by side")),
        }
        Ok(())
    }
}

/// The value of every expert that the tokens were joined of, or the one of all.
fn end(g: &Rewriter<'_>, dealt: Value) -> Vec<Value> {
    let mut value = dealt;
    let last = |value: Value| g.dims(value).and_then(|dims| dims.last());
    while matches!(
        g.node(value.node).op.as_str(),
        "Reshape" | "Flatten" | "Squeeze" | "Unsqueeze" | "Identity"
    ) {
        let Some(inner) = g.operand(value.node, 0) else { break };
        if !last(inner).zip(last(value)).is_some_and(|(a, b)| a.same(b)) {
            break;
        }
        value = inner;
    }
    let parts = g.operands(value.node).into_iter().collect::<Option<Vec<_>>>();
    match parts.filter(|_| g.applies(value.node, "Concat") && !is_last_axis(g, value.node, value)) {
        Some(parts) if parts.len() > 1 => parts,
        _ => vec![value],
    }
}

fn is_last_axis(g: &Rewriter<'_>, id: NodeId, like: Value) -> bool {
    let axis = g.attrs(id).map_or(-1, |attrs| attrs.int("axis"));
    let rank = g.rank(like).unwrap_or(0) as i64;
    axis == -1 || axis == rank - 1
}

/// The tokens before the order was applied, if the lanes are those tokens in equal parts.
fn begin(g: &Rewriter<'_>, lanes: &[Value], found: &Partition) -> Result<Option<Value>, Declined> {
    let whole = match lanes {
        [one] => *one,
        [first, ..] => {
            if !lanes.iter().all(|lane| lane.node == first.node) {
                return sliced(g, lanes, found);
            }
            if !g.applies(first.node, "Split") || is_last_axis(g, first.node, *first) {
                return Ok(None);
            }
            let in_turn = lanes.iter().enumerate().all(|(at, lane)| lane.slot as usize == at);
            if !in_turn || !lanes.iter().all(|lane| g.same_type(*lane, *first)) {
                return Err("the experts' parts differ in size".into());
            }
            g.operand(first.node, 0).ok_or("a split has no operand")?
        }
        [] => return Ok(None),
    };
    Ok(shuffled(g, whole, found))
}

/// The tokens of which a value is the shuffled ones, features still last.
fn shuffled(g: &Rewriter<'_>, value: Value, found: &Partition) -> Option<Value> {
    let tokens = picked(g, unshaped(g, value).node)?;
    let last = |value: Value| g.dims(value).and_then(|dims| dims.last());
    let kept = last(value).zip(last(tokens.data)).is_some_and(|(a, b)| a.same(b));
    (kept && tokens.indices == found.order && tokens.axis == found.axis).then_some(tokens.data)
}

/// The same for lanes that are slices, or elements, in turn.
fn sliced(g: &Rewriter<'_>, lanes: &[Value], found: &Partition) -> Result<Option<Value>, Declined> {
    let mut whole = None;
    for (at, lane) in lanes.iter().enumerate() {
        let id = unshaped(g, *lane).node;
        let place = match g.node(id).op.as_str() {
            "Slice" => g.operand(id, 1),
            "Gather" => g.operand(id, 1),
            _ => return Ok(None),
        };
        let from = g.operand(id, 0).and_then(|from| shuffled(g, from, found));
        let Some((place, from)) = place.and_then(|place| g.ints(place)).zip(from) else { return Ok(None) };
        let [start] = place[..] else { return Ok(None) };
        let step = match g.applies(id, "Slice") {
            true => length(g, id).ok_or("the experts' parts have no fixed size")?,
            false => 1,
        };
        if start != step * at as i64 || whole.is_some_and(|known| known != from) {
            return Err("the experts' parts differ in size, or are out of turn".into());
        }
        whole = Some(from);
    }
    Ok(whole)
}

/// How much a slice takes of the only axis it changes, which is not the last one.
fn length(g: &Rewriter<'_>, id: NodeId) -> Option<i64> {
    let (from, to) = (g.dims(g.operand(id, 0)?)?, g.dims(g.result(id))?);
    let changed: Vec<usize> = (0..to.len()).filter(|axis| !from[*axis].same(&to[*axis])).collect();
    match changed[..] {
        [axis] if axis + 1 < to.len() => to[axis].as_fixed(),
        _ => None,
    }
}
