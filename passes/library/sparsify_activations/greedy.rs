//! How sparse each layer of a block is, by what that does to the block.
//!
//! A block is some layers of one input together with the one that all of them lead into: attention
//! with the product behind it, or a gated net. All blocks zero the same share of their weights. Within
//! one, that share grows step by step, each time in the layer where the step brings the least error
//! into the block's output, by the last quarter of the tokens (Liu et al., 2025). A step is so large
//! that it zeroes as many weights in a small layer as in a large one.
use super::second;
use crate::forms::{Masked, Prompt, Seen};
use std::collections::BTreeMap;
use weft_ir::infer::Facts;
use weft_ir::{DType, Module, OpSet, Tensor, TensorType, Value};
use weft_passes::{
    Linear, Measure, OptionError, Options, PassError, Scoped, Tapped, append_node, in_scopes, linears,
    masked, scopes,
};

/// In how many steps a block comes to its share.
const STEPS: f64 = 20.0;

/// Layers do not become sparser than this.
const MOST: f64 = 0.95;

/// How many calibration inputs a block is judged on.
const INPUTS: usize = 2;

/// The last of so many parts of the tokens is judged.
const PARTS: usize = 4;

/// How a layer comes to its sparsity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Allocate {
    /// It is that of all layers.
    Uniform,
    /// By what it costs its block.
    Greedy,
}

impl Allocate {
    pub(super) fn new(options: &Options) -> Result<Self, OptionError> {
        let greedy = second(options, "allocate", ["uniform", "greedy"])?;
        Ok(if greedy { Self::Greedy } else { Self::Uniform })
    }
}

/// Sets the sparsity of all layers that are in a block.
pub(super) fn allocate(
    measure: &dyn Measure,
    (module, ops, facts): (&Module, &OpSet, &Facts),
    (seen, share): (&Seen, f64),
    layers: &mut [Masked],
) -> Result<(), PassError> {
    let all = linears(&module.graph, facts, ops);
    let place = |layer: &Linear| layers.iter().position(|masked| masked.layer.node == layer.node);
    let places: Vec<Option<usize>> = all.iter().map(place).collect();
    let mut blocks = scopes(&module.graph, facts, ops, &all);
    blocks.retain(|block| block.layers.iter().filter(|layer| places[**layer].is_some()).count() > 1);
    let prompt = layers.first().map_or(Prompt::Masked, |layer| layer.prompt);
    let by_row: Vec<bool> = blocks.iter().map(|block| block.is_by_row(ops)).collect();
    for (block, by_row) in blocks.iter_mut().zip(&by_row) {
        // The first tokens have no part in the last ones then.
        let prompt = if *by_row { Prompt::Masked } else { prompt };
        mask_inputs(&mut block.module, ops, (block.taps.len(), prompt))?;
    }
    let mut held: BTreeMap<usize, Vec<Judged>> = BTreeMap::new();
    in_scopes(measure, module, &blocks, &mut |Tapped { group, input, last }, scoped| {
        if input >= INPUTS {
            return Ok(());
        }
        held.entry(group).or_default().push(Judged::new(scoped, by_row[group])?);
        if !last && input + 1 < INPUTS {
            return Ok(());
        }
        let slots: Vec<Slot> = blocks[group].layers.iter().map(|at| (all[*at], places[*at])).collect();
        let inputs = held.remove(&group).unwrap_or_default();
        let block = Block::new(inputs, &slots, facts)?;
        let found = block.allocated(share, &|sparsity| limits_of(&slots, layers, seen, sparsity))?;
        found.into_iter().for_each(|(place, sparsity)| layers[place].sparsity = sparsity);
        Ok(())
    })
}

/// A layer of a block, and its place among those that become sparse.
type Slot = (Linear, Option<usize>);

/// What the inputs of each layer must pass for these sparsities.
fn limits_of(slots: &[Slot], layers: &[Masked], seen: &Seen, sparsity: &[f64]) -> Vec<Tensor> {
    let limits = slots.iter().zip(sparsity).map(|((linear, place), sparsity)| {
        let all = |limit| vec![limit; linear.dims[0]];
        // Every size is larger than this.
        let Some(layer) = place.filter(|_| *sparsity > 0.0).map(|place| &layers[place]) else {
            return all(-1.0);
        };
        let limit = layer.limit_at(seen, *sparsity);
        layer.limits(limit).unwrap_or_else(|| all(limit))
    });
    limits.map(|limits| Tensor::vector(&limits)).collect()
}

/// Puts a mask before each layer of a scope, whose limits are inputs behind all others.
fn mask_inputs(module: &mut Module, ops: &OpSet, (taps, prompt): (usize, Prompt)) -> Result<(), PassError> {
    // Where prompts are dense, every token stands for one that comes alone.
    let prompt = if prompt == Prompt::Dense { Prompt::Masked } else { prompt };
    let graph = &mut module.graph;
    let matrices: Vec<Value> =
        graph.inputs().iter().skip(taps).map(|node| Value { node: *node, slot: 0 }).collect();
    for (number, matrix) in matrices.into_iter().enumerate() {
        let channels = graph.ty(matrix).dims.iter().flatten().take(1).cloned().collect();
        let limit = graph.add_input(&format!("limit{number}"), TensorType::new(DType::F32, channels));
        for (layer, _) in graph.uses(matrix) {
            let mut operands = graph.operands(layer);
            let Some(x) = operands[0] else { continue };
            let limit =
                prompt.bound((x, limit), &mut |node, operands| append_node(graph, ops, node, operands))?;
            operands[0] = Some(masked(graph, ops, x, limit)?);
            graph.set_operands(layer, &operands);
        }
    }
    Ok(())
}

/// What flows into a block on one calibration input.
struct Judged {
    scoped: Scoped,
    /// Of what comes out, the last of so many parts of the tokens counts.
    parts: usize,
}

impl Judged {
    /// Where rows have no part in each other, those that do not count need not be computed.
    fn new(scoped: &Scoped, by_row: bool) -> Result<Self, PassError> {
        let last = if by_row { scoped.last(PARTS)? } else { None };
        Ok(match last {
            Some(scoped) => Self { scoped, parts: 1 },
            None => Self { scoped: scoped.clone(), parts: PARTS },
        })
    }

    /// The sum over channels of the distance between outputs, on the tokens that count.
    fn distance(&self, exact: &Tensor, found: &Tensor) -> f64 {
        let channels = exact.dims().last().map_or(1, |n| *n as usize).max(1);
        let tokens = exact.dims().iter().rev().nth(1).map_or(1, |n| *n as usize).max(1);
        let first = tokens - tokens.div_ceil(self.parts);
        let numbers = |tensor: &Tensor| tensor.to_vec::<f32>().unwrap_or_default();
        let (exact, found) = (numbers(exact), numbers(found));
        let mut squares = vec![0.0f64; channels];
        let rows = exact.chunks_exact(channels).zip(found.chunks_exact(channels)).enumerate();
        for (_, (exact, found)) in rows.filter(|(row, _)| row % tokens >= first) {
            for (square, (a, b)) in squares.iter_mut().zip(exact.iter().zip(found)) {
                *square += f64::from(a - b) * f64::from(a - b);
            }
        }
        squares.into_iter().map(f64::sqrt).sum()
    }
}

/// A block with what flows into it.
struct Block {
    inputs: Vec<Judged>,
    matrices: Vec<Tensor>,
    /// The output with all inputs, once a calibration input.
    exact: Vec<Tensor>,
    /// The place and the weights of each layer; of those that stay as they are there are none.
    sizes: Vec<Option<(usize, f64)>>,
}

impl Block {
    fn new(inputs: Vec<Judged>, slots: &[Slot], facts: &Facts) -> Result<Self, PassError> {
        let gone = || PassError::Failed("a matrix is not there any more".to_string());
        let matrices = slots.iter().map(|(linear, _)| linear.tensor(facts).ok_or_else(gone));
        let size = |(linear, place): &Slot| Some(((*place)?, (linear.dims[0] * linear.dims[1]) as f64));
        let sizes = slots.iter().map(size).collect();
        let mut block =
            Self { inputs, matrices: matrices.collect::<Result<_, _>>()?, exact: Vec::new(), sizes };
        let whole = limits_of(slots, &[], &Seen::new(), &vec![0.0; slots.len()]);
        block.exact = block.run(&whole)?;
        Ok(block)
    }

    fn run(&self, limits: &[Tensor]) -> Result<Vec<Tensor>, PassError> {
        let given: Vec<Tensor> = self.matrices.iter().chain(limits).cloned().collect();
        self.inputs.iter().map(|input| input.scoped.run(&given)).collect()
    }

    /// The sparsity that each layer comes to, by its place, if they all together come to `share`.
    fn allocated(
        &self,
        share: f64,
        limits: &dyn Fn(&[f64]) -> Vec<Tensor>,
    ) -> Result<Vec<(usize, f64)>, PassError> {
        let all: f64 = self.sizes.iter().flatten().map(|(_, size)| size).sum();
        let step = |at: usize| self.sizes[at].map_or(f64::INFINITY, |(_, size)| share / STEPS * all / size);
        let mut sparsity = vec![0.0; self.sizes.len()];
        // The error that a step would bring, as it was in some round: it grows with all others, so that
        // only the least needs to be measured anew.
        let mut tried = vec![(0.0, 0); self.sizes.len()];
        for round in 1..=STEPS as usize {
            loop {
                let open = (0..sparsity.len()).filter(|at| sparsity[*at] + step(*at) <= MOST);
                let best = open.min_by(|a, b| f64::total_cmp(&tried[*a].0, &tried[*b].0));
                let Some(best) = best else { break };
                let mut next = sparsity.clone();
                next[best] += step(best);
                if tried[best].1 == round {
                    sparsity = next;
                    break;
                }
                tried[best] = (self.error(&limits(&next))?, round);
            }
        }
        let places = self.sizes.iter().zip(sparsity);
        Ok(places.filter_map(|(size, sparsity)| size.map(|(place, _)| (place, sparsity))).collect())
    }

    /// How far the outputs are from the exact ones.
    fn error(&self, limits: &[Tensor]) -> Result<f64, PassError> {
        let found = self.run(limits)?;
        let outputs = self.exact.iter().zip(&found);
        Ok(self.inputs.iter().zip(outputs).map(|(input, (exact, found))| input.distance(exact, found)).sum())
    }
}
