//! Lets inputs of linear layers be zero where they matter least, so that a kernel for one token reads
//! only the rows of the weights that are left.
//!
//! Before: `%y = MatMul(%x, %w)`. After: `%size = Abs(%x)`, `%passes = Greater(%size, %limit)`,
//! `%some = Where(%passes, %x, 0.0)`, `%y = MatMul(%some, %w)`.
//!
//! With `form=threshold` the limits come from calibration data: for `criterion=teal` one number a
//! layer, which the share `sparsity` of all its inputs does not pass (Liu et al., "Training-free
//! activation sparsity in large language models", ICLR 2025); for `criterion=wina` inputs count by
//! their size times the norm of what they are multiplied with, so that each channel has its own limit
//! (Chen et al., "WINA: weight informed neuron activation", 2025). With `form=topk` each token keeps
//! the share of its inputs that count most, and no data is needed; that is for studies of accuracy,
//! as no time is saved. Every layer has the same sparsity. `prompt=masked` masks every token,
//! `prompt=dense` only runs of a single one.
//!
//! Products whose right operand is not a constant matrix of f32 are left alone, as are inputs that are
//! masked already and layers that make an output of the model, unless `only` names them: logits
//! suffer most. Results change by what was dropped.
use std::collections::BTreeMap;
use std::sync::Arc;
use weft_ir::{Attr, DType, Graph, NodeId, Stage, Tensor, Value};
use weft_numerics::Quantiles;
use weft_passes::{
    Declined, Editor, OptionError, OptionInfo, Options, Outcome, Pass, PassContext, PassError, PassInfo,
    PassKind, Rewriter, facts_of, floats, graph_paths, node,
};

pub(crate) const INFO: PassInfo = PassInfo {
    name: "sparsify-activations",
    summary: "lets inputs of linear layers be zero where they matter least",
    options: &[
        OptionInfo { name: "sparsity", default: "0.5", help: "the share of inputs that become zero" },
        OptionInfo { name: "criterion", default: "wina", help: "what counts: `wina` or `teal`" },
        OptionInfo { name: "form", default: "threshold", help: "`threshold` from data, or `topk` per token" },
        OptionInfo { name: "prompt", default: "masked", help: "runs of many tokens: `masked` or `dense`" },
        OptionInfo { name: "only", default: "", help: "layers by name, with `*`, `|` between them" },
        OptionInfo { name: "skip", default: "", help: "layers by name that stay, likewise" },
    ],
    kind: PassKind::Lossy,
    accepts: (Stage::Canonical, Stage::Canonical),
    build: &|options| Ok(Box::new(Sparsify::new(options)?)),
};

/// What an option may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Criterion {
    Wina,
    Teal,
}

struct Sparsify {
    sparsity: f64,
    criterion: Criterion,
    topk: bool,
    masks_prompts: bool,
    only: Vec<String>,
    skip: Vec<String>,
}

impl Sparsify {
    fn new(options: &Options) -> Result<Self, OptionError> {
        let sparsity: f64 = options.number("sparsity")?;
        if !(0.0..1.0).contains(&sparsity) {
            return Err(OptionError::Refused(format!("`sparsity` is 0 or more and below 1, found {sparsity}")));
        }
        let criterion = match choice(options, "criterion", ["wina", "teal"])? {
            0 => Criterion::Wina,
            _ => Criterion::Teal,
        };
        let patterns = |name: &str| {
            let parts = options.text(name).split('|').map(str::trim).filter(|part| !part.is_empty());
            parts.map(str::to_string).collect()
        };
        Ok(Self {
            sparsity,
            criterion,
            topk: choice(options, "form", ["threshold", "topk"])? == 1,
            masks_prompts: choice(options, "prompt", ["masked", "dense"])? == 0,
            only: patterns("only"),
            skip: patterns("skip"),
        })
    }
}

/// Which of two words an option is.
fn choice(options: &Options, name: &str, words: [&str; 2]) -> Result<usize, OptionError> {
    let found = options.text(name);
    words.iter().position(|word| *word == found).ok_or_else(|| {
        OptionError::Refused(format!("`{name}` is `{}` or `{}`, found `{found}`", words[0], words[1]))
    })
}

/// A layer whose inputs are to be masked.
struct Layer {
    input: Value,
    /// What an input channel counts for: the norm of its weights, or nothing where all count the same.
    norms: Option<Arc<Vec<f64>>>,
    channels: usize,
    /// What passes, by channel; found with calibration data.
    limit: f32,
}

impl Pass for Sparsify {
    fn run(&self, edit: &mut Editor<'_>, cx: &PassContext<'_>) -> Result<Outcome, PassError> {
        let mut layers = self.layers(edit, cx);
        if layers.is_empty() {
            return Ok(edit.outcome());
        }
        if !self.topk {
            self.find_limits(edit, cx, &mut layers)?;
        }
        let mut left = graph_paths(&edit.graph).len();
        edit.each_graph(|g| {
            // The main graph comes last.
            left -= 1;
            if left > 0 {
                return Ok(());
            }
            for (id, layer) in &layers {
                g.attempt(*id, &mut |g, id| self.mask(g, id, layer))?;
            }
            Ok(())
        })
    }
}

impl Sparsify {
    /// The layers of the main graph to be masked; of others that could be, it is told why not.
    fn layers(&self, edit: &mut Editor<'_>, cx: &PassContext<'_>) -> BTreeMap<NodeId, Layer> {
        let facts = facts_of(&edit.graph, cx.ops);
        let mut layers = BTreeMap::new();
        for id in edit.graph.order() {
            let Some(weight) = edit.graph.operand(id, 1).filter(|_| is_product(&edit.graph, id)) else { continue };
            let constant = facts.get(&weight).and_then(|fact| fact.constant.clone());
            let Some(matrix) = constant.filter(|tensor| tensor.dims().len() == 2) else { continue };
            match self.layer(&edit.graph, cx, id, &matrix) {
                Ok(layer) => drop(layers.insert(id, layer)),
                Err(why) => {
                    let name = edit.graph.node(id).label().to_string();
                    edit.decline(&name, &why);
                }
            }
        }
        layers
    }

    fn layer(&self, graph: &Graph, cx: &PassContext<'_>, id: NodeId, matrix: &Tensor) -> Result<Layer, Declined> {
        let name = graph.node(id).label();
        let named = |patterns: &[String]| patterns.iter().any(|pattern| fits(pattern, name));
        if named(&self.skip) || !(self.only.is_empty() || named(&self.only)) {
            return Err("the options leave it out".into());
        }
        if self.only.is_empty() && makes_output(graph, id) {
            return Err("it makes an output of the model".into());
        }
        let set = |flag: &str| cx.ops.attrs(graph.node(id)).is_some_and(|a| a.node.attrs.contains_key(flag) && a.flag(flag));
        let input = graph.operand(id, 0).filter(|_| !set("transA")).ok_or("its inputs are not on the last axis")?;
        if is_masked(graph, input) {
            return Err("its inputs are masked already".into());
        }
        if matrix.dtype() != DType::F32 || graph.ty(input).dtype != DType::F32 {
            return Err(format!("the weights are of {}, not f32", matrix.dtype()).into());
        }
        let turned = set("transB");
        let (rows, cols) = (matrix.dims()[0] as usize, matrix.dims()[1] as usize);
        let channels = if turned { cols } else { rows };
        let norms = (self.criterion == Criterion::Wina).then(|| norms(matrix, turned)).flatten();
        Ok(Layer { input, norms: norms.map(Arc::new), channels, limit: 0.0 })
    }

    /// Streams the calibration data once and takes the limits from how the inputs are distributed.
    fn find_limits(
        &self,
        edit: &Editor<'_>,
        cx: &PassContext<'_>,
        layers: &mut BTreeMap<NodeId, Layer>,
    ) -> Result<(), PassError> {
        let measure = cx.measure.ok_or(PassError::Missing("calibration data"))?;
        let mut taps: Vec<Value> = layers.values().map(|layer| layer.input).collect();
        taps.sort_unstable();
        taps.dedup();
        // Layers that have the same input and count it the same share a distribution.
        let mut seen: BTreeMap<(usize, Option<NodeId>), Quantiles> = BTreeMap::new();
        let key = |id: &NodeId, layer: &Layer| {
            let tap = taps.binary_search(&layer.input).unwrap_or_default();
            (tap, layer.norms.is_some().then_some(*id))
        };
        measure.stream(edit, &taps, &mut |values| {
            let mut added = std::collections::BTreeSet::new();
            for (id, layer) in layers.iter() {
                let key = key(id, layer);
                if added.insert(key) {
                    add(seen.entry(key).or_default(), &values[key.0], layer)?;
                }
            }
            Ok(())
        })?;
        for (id, layer) in layers.iter_mut() {
            layer.limit = seen.get(&key(id, layer)).map_or(0.0, |all| all.at(self.sparsity));
        }
        Ok(())
    }

    /// Puts the mask before one layer.
    fn mask(&self, g: &mut Rewriter<'_>, id: NodeId, layer: &Layer) -> Result<(), Declined> {
        let size = g.add(node("Abs", []), &[Some(layer.input)])?;
        let passes = match self.topk {
            true => self.among_largest(g, size, layer)?,
            false => {
                let limit = self.limit(g, layer)?;
                g.add(node("Greater", []), &[Some(size), Some(limit)])?
            }
        };
        let zero = g.constant(Tensor::scalar(0.0f32))?;
        let some = g.add(node("Where", []), &[Some(passes), Some(layer.input), Some(zero)])?;
        let mut operands = g.operands(id);
        operands[0] = Some(some);
        g.set_operands(id, operands);
        Ok(())
    }

    /// What a size must pass, by channel.
    fn limit(&self, g: &mut Rewriter<'_>, layer: &Layer) -> Result<Value, Declined> {
        let limits = match &layer.norms {
            None => Tensor::scalar(layer.limit),
            Some(norms) => {
                let limit = f64::from(layer.limit);
                // Weights of norm 0 make no difference.
                let each = norms.iter().map(|norm| if *norm == 0.0 { f32::MAX } else { (limit / norm) as f32 });
                Tensor::vector(&each.collect::<Vec<f32>>())
            }
        };
        let limit = g.constant(limits)?;
        if self.masks_prompts {
            return Ok(limit);
        }
        // With more than one token, every size passes.
        let rank = g.rank(layer.input).filter(|rank| *rank > 1).ok_or("its inputs have no axis of tokens")? as i64;
        let attrs = [("start", Attr::Int(rank - 2)), ("end", Attr::Int(rank - 1))];
        let tokens = g.add(node("Shape", attrs), &[Some(layer.input)])?;
        let (one, all) = (g.constant(Tensor::scalar(1i64))?, g.constant(Tensor::scalar(-1.0f32))?);
        let single = g.add(node("Equal", []), &[Some(tokens), Some(one)])?;
        g.add(node("Where", []), &[Some(single), Some(limit), Some(all)])
    }

    /// Whether an input is among those of its token that count most; of equals at the end all are.
    fn among_largest(&self, g: &mut Rewriter<'_>, size: Value, layer: &Layer) -> Result<Value, Declined> {
        let counts = match &layer.norms {
            None => size,
            Some(norms) => {
                let norms = floats(DType::F32, &[layer.channels as u64], norms).ok_or("too many channels")?;
                let norms = g.constant(norms)?;
                g.add(node("Mul", []), &[Some(size), Some(norms)])?
            }
        };
        let kept = ((layer.channels as f64 * (1.0 - self.sparsity)) as i64).max(1);
        let kept = g.constant(Tensor::vector(&[kept]))?;
        let top = g.add_many(node("TopK", []), 2, &[Some(counts), Some(kept)])?;
        let last = g.constant(Tensor::vector(&[-1i64]))?;
        let least = g.add(node("ReduceMin", []), &[Some(Value { node: top, slot: 0 }), Some(last)])?;
        g.add(node("GreaterOrEqual", []), &[Some(counts), Some(least)])
    }
}

fn is_product(graph: &Graph, id: NodeId) -> bool {
    matches!(graph.node(id).op.as_str(), "MatMul" | "Gemm")
}

/// Whether a value is zero where some condition does not hold.
fn is_masked(graph: &Graph, value: Value) -> bool {
    let zero = || graph.constant(graph.operand(value.node, 2)?)?.as_scalar();
    graph.node(value.node).op == "Where" && zero() == Some(0.0)
}

/// Whether what a layer makes is an output, but for what is added to it, scaled or reshaped.
fn makes_output(graph: &Graph, id: NodeId) -> bool {
    let mut value = Value { node: id, slot: 0 };
    loop {
        if graph.outputs().contains(&value) {
            return true;
        }
        let uses = graph.uses(value);
        let [(user, _)] = uses[..] else { return false };
        let other = graph.operands(user).into_iter().flatten().find(|operand| *operand != value);
        let plain = other.is_none_or(|other| graph.constant(other).is_some());
        if !plain || !matches!(graph.node(user).op.as_str(), "Add" | "Mul" | "Div" | "Cast" | "Reshape") {
            return false;
        }
        value = Value { node: user, slot: 0 };
    }
}

/// The norm of the weights of each input channel.
fn norms(matrix: &Tensor, turned: bool) -> Option<Vec<f64>> {
    let (numbers, cols) = (matrix.to_vec::<f32>()?, matrix.dims()[1] as usize);
    let mut squares = vec![0.0; if turned { cols } else { matrix.dims()[0] as usize }];
    for (i, number) in numbers.iter().enumerate() {
        let channel = if turned { i % cols } else { i / cols };
        squares[channel] += f64::from(*number) * f64::from(*number);
    }
    Some(squares.into_iter().map(f64::sqrt).collect())
}

/// Takes in how much the inputs of one run count.
fn add(all: &mut Quantiles, values: &Tensor, layer: &Layer) -> Result<(), PassError> {
    let not_floats = || PassError::Failed(format!("expected activations of f32, found {}", values.dtype()));
    let numbers = values.to_vec::<f32>().ok_or_else(not_floats)?;
    for token in numbers.chunks_exact(layer.channels.max(1)) {
        match &layer.norms {
            None => token.iter().for_each(|x| all.add(*x)),
            Some(norms) => token.iter().zip(norms.iter()).for_each(|(x, c)| all.add((f64::from(*x) * c) as f32)),
        }
    }
    Ok(())
}

/// Whether a name fits a pattern, where `*` stands for anything.
fn fits(pattern: &str, name: &str) -> bool {
    let parts: Vec<&str> = pattern.split('*').collect();
    let [first, middle @ .., last] = &parts[..] else { return pattern == name };
    let Some(rest) = name.strip_prefix(first) else { return false };
    let mut rest = match rest.strip_suffix(last) {
        Some(rest) => rest,
        None => return false,
    };
    for part in middle {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    true
}
